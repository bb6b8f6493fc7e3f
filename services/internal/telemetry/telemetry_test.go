package telemetry_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/telemetry"
)

func start(t *testing.T) *telemetry.Telemetry {
	t.Helper()
	started, err := telemetry.Start(t.Context(), "membership", telemetry.Options{Listen: "127.0.0.1:0"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, started.Close(context.Background())) })
	return started
}

func get(t *testing.T, from *telemetry.Telemetry, path string) (int, string) {
	t.Helper()
	resp, err := http.Get("http://" + from.Address() + path)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}

func TestReady(t *testing.T) {
	t.Parallel()
	admin := start(t)
	code, _ := get(t, admin, "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, code, "nobody has said yet what it takes")

	away := errors.New("connection refused")
	state := away
	admin.Ready("postgres", func(context.Context) error { return state })
	admin.Ready("nats", func(context.Context) error { return nil })
	code, body := get(t, admin, "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Equal(t, "nats: ok\npostgres: connection refused\n", body)
	code, _ = get(t, admin, "/healthz")
	require.Equal(t, http.StatusOK, code, "alive, though not ready")

	state = nil
	code, _ = get(t, admin, "/readyz")
	require.Equal(t, http.StatusOK, code)
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	admin := start(t)
	counter, err := otel.Meter("test").Int64Counter("tested")
	require.NoError(t, err)
	counter.Add(t.Context(), 1)
	code, body := get(t, admin, "/metrics")
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, body, "go_goroutines")
	require.Contains(t, body, `service_name="membership"`)
}

func TestNoListenerUnlessAsked(t *testing.T) {
	t.Parallel()
	quiet, err := telemetry.Start(t.Context(), "membership", telemetry.Options{})
	require.NoError(t, err)
	require.Empty(t, quiet.Address())
	require.NoError(t, quiet.Close(t.Context()))
	_, err = telemetry.Start(t.Context(), "membership", telemetry.Options{Listen: "no such host:1"})
	require.Error(t, err)
}

func TestTraces(t *testing.T) { // not parallel: it sets the environment
	t.Run("IDsExistWithoutSampling", func(t *testing.T) {
		t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
		start(t)
		ctx, span := otel.Tracer("test").Start(t.Context(), "call")
		defer span.End()
		require.Len(t, caller.TraceID(ctx), 32)
		require.False(t, span.SpanContext().IsSampled())

		asked := propagation.MapCarrier{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
		ctx, span = otel.Tracer("test").Start(otel.GetTextMapPropagator().Extract(t.Context(), asked), "call")
		defer span.End()
		require.Equal(t, "0af7651916cd43dd8448eb211c80319c", caller.TraceID(ctx), "the client's trace goes on")
		require.False(t, span.SpanContext().IsSampled())
	})

	t.Run("SpansAreExportedWhenAsked", func(t *testing.T) {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		spans := make(exported, 1)
		server := grpc.NewServer()
		collector.RegisterTraceServiceServer(server, spansServer{spans: spans})
		go func() { _ = server.Serve(lis) }()
		t.Cleanup(server.Stop)
		t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+lis.Addr().String())

		exporting, err := telemetry.Start(t.Context(), "membership", telemetry.Options{})
		require.NoError(t, err)
		_, span := otel.Tracer("test").Start(t.Context(), "call")
		span.End()
		require.NoError(t, exporting.Close(t.Context())) // exports what is left
		resource := (<-spans).GetResourceSpans()[0]
		require.Equal(t, "call", resource.GetScopeSpans()[0].GetSpans()[0].GetName())
		require.Contains(t, resource.GetResource().String(), "membership")
	})
}

// exported is what a collector received.
type exported chan *collector.ExportTraceServiceRequest

type spansServer struct {
	collector.UnimplementedTraceServiceServer
	spans exported
}

func (s spansServer) Export(_ context.Context, req *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	s.spans <- req
	return &collector.ExportTraceServiceResponse{}, nil
}
