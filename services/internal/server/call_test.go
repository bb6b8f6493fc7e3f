package server

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/rosterhq/roster/pkg/fault"
	accessv1 "github.com/rosterhq/roster/pkg/gen/roster/access/v1"
	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/network"
)

// streamed is a service with a stream, and a rule for accounts.
func streamed(handle grpc.StreamHandler) *grpc.ServiceDesc {
	return &grpc.ServiceDesc{ServiceName: "test.v1.Streamed", HandlerType: (*any)(nil), Streams: []grpc.StreamDesc{
		{StreamName: "Do", Handler: handle, ServerStreams: true, ClientStreams: true}}}
}

func TestStreams(t *testing.T) {
	t.Parallel()
	h := &harness{network: network.Memory(), logged: new(log)}
	lis, creds, err := h.network.Listen("tested", "")
	require.NoError(t, err)
	h.server = New(creds, Config{Role: "tested", Authenticate: authenticate, Log: slog.New(slog.NewJSONHandler(h.logged, nil))})
	h.server.RegisterService(streamed(func(_ any, ss grpc.ServerStream) error {
		var req billingv1.GetSeatUsageRequest
		if err := ss.RecvMsg(&req); err != nil {
			return err
		}
		if req.GetOrganizationId() == "panic" {
			panic("secret")
		}
		return ss.SendMsg(&billingv1.OccupySeatRequest{AccountId: caller.From(ss.Context()).Account.String()})
	}), nil)
	h.server.rules["/test.v1.Streamed/Do"] = &accessv1.Rule{Caller: accessv1.Rule_CALLER_ACCOUNT}
	t.Cleanup(serve(t, h.server, lis))
	conn := h.dial(t, "")

	// do sends an organization and returns the account that the verb saw.
	do := func(t *testing.T, organization string, authorization ...string) (string, error) {
		ctx := t.Context()
		for _, value := range authorization {
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", value)
		}
		stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/test.v1.Streamed/Do")
		require.NoError(t, err)
		if err := stream.SendMsg(&billingv1.GetSeatUsageRequest{OrganizationId: organization}); err != io.EOF { // EOF: refused already
			require.NoError(t, err)
		}
		var answer billingv1.OccupySeatRequest
		err = stream.RecvMsg(&answer)
		return answer.GetAccountId(), err
	}

	t.Run("TheirCallerIsKnown", func(t *testing.T) {
		t.Parallel()
		saw, err := do(t, "x", asAccount)
		require.NoError(t, err)
		require.Equal(t, account.String(), saw)
	})
	t.Run("TheirRuleHolds", func(t *testing.T) {
		t.Parallel()
		_, err := do(t, "x")
		requireReason(t, signIn, err)
		_, err = do(t, "x", asOperator)
		requireReason(t, refused, err)
	})
	t.Run("TheirRequestsAreValid", func(t *testing.T) {
		t.Parallel()
		_, err := do(t, strings.Repeat("x", 65), asAccount)
		requireReason(t, errorv1.Reason_REASON_VALIDATION_FAILED, err)
	})
	t.Run("TheirPanicsAreInternal", func(t *testing.T) {
		t.Parallel()
		_, err := do(t, "panic", asAccount)
		requireReason(t, errorv1.Reason_REASON_INTERNAL, err)
	})
}

func TestStreamsEndWithTheirSession(t *testing.T) {
	t.Parallel()
	ended, over := make(chan struct{}), fault.New(signIn, "It has ended.")
	h := &harness{network: network.Memory(), logged: new(log)}
	lis, creds, err := h.network.Listen("tested", "")
	require.NoError(t, err)
	h.server = New(creds, Config{
		Role: "tested", Authenticate: authenticate, Log: slog.New(slog.NewJSONHandler(h.logged, nil)),
		Follow: func(ctx context.Context, followed id.Any) (context.Context, context.CancelFunc) {
			ctx, cut := context.WithCancelCause(ctx)
			if followed == id.Any(session) {
				go func() {
					<-ended
					cut(over)
				}()
			}
			return ctx, func() { cut(nil) }
		},
	})
	h.server.RegisterService(streamed(func(_ any, ss grpc.ServerStream) error {
		if err := ss.SendMsg(&billingv1.OccupySeatRequest{}); err != nil {
			return err
		}
		<-ss.Context().Done()
		return ss.SendMsg(&billingv1.OccupySeatRequest{AccountId: "more"})
	}), nil)
	h.server.rules["/test.v1.Streamed/Do"] = &accessv1.Rule{Caller: accessv1.Rule_CALLER_ACCOUNT}
	t.Cleanup(serve(t, h.server, lis))
	t.Run("R43 AnOpenStreamIsCut", func(t *testing.T) {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", asAccount)
		stream, err := h.dial(t, "").NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/test.v1.Streamed/Do")
		require.NoError(t, err)
		var answer billingv1.OccupySeatRequest
		require.NoError(t, stream.RecvMsg(&answer))
		close(ended)
		requireReason(t, signIn, stream.RecvMsg(&answer))
		require.Empty(t, answer.GetAccountId(), "nothing more came")
	})
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ asked, want time.Duration }{
		"R60_NoDeadlineIsTheDefault": {0, defaultDeadline},
		"R60_AShortDeadlineIsKept":   {time.Second, time.Second},
		"R60_ALongDeadlineIsCapped":  {time.Hour, maxDeadline},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			if c.asked > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, c.asked)
				defer cancel()
			}
			ctx, cancel := bound(ctx)
			defer cancel()
			deadline, ok := ctx.Deadline()
			require.True(t, ok)
			require.WithinDuration(t, time.Now().Add(c.want), deadline, 500*time.Millisecond)
		})
	}
}
