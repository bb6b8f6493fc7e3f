package gateway

import (
	"context"
	"crypto/rand"
	"net/http"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	oteltrace "go.opentelemetry.io/otel/trace"
)

// trace begins the request's part of its trace: of the trace that traceparent names, of the one whose id came as
// X-Request-Id, or of a new one. Nothing else that came with the request is passed on: no tracestate, no baggage.
// The request has a trace id also where nothing is traced.
func trace(r *http.Request) (ctx context.Context, end func(method, route string, status int)) {
	ctx = propagation.TraceContext{}.Extract(r.Context(), propagation.MapCarrier{"traceparent": r.Header.Get("Traceparent")})
	if !oteltrace.SpanContextFromContext(ctx).IsValid() {
		if id := r.Header.Get("X-Request-Id"); len(id) == 32 {
			if traceID, err := oteltrace.TraceIDFromHex(id); err == nil {
				ctx = oteltrace.ContextWithRemoteSpanContext(ctx, spanOf(traceID))
			}
		}
	}
	ctx, span := otel.Tracer("github.com/rosterhq/roster/services/gateway").Start(ctx, "request", oteltrace.WithSpanKind(oteltrace.SpanKindServer))
	if !span.SpanContext().IsValid() { // nothing traces, and nobody named one
		var traceID oteltrace.TraceID
		_, _ = rand.Read(traceID[:]) // never fails
		ctx = oteltrace.ContextWithRemoteSpanContext(ctx, spanOf(traceID))
	}
	return ctx, func(method, route string, status int) {
		method = methodName(method)
		span.SetName(method + " " + route)
		span.SetAttributes(
			attribute.String("http.request.method", method),
			attribute.String("http.route", route),
			attribute.Int("http.response.status_code", status))
		if status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}

// spanOf returns a span of a trace, for a parent that did not name its own.
func spanOf(traceID oteltrace.TraceID) oteltrace.SpanContext {
	var spanID oteltrace.SpanID
	_, _ = rand.Read(spanID[:])
	return oteltrace.NewSpanContext(oteltrace.SpanContextConfig{TraceID: traceID, SpanID: spanID, TraceFlags: oteltrace.FlagsSampled})
}

// traceparent returns the header that makes a service's part of the trace follow the request's.
func traceparent(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier["traceparent"]
}
