package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"

	"github.com/rosterhq/roster/services/internal/role"
)

// Config is what the gateway is told.
type Config struct {
	role.Common
	HTTP           string   `env:"HTTP" envDefault:":8080" usage:"address of REST and pages; put TLS in front of it"`
	AppOrigins     []string `env:"APP_ORIGINS" usage:"origins of your own apps, such as https://app.example, separated by commas: their pages may call the API as who is signed in, and signing in may lead to them"`
	TrustedProxies int      `env:"TRUSTED_PROXIES" usage:"how many proxies in front of it append to X-Forwarded-For"`

	Listener net.Listener `env:"-"` // instead of HTTP
	DevMail  http.Handler `env:"-"` // the development inbox; nil outside of development
}

// drainTime is how long running requests have to end.
const drainTime = 10 * time.Second

// Run runs the gateway until ctx ends.
func Run(ctx context.Context, c Config) error {
	if err := c.Check(); err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	base, err := role.Open(ctx, "gateway", c.Common)
	if err != nil {
		return err
	}
	defer base.Close()
	sessions, _, err := base.Sessions()
	if err != nil {
		return err
	}
	conns := make(map[string]*grpc.ClientConn)
	for _, service := range services {
		pass := grpc.WithChainUnaryInterceptor(ClientInterceptor(sessions, service.role))
		passStream := grpc.WithChainStreamInterceptor(StreamInterceptor(sessions, service.role))
		if conns[service.role], err = base.Dial(service.role, pass, passStream); err != nil {
			return err
		}
	}
	handler, err := New(Dependencies{
		Conns:          conns,
		PublicURL:      c.PublicURL,
		AppOrigins:     c.AppOrigins,
		TrustedProxies: c.TrustedProxies,
		Forget:         sessions.Forget,
		DevMail:        c.DevMail,
		Log:            base.Log,
	})
	if err != nil {
		return err
	}
	listener := c.Listener
	if listener == nil {
		if listener, err = net.Listen("tcp", c.HTTP); err != nil {
			return fmt.Errorf("gateway: %w", err)
		}
	}
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
	}
	base.Serves(func(ctx context.Context) error { return serve(ctx, server, listener, c.Linger) })
	return base.Run(ctx)
}

// serve serves until ctx ends, lingers, and lets running requests finish. While it lingers it answers as ever and asks
// clients, also those whose request came before, to make their next one on another connection, which a balancer opens
// elsewhere: a request on a connection that closes at that moment would be lost.
func serve(ctx context.Context, server *http.Server, listener net.Listener, linger time.Duration) error {
	handler := server.Handler
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := &leaving{ResponseWriter: w, ctx: ctx}
		handler.ServeHTTP(answer, r)
		answer.leave()
	})
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("gateway: %w", err)
	case <-ctx.Done():
	}
	select {
	case err := <-served:
		return fmt.Errorf("gateway: %w", err)
	case <-time.After(linger):
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	if err := server.Shutdown(drain); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("gateway: %w", err)
	}
	return server.Close()
}

// leaving asks for another connection in every answer that begins after ctx has ended.
type leaving struct {
	http.ResponseWriter
	ctx   context.Context
	begun bool
}

func (w *leaving) WriteHeader(status int) {
	w.begun = true
	w.leave()
	w.ResponseWriter.WriteHeader(status)
}

func (w *leaving) Write(b []byte) (int, error) {
	if !w.begun {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(b)
}

func (w *leaving) leave() {
	if w.ctx.Err() != nil {
		w.Header().Set("Connection", "close")
	}
}

// Unwrap lets http.ResponseController reach the connection.
func (w *leaving) Unwrap() http.ResponseWriter { return w.ResponseWriter }
