package membership

import (
	"context"
	"errors"
	"fmt"

	"github.com/rosterhq/roster/pkg/fault"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/saga"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// conclude ends an operation for which other services have done their part: refused, if they gave a refusal, or with what then writes.
// Both the verb that began it and the sweeper may come here, at the same time; who is second changes nothing. It is an error only if
// the outcome is still open.
func (s *Service) conclude(ctx context.Context, key id.Organization, op org.Operation, refusal *fault.Fault,
	then func(store.Queries, org.Operation, store.Standing) error,
) error {
	err := s.inTx(ctx, key, func(q store.Queries) error {
		now, at, err := q.LockOperation(ctx, key, op)
		if err != nil || now.State != org.Pending { // somebody else was faster
			return err
		}
		task(key, now).Done(q.Tx)
		if refusal != nil {
			refuse(q, now, at, refusal)
			return nil
		}
		return then(q, now, at)
	})
	if err != nil { // BUSY for example, which alone would say that nothing was begun
		return saga.Unfinished(fmt.Errorf("finish operation: %w", err))
	}
	return nil
}

// refuse ends an operation without effect. An organization without its first member never was.
func refuse(q store.Queries, op org.Operation, at store.Standing, why *fault.Fault) {
	q.RefuseOperation(at.Organization.ID, op, why)
	if op.Kind == org.CreateOperation {
		at.Organization.State = org.Failed
		q.SaveOrganization(at.Organization)
	}
}

// outcome is the answer about an operation that is not done.
func outcome(op org.Operation) error {
	if op.Refusal != nil {
		return op.Refusal
	}
	return saga.Unfinished(errors.New("the operation is still under way"))
}

// byAdmin is what the event says that an admin's operation leads to.
func byAdmin(ctx context.Context, op org.Operation) *eventv1.Context {
	return outbox.Origin{Account: op.Actor, Cause: eventv1.Cause_KIND_ADMIN, CauseID: op.Seat.String(), RequestID: op.RequestID}.Context(ctx)
}
