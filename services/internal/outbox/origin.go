package outbox

import (
	"context"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
)

// Origin is on whose behalf something happens, and for what reason. The first that is set of Account, Operator,
// ServiceAccount and Service is who acts. The account of a service account that calls is the service account.
type Origin struct {
	Account        id.Account
	Operator       id.Operator
	ServiceAccount id.ServiceAccount
	Service        string // acts by itself
	Cause          eventv1.Cause_Kind
	CauseID        string
	RequestID      string
}

// Context is the origin as events tell it, with the trace that ctx belongs to.
func (o Origin) Context(ctx context.Context) *eventv1.Context {
	actor := &eventv1.Actor{Kind: eventv1.Actor_KIND_SYSTEM, Id: o.Service}
	switch who := caller.From(ctx); {
	case !o.Account.IsZero() && o.Account == who.Account && !who.ServiceAccount.IsZero():
		actor = &eventv1.Actor{Kind: eventv1.Actor_KIND_SERVICE_ACCOUNT, Id: who.ServiceAccount.String()}
	case !o.Account.IsZero():
		actor = &eventv1.Actor{Kind: eventv1.Actor_KIND_ACCOUNT, Id: o.Account.String()}
	case !o.Operator.IsZero():
		actor = &eventv1.Actor{Kind: eventv1.Actor_KIND_OPERATOR, Id: o.Operator.String()}
	case !o.ServiceAccount.IsZero():
		actor = &eventv1.Actor{Kind: eventv1.Actor_KIND_SERVICE_ACCOUNT, Id: o.ServiceAccount.String()}
	}
	return &eventv1.Context{
		Actor:     actor,
		Cause:     &eventv1.Cause{Kind: o.Cause, Id: o.CauseID},
		RequestId: o.RequestID,
		TraceId:   caller.TraceID(ctx),
	}
}
