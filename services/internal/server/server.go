// Package server is the one builder of gRPC servers: limits, who is calling, who may, what a valid request is,
// what an error looks like outside, health, and an orderly end. A service adds its verbs to it and nothing else.
//
// The way of a call is one function for each kind of call, in call.go.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	accessv1 "github.com/rosterhq/roster/pkg/gen/roster/access/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
)

const (
	maxMessage      = 4 << 20
	maxHeaders      = 16 << 10
	maxStreams      = 1000             // of one connection
	handshakeLimit  = 10 * time.Second // for a connection to say who it is
	connectionLife  = 5 * time.Minute  // then it is made again, with the certificates and replicas of the day
	connectionGrace = 10 * time.Minute // for the streams that it still carries; calls end before
	drainLimit      = 10 * time.Second
)

// Config is what differs between servers.
type Config struct {
	Role string // the service, such as "membership"

	// Authenticate finds out who presents a bearer credential. Nil: every credential is refused.
	Authenticate func(ctx context.Context, bearer string) (caller.Caller, error)

	// Follow returns a context that ends with a session or a key; its cause is what to answer. Nil: streams outlive sessions.
	Follow func(context.Context, id.Any) (context.Context, context.CancelFunc)

	// Denied hears of calls that were refused because of who called. It must not wait. Nil: nobody does.
	Denied func(*membershipv1.Denial)

	Log        *slog.Logger     // nil: slog.Default()
	Now        func() time.Time // nil: time.Now
	Reflection bool             // for listeners that the public does not reach

	// Linger is how long the server goes on as ever after it has said to health checks that it ends, so that clients and
	// balancers have turned to others before it refuses anything.
	Linger time.Duration
}

// Server is a gRPC server of the suite. Register services, then Serve once.
type Server struct {
	grpc   *grpc.Server
	health *health.Server
	mu     sync.Mutex                // of registering: the roles of one process share a server
	rules  map[string]*accessv1.Rule // of every method there is, by its full name
	config Config
	drain  time.Duration
}

// New returns a server whose connections are made with creds.
func New(creds credentials.TransportCredentials, c Config) *Server {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	s := &Server{health: health.NewServer(), rules: make(map[string]*accessv1.Rule), config: c, drain: drainLimit}
	s.grpc = grpc.NewServer(
		grpc.Creds(creds),
		grpc.UnaryInterceptor(s.unary),
		grpc.StreamInterceptor(s.stream),
		grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error { return errNoMethod }),
		grpc.StatsHandler(otelgrpc.NewServerHandler()),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxHeaderListSize(maxHeaders),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.ConnectionTimeout(handshakeLimit),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionAge: connectionLife, MaxConnectionAgeGrace: connectionGrace,
			Time: time.Minute, Timeout: 20 * time.Second,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
		grpc.NumStreamWorkers(4), // their stacks stay grown
	)
	grpc_health_v1.RegisterHealthServer(s.grpc, s.health)
	if c.Reflection {
		reflection.Register(s.grpc)
	}
	for service, info := range s.grpc.GetServiceInfo() { // gRPC's own services, which have no rules in their protos
		for _, method := range info.Methods {
			s.rules["/"+service+"/"+method.Name] = &accessv1.Rule{Caller: accessv1.Rule_CALLER_ANYONE, Keys: true}
		}
	}
	return s
}

// RegisterService adds a service, as generated code does; several may do so at once. Its methods are refused unless the proto gives them
// a rule.
func (s *Server) RegisterService(desc *grpc.ServiceDesc, service any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grpc.RegisterService(desc, service)
	rules := rulesOf(desc.ServiceName)
	for _, method := range s.grpc.GetServiceInfo()[desc.ServiceName].Methods {
		name := "/" + desc.ServiceName + "/" + method.Name
		s.rules[name] = rules[name]
	}
}

// Serve serves until ctx ends, then says so to health checks, lingers, lets running calls finish for ten seconds, and
// cuts the rest. It closes the listener.
func (s *Server) Serve(ctx context.Context, lis net.Listener) error {
	served := make(chan error, 1)
	go func() { served <- s.grpc.Serve(lis) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", s.config.Role, err)
	case <-ctx.Done():
	}
	s.health.Shutdown()
	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", s.config.Role, err)
	case <-time.After(s.config.Linger):
	}
	cut := time.AfterFunc(s.drain, s.grpc.Stop)
	defer cut.Stop()
	s.grpc.GracefulStop()
	if err := <-served; err != nil && !errors.Is(err, grpc.ErrServerStopped) { // stopped before it began: no error
		return fmt.Errorf("serve %s: %w", s.config.Role, err)
	}
	return nil
}
