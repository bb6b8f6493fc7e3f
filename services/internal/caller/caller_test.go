package caller_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"

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

func TestTraceID(t *testing.T) {
	t.Parallel()
	require.Empty(t, caller.TraceID(context.Background()))
	ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{0xab, 15: 0x01}, SpanID: trace.SpanID{1},
	}))
	require.Equal(t, "ab000000000000000000000000000001", caller.TraceID(ctx))
}
