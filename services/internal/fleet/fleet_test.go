package fleet_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/metadata"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/fleet"
	"github.com/rosterhq/roster/services/internal/newcomer"
)

// start starts a fleet that ends with the test.
func start(t *testing.T, c fleet.Config) *fleet.Fleet {
	t.Helper()
	dir, err := os.MkdirTemp("", "roster-fleet-*")
	require.NoError(t, err)
	t.Cleanup(func() {
		os.RemoveAll(dir)
	})
	require.NoError(t, os.Chmod(dir, 0o711)) // PostgreSQL's user has to pass through
	c.Dir = dir
	f, err := fleet.Start(t.Context(), c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Stop()) })
	return f
}

// Two of every role; each process is told to end, and starts again, while clients change and read over gRPC and REST.
func TestRollingRestartFailsNoCall(t *testing.T) {
	t.Parallel()
	f := start(t, fleet.Config{Copies: 2})
	ada, err := newcomer.SignUp(t.Context(), f.Conn(), newcomer.In(f.Mail), "ada@example.com")
	require.NoError(t, err)
	token := ada.Session

	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	var calls atomic.Int64
	for _, call := range []func(context.Context, int) error{
		func(ctx context.Context, n int) error { return overGRPC(ctx, f, token, n) },
		func(ctx context.Context, n int) error { return overREST(ctx, f, token, n) },
	} {
		for worker := range 2 {
			load.Go(func() {
				for n := worker; ctx.Err() == nil; n += 2 {
					if err := call(context.WithoutCancel(ctx), n); err != nil {
						t.Errorf("call %d failed: %v", calls.Load(), err)
						return
					}
					calls.Add(1)
				}
			})
		}
	}
	for _, p := range f.Processes {
		within, cancel := context.WithTimeout(t.Context(), time.Minute)
		require.NoError(t, p.Stop(within))
		before := calls.Load()
		require.Eventually(t, func() bool { return calls.Load() > before+20 || t.Failed() }, time.Minute, 10*time.Millisecond,
			"the other copy of "+p.Role+" serves alone")
		require.NoError(t, p.Start(within))
		require.NoError(t, p.Ready(within))
		cancel()
	}
	stop()
	load.Wait()
	t.Log(calls.Load(), "calls")
}

// overGRPC makes an organization, which takes a seat at billing, and lists its people.
func overGRPC(ctx context.Context, f *fleet.Fleet, token string, n int) error {
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	created, err := membershipv1.NewOrganizationServiceClient(f.Conn()).CreateOrganization(ctx, &membershipv1.CreateOrganizationRequest{
		DisplayName: fmt.Sprintf("gRPC %d", n), Preset: membershipv1.Preset_PRESET_PORTAL})
	if err != nil {
		return err
	}
	_, err = membershipv1.NewMemberServiceClient(f.Conn()).ListPeople(ctx, &membershipv1.ListPeopleRequest{OrganizationId: created.GetOrganization().GetId()})
	return err
}

// overREST does the same by a gateway, the next one when one refuses the connection, as a balancer does.
func overREST(ctx context.Context, f *fleet.Fleet, token string, n int) error {
	body, err := json.Marshal(map[string]string{"displayName": fmt.Sprintf("REST %d", n), "preset": "PRESET_PORTAL"})
	if err != nil {
		return err
	}
	for attempt := 0; ; attempt++ {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.URLs[(n+attempt)%len(f.URLs)]+"/v1/organizations", bytes.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", "application/json")
		answer, err := http.DefaultClient.Do(req)
		if err != nil {
			if refused(err) && attempt == 0 {
				continue
			}
			return err
		}
		said, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err == nil && answer.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: %s", answer.Status, said)
		}
		return err
	}
}

// refused says that nobody listens there: the request was not sent.
func refused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
