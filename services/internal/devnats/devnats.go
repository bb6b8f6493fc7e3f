// Package devnats runs a NATS server with JetStream inside this process, for `rosterd dev` and for
// tests. It is one server without users or replicas, so it is no broker for production: there,
// Roster is given the address of a NATS cluster.
package devnats

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Server is a running NATS server.
type Server struct {
	nats *server.Server
}

// Start runs a server that keeps its streams under dir. It listens on addr, host:port, where port 0
// picks a free one; with an empty addr it can only be reached by Connect.
func Start(dir string, addr string) (*Server, error) {
	s, err := start(dir, addr)
	if err != nil {
		return nil, fmt.Errorf("start NATS in %s: %w", dir, err)
	}
	return s, nil
}

func start(dir string, addr string) (*Server, error) {
	options := &server.Options{
		ServerName: "roster-dev",
		DontListen: addr == "",
		JetStream:  true,
		StoreDir:   dir,
		SyncAlways: true, // one server has nothing but its disk: what it confirms must be there
		NoSigs:     true, // rosterd stops it, after what depends on it
	}
	if addr != "" {
		var err error
		if options.Host, options.Port, err = split(addr); err != nil {
			return nil, fmt.Errorf("listen on %q: %w", addr, err)
		}
	}
	nats, err := server.NewServer(options)
	if err != nil {
		return nil, err
	}
	var log logger
	nats.SetLoggerV2(&log, false, false, false)
	nats.Start()
	s := &Server{nats: nats}
	if log.fatal != nil {
		s.Stop()
		return nil, log.fatal
	}
	if !nats.ReadyForConnections(10 * time.Second) {
		s.Stop()
		return nil, errors.New("it does not answer")
	}
	return s, nil
}

// split parses host:port, with -1 for the port that the system picks, as the server wants it.
func split(addr string) (host string, port int, err error) {
	host, service, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	number, err := strconv.ParseUint(service, 10, 16)
	if number == 0 {
		return host, server.RANDOM_PORT, err
	}
	return host, int(number), err
}

// Connect returns a connection that stays within the process, whether the server listens or not.
func (s *Server) Connect(opts ...nats.Option) (*nats.Conn, error) {
	return nats.Connect("", append([]nats.Option{nats.InProcessServer(s.nats)}, opts...)...)
}

// URL is where other processes connect, empty when the server does not listen.
func (s *Server) URL() string {
	if addr := s.nats.Addr(); addr != nil {
		return "nats://" + addr.String()
	}
	return ""
}

// Stop closes every connection, writes what is buffered and waits. Calling it again is harmless.
func (s *Server) Stop() {
	s.nats.Shutdown()
	s.nats.WaitForShutdown()
}

// logger passes on errors and keeps the chatter for those who debug. The server reports a failed
// start to its logger only, which is expected to end the process; this one keeps it for Start.
type logger struct {
	fatal error // written and read by Start's goroutine
}

func (l *logger) Fatalf(format string, v ...any) { l.fatal = fmt.Errorf(format, v...) }
func (l *logger) Errorf(format string, v ...any) { slog.Error("NATS: " + fmt.Sprintf(format, v...)) }
func (l *logger) Warnf(format string, v ...any)  { slog.Debug("NATS: " + fmt.Sprintf(format, v...)) }
func (l *logger) Noticef(string, ...any)         {}
func (l *logger) Debugf(string, ...any)          {}
func (l *logger) Tracef(string, ...any)          {}
