// Package telemetry is what a process says about itself: traces, metrics, and whether it is alive and ready. It
// is started once in a process; the roles of `rosterd dev` share one.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Options says what a process tells, and where.
type Options struct {
	Listen string // address of the admin listener, which the public must not reach; "": none
}

// Telemetry is what Start started.
type Telemetry struct {
	Registry *prometheus.Registry // for metrics that are not OpenTelemetry's

	tracers  *sdktrace.TracerProvider
	meters   *sdkmetric.MeterProvider
	listener net.Listener // nil: none
	admin    *http.Server
	served   chan error

	mu     sync.Mutex
	checks map[string]func(context.Context) error
}

// Start sets OpenTelemetry's global providers and propagators, and serves the admin listener:
//
//	/metrics  for Prometheus
//	/healthz  200 while the process is alive
//	/readyz   200 while every check of Ready passes, 503 otherwise and before there is one
//
// Every call has a trace id, exported or not. Spans are exported when OTEL_EXPORTER_OTLP_ENDPOINT is set; the
// other OTEL_ variables then mean what OpenTelemetry says.
func Start(ctx context.Context, role string, o Options) (t *Telemetry, err error) {
	t = &Telemetry{Registry: prometheus.NewRegistry(), checks: make(map[string]func(context.Context) error)}
	who, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.namespace", "roster"), attribute.String("service.name", role)),
		resource.WithFromEnv()) // the operator's word is the last
	if err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	if t.tracers, err = newTracers(ctx, who); err != nil {
		return nil, fmt.Errorf("telemetry: traces: %w", err)
	}
	if t.meters, err = newMeters(t.Registry, who); err != nil {
		return nil, fmt.Errorf("telemetry: metrics: %w", err)
	}
	if o.Listen != "" {
		if err := t.listen(o.Listen); err != nil {
			return nil, fmt.Errorf("telemetry: %w", err)
		}
	}
	otel.SetTracerProvider(t.tracers)
	otel.SetMeterProvider(t.meters)
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))
	return t, nil
}

// Exports tells whether spans leave the process. What only makes spans can be left out otherwise.
func Exports() bool { return os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" }

// newTracers returns a provider that exports, or one that only hands out ids: it never samples, whatever a
// client's traceparent asks for.
func newTracers(ctx context.Context, who *resource.Resource) (*sdktrace.TracerProvider, error) {
	if !Exports() {
		return sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample())), nil
	}
	exporter, err := otlptracegrpc.New(ctx) // connects when it first has something to say
	if err != nil {
		return nil, err
	}
	return sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(who)), nil // parent-based
}

func newMeters(registry *prometheus.Registry, who *resource.Resource) (*sdkmetric.MeterProvider, error) {
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(registry))
	if err != nil {
		return nil, err
	}
	// The limit keeps strangers, who may call methods that do not exist, from filling the memory with series.
	return sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter), sdkmetric.WithResource(who), sdkmetric.WithCardinalityLimit(2000)), nil
}

// Close exports what is left and closes the admin listener.
func (t *Telemetry) Close(ctx context.Context) error {
	err := errors.Join(t.tracers.Shutdown(ctx), t.meters.Shutdown(ctx))
	if t.listener == nil {
		return err
	}
	err = errors.Join(err, t.admin.Shutdown(ctx))
	if served := <-t.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
