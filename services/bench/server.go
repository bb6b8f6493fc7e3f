package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	_ "net/http/pprof" // for -profile
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/rosterhq/roster/services/dev"
)

// serveCommand is what this program is called with to be the suite.
const serveCommand = "serve"

// served is what the suite's process tells once it answers.
type served struct {
	URL, GRPC, Pprof string
	Owner            string // DSN
}

// serve runs the suite until its input ends, which it does with the process that started it.
func serve(ctx context.Context, data string) error {
	ctx, cancel := untilOrphaned(ctx)
	defer cancel()
	if err := os.MkdirAll(data, 0o755); err != nil {
		return err
	}
	logs, err := os.Create(filepath.Join(data, "log"))
	if err != nil {
		return err
	}
	defer logs.Close()
	profiles, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer profiles.Close()
	go func() { _ = http.Serve(profiles, nil) }() // until it is closed
	return dev.Run(ctx, dev.Config{
		Data: data, HTTP: "127.0.0.1:0", GRPC: "127.0.0.1:0", NATS: "127.0.0.1:0",
		Log: slog.New(slog.NewJSONHandler(logs, nil)),
		Started: func(a dev.Addresses) {
			_ = json.NewEncoder(os.Stdout).Encode(served{
				URL: a.URL, GRPC: a.GRPC, Pprof: profiles.Addr().String(), Owner: a.Owner("membership")})
		},
	})
}

// suite is the running suite, seen from outside.
type suite struct {
	served
	*child
	conn *grpc.ClientConn
	web  *http.Client
}

// start runs the suite and waits until it answers.
func start(ctx context.Context, data string) (*suite, error) {
	s := &suite{web: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1000}, Timeout: 30 * time.Second}}
	var err error
	if s.child, err = spawn(ctx, &s.served, serveCommand, data); err != nil {
		return nil, fmt.Errorf("start the suite: %w", err)
	}
	if s.conn, err = grpc.NewClient("passthrough:///"+s.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
		s.stop()
		return nil, fmt.Errorf("start the suite: %w", err)
	}
	return s, nil
}

// stop ends the suite and waits for that. Calling it again is harmless.
func (s *suite) stop() {
	if s.conn != nil {
		s.conn.Close()
	}
	s.child.stop()
}

// child is this program once more, as a server in a process of its own.
type child struct {
	cmd  *exec.Cmd
	live io.Closer // it ends when this is closed
}

// spawn starts a child and waits until it says in JSON where it is.
func spawn(ctx context.Context, where any, args ...string) (*child, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{cmd: exec.Command(program, args...)}
	c.cmd.Stderr = os.Stderr
	if c.live, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	said, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	ready := make(chan error, 1)
	go func() { ready <- json.NewDecoder(said).Decode(where) }()
	select {
	case err = <-ready:
	case <-ctx.Done():
		err = ctx.Err()
	case <-time.After(2 * time.Minute):
		err = errors.New("it took more than two minutes")
	}
	if err != nil {
		c.stop()
		return nil, err
	}
	return c, nil
}

// stop ends the child and waits for that. Calling it again is harmless.
func (c *child) stop() {
	c.live.Close()
	_ = c.cmd.Wait()
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// untilOrphaned returns a context that ends when the process that started this one does.
func untilOrphaned(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	return ctx, cancel
}

// record writes a CPU profile of the suite.
func (s *suite) record(ctx context.Context, file string, dur time.Duration) error {
	url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", s.Pprof, max(1, int(dur.Seconds())))
	body, err := s.get(ctx, url)
	if err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	return os.WriteFile(file, body, 0o644)
}

func (s *suite) get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := s.web.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, errors.New(resp.Status)
	}
	return io.ReadAll(resp.Body)
}
