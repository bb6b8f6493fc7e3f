package testkit

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/network"
	"github.com/rosterhq/roster/services/internal/server"
)

// Service is one of ours: what it offers to clients, and what to other services.
type Service interface {
	Register(grpc.ServiceRegistrar)
	RegisterInternal(grpc.ServiceRegistrar)
}

// Serve serves a service with the interceptors of production until the test ends.
func Serve(t testing.TB, lan network.Network, c server.Config, service Service) {
	t.Helper()
	lis, creds, err := lan.Listen(c.Role, "")
	require.NoError(t, err)
	s := server.New(creds, c)
	service.Register(s)
	service.RegisterInternal(s)
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, lis) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-served)
	})
}

// Dial connects one role to another until the test ends.
func Dial(t testing.TB, lan network.Network, from, to string) *grpc.ClientConn {
	t.Helper()
	conn, err := lan.Dial(from, to, "")
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

// Refused expects a refusal for the reason, and returns it.
func Refused(t require.TestingT, err error, reason errorv1.Reason) *fault.Fault {
	if h, ok := t.(interface{ Helper() }); ok {
		h.Helper()
	}
	require.Error(t, err)
	f := fault.From(err)
	require.NotNil(t, f, err)
	require.Equal(t, reason.String(), f.Reason.String(), f.Message)
	return f
}

// AtOnce makes calls that begin together, and returns what came of each.
func AtOnce(n int, call func(i int) error) []error {
	outcomes := make([]error, n)
	begin := make(chan struct{})
	var running sync.WaitGroup
	for i := range n {
		running.Go(func() {
			<-begin
			outcomes[i] = call(i)
		})
	}
	close(begin)
	running.Wait()
	return outcomes
}
