package invitation

import (
	"context"

	"github.com/rosterhq/roster/pkg/events"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/invitation/internal/invite"
	"github.com/rosterhq/roster/services/invitation/internal/store"
)

// revokedAtOnce is how many invitations of a deleted organization one transaction ends.
const revokedAtOnce = 50

// OrganizationDeleted ends what is open in an organization that is gone. Hearing it again finds nothing to do.
func (s *Service) OrganizationDeleted(ctx context.Context, e events.Event) error {
	org, err := id.ParseOrganization(e.Aggregate)
	if err != nil {
		return err
	}
	for {
		var open []invite.Invitation
		err := s.inTx(ctx, org, func(q store.Queries) error {
			if open, err = q.LockOpen(ctx, org, revokedAtOnce); err != nil {
				return err
			}
			for i := range open {
				if err := s.close(ctx, q, &open[i]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || len(open) < revokedAtOnce {
			return err
		}
	}
}

// close ends an invitation whose organization is gone. One that is being accepted ends by itself: membership adds nobody.
func (s *Service) close(ctx context.Context, q store.Queries, inv *invite.Invitation) error {
	switch {
	case inv.State == invite.Reserving: // nobody has heard of this attempt
		inv.Refuse(errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
		q.Save(inv)
		return nil
	case inv.Overdue(q.Now()):
		return s.expire(ctx, q, inv)
	}
	before := *inv
	if err := inv.Revoke(q.Now()); err != nil {
		return err
	}
	q.Save(inv)
	return s.publishEnd(ctx, q, before, inv, why{cause: eventv1.Cause_KIND_ORGANIZATION})
}
