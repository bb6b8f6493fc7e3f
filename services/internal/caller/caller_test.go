package caller_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
)

func TestCaller(t *testing.T) {
	t.Parallel()

	t.Run("TheContextCarriesIt", func(t *testing.T) {
		t.Parallel()
		who := caller.Caller{Service: "gateway", Account: id.NewAccount(), Address: "192.0.2.7"}
		require.Equal(t, who, caller.From(caller.With(t.Context(), who)))
	})

	t.Run("NobodyIsTheZeroCaller", func(t *testing.T) {
		t.Parallel()
		require.Zero(t, caller.From(t.Context()))
		require.False(t, caller.Caller{Service: "gateway"}.SignedIn())
		require.True(t, caller.Caller{Operator: id.NewOperator()}.SignedIn())
	})
}

func TestStepUp(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, c := range map[string]struct {
		who caller.Caller
		ok  bool
	}{
		"JustNow":                 {caller.Caller{AuthTime: now, Level: 1, Reach: 1}, true},
		"AtTheEdge":               {caller.Caller{AuthTime: now.Add(-10 * time.Minute), Level: 1, Reach: 1}, true},
		"TooLongAgo":              {caller.Caller{AuthTime: now.Add(-10*time.Minute - time.Second), Level: 2, Reach: 2}, false},
		"WithoutTheSecondFactor":  {caller.Caller{AuthTime: now, Level: 1, Reach: 2}, false},
		"WithBoth":                {caller.Caller{AuthTime: now, Level: 2, Reach: 2}, true},
		"AKeyProvesNothingOfThis": {caller.Caller{Account: id.NewAccount()}, false},
	} {
		t.Run("RB16_"+name, func(t *testing.T) {
			t.Parallel()
			err := c.who.StepUp(now, 10*time.Minute)
			require.Equal(t, c.ok, err == nil)
			if !c.ok {
				f := fault.From(err)
				require.Equal(t, errorv1.Reason_REASON_STEP_UP_REQUIRED, f.Reason)
				require.Equal(t, "10", f.Metadata["minutes"])
			}
		})
	}
}

func TestTraceID(t *testing.T) {
	t.Parallel()
	require.Empty(t, caller.TraceID(context.Background()))
	ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{0xab, 15: 0x01}, SpanID: trace.SpanID{1},
	}))
	require.Equal(t, "ab000000000000000000000000000001", caller.TraceID(ctx))
}
