// Package caller says who is calling. It is the one thing about a request, beside its trace, that travels in
// the context; what a caller may do is decided elsewhere.
package caller

import (
	"context"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// Caller is who is calling, as the server has proven it. The zero Caller is anybody.
type Caller struct {
	Service        string            // the suite's service at the other end of the connection, such as "gateway"; "" for everyone else
	Account        id.Account        // the person who is signed in, or the number of an organization's service account; zero: none
	Session        id.Session        // the session that they are signed in with
	Operator       id.Operator       // the operator who is signed in; zero: none
	ServiceAccount id.ServiceAccount // the service account that calls: of an organization if Account is set, else of the deployment; zero: none
	Key            id.APIKey         // the key that the person's program, or the service account, uses; zero: none
	Scopes         []string          // the permissions or scopes that the key is for, sorted
	Stage          Stage             // how far the sign-in has come
	AuthTime       time.Time         // when they last proved who they are
	Level          int               // with how many factors
	Reach          int               // how many factors they have
	Address        string            // the client's address, as the edge saw it; "" when a service calls for itself
	UserAgent      string            // the client, as it calls itself
}

// Stage is how far a sign-in has come, as roster.access.v1.Rule.Stage names it.
type Stage string

// The stages.
const (
	Complete       Stage = ""
	Challenge      Stage = "CHALLENGE"       // a second factor is due
	PasswordChange Stage = "PASSWORD_CHANGE" // another password is
)

// StepUp refuses whoever did not prove within that time, with every factor that they have, who they are. Keys prove nothing
// about who is there.
func (c Caller) StepUp(now time.Time, within time.Duration) error {
	if c.Level >= c.Reach && !c.AuthTime.IsZero() && now.Sub(c.AuthTime) <= within {
		return nil
	}
	return fault.New(errorv1.Reason_REASON_STEP_UP_REQUIRED, "Prove again who you are, then repeat this.").
		With("minutes", strconv.Itoa(int(within.Minutes())))
}

// Factors is with how many factors a person has shown who they are. A key was made by who had shown all that they had then, so
// it counts what its owner has.
func (c Caller) Factors() int {
	if !c.Key.IsZero() {
		return c.Reach
	}
	return min(c.Level, c.Reach)
}

// SignedIn tells whether a person, an operator or a service account is calling, not a service of the suite for itself, and not anybody.
func (c Caller) SignedIn() bool {
	return !c.Account.IsZero() || !c.Operator.IsZero() || !c.ServiceAccount.IsZero()
}

// Platform tells whether a service account of the deployment is calling: nobody, in no organization.
func (c Caller) Platform() bool { return c.Account.IsZero() && !c.ServiceAccount.IsZero() }

// Credential is the session or the key that the call is made with; zero: neither, for an operator or a service.
func (c Caller) Credential() id.Any {
	if !c.Key.IsZero() {
		return id.Any(c.Key)
	}
	return id.Any(c.Session)
}

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
