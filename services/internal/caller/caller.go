// Package caller says who is calling. It is the one thing about a request, beside its trace, that travels in
// the context; what a caller may do is decided elsewhere.
package caller

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/rosterhq/roster/services/internal/id"
)

// Caller is who is calling, as the server has proven it. The zero Caller is anybody.
type Caller struct {
	Service   string      // the suite's service at the other end of the connection, such as "gateway"; "" for everyone else
	Account   id.Account  // the person who is signed in; zero: none
	Session   id.Session  // the session that they are signed in with
	Operator  id.Operator // the operator who is signed in; zero: none
	AuthTime  time.Time   // when they last proved who they are
	Address   string      // the client's address, as the edge saw it
	UserAgent string      // the client, as it calls itself
}

// SignedIn tells whether a person or an operator is calling, not a service for itself, and not anybody.
func (c Caller) SignedIn() bool { return !c.Account.IsZero() || !c.Operator.IsZero() }

// What the edge tells a service of the client whose call it passes on.
const (
	AddressHeader   = "x-roster-client-address"
	UserAgentHeader = "x-roster-user-agent"
)

type key struct{}

// With returns a context that carries the caller.
func With(ctx context.Context, c Caller) context.Context { return context.WithValue(ctx, key{}, c) }

// From returns the caller in the context; the zero Caller when there is none.
func From(ctx context.Context) Caller {
	c, _ := ctx.Value(key{}).(Caller)
	return c
}

// TraceID returns the id of the trace that the context belongs to, 32 hexadecimal digits; "" outside of any.
// It is the request id of logs and of events, and what people tell support.
func TraceID(ctx context.Context) string {
	if id := trace.SpanContextFromContext(ctx).TraceID(); id.IsValid() {
		return id.String()
	}
	return ""
}
