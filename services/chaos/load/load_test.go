package load_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/rosterhq/roster/services/chaos/linear"
	"github.com/rosterhq/roster/services/chaos/load"
	"github.com/rosterhq/roster/services/dev"
	"github.com/rosterhq/roster/services/internal/verify"
)

// start runs the whole suite in this process.
func start(t *testing.T) dev.Addresses {
	t.Helper()
	data, err := os.MkdirTemp("", "roster-load-*")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(data) })
	require.NoError(t, os.Chmod(data, 0o711)) // PostgreSQL's user has to pass through
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	started, ended := make(chan dev.Addresses, 1), make(chan error, 1)
	go func() {
		ended <- dev.Run(ctx, dev.Config{Data: data, HTTP: "127.0.0.1:0", GRPC: "127.0.0.1:0", NATS: "127.0.0.1:0",
			Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Started: func(a dev.Addresses) { started <- a }})
	}()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ended)
	})
	select {
	case a := <-started:
		return a
	case err := <-ended:
		require.NoError(t, err)
		return dev.Addresses{}
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	suite := start(t)
	conn, err := grpc.NewClient("passthrough:///"+suite.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer conn.Close()
	var mutations, reads bytes.Buffer
	history := load.NewHistory(&mutations, &reads)
	l, err := load.Prepare(t.Context(), load.Config{
		URLs: []string{suite.URL}, Conn: conn, Inbox: suite.Mail, Claim: suite.Claim, History: history,
		Seed: 1, People: 12, Organizations: 2, Operations: 300, Clients: 8,
	})
	require.NoError(t, err)
	kinds := []verify.Verb{
		verify.CreateOrganization, verify.UpdateOrganization, verify.SetSeatLimit, verify.Invite, verify.Resend, verify.Revoke, verify.Accept,
		verify.ChangeRole, verify.Disable, verify.Remove, load.CheckAccess, load.GetMember, load.ListPeople, load.GetSeatUsage,
	}
	var operations []load.Operation
	missing := func() []verify.Verb {
		return slices.DeleteFunc(slices.Clone(kinds), func(verb verify.Verb) bool {
			return slices.ContainsFunc(operations, func(o load.Operation) bool { return o.Verb == verb && o.Outcome == verify.OK })
		})
	}
	for deadline := time.Now().Add(time.Minute); len(missing()) > 0 && time.Now().Before(deadline); {
		ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
		l.Run(ctx)
		stop()
		operations, err = history.Operations()
		require.NoError(t, err)
	}
	l.Settle()
	operations, err = history.Operations()
	require.NoError(t, err)

	t.Run("EveryKindOfOperationHappens", func(t *testing.T) { require.Empty(t, missing()) })
	t.Run("TheHistoryIsRight", func(t *testing.T) {
		for _, v := range linear.Judge(operations, time.Minute) {
			require.True(t, v.Right(), "%s\n%s", v, v.Excerpt())
		}
	})
	t.Run("MutationsAreWrittenForTheVerifier", func(t *testing.T) {
		written, err := verify.ReadHistory(&mutations)
		require.NoError(t, err)
		var told []verify.Operation
		for _, o := range operations {
			switch o.Verb {
			case load.CheckAccess, load.GetMember, load.ListPeople, load.GetSeatUsage:
			default:
				told = append(told, o.Operation)
			}
		}
		require.Len(t, written, len(told))
		require.NotEmpty(t, reads.String())
	})
}
