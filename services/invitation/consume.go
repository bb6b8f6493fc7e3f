package invitation

import (
	"context"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

	"github.com/rosterhq/roster/pkg/events"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/invitation/internal/invite"
	"github.com/rosterhq/roster/services/invitation/internal/store"
)

// revokedAtOnce is how many invitations of a deleted organization one transaction revokes.
const revokedAtOnce = 50

// OrganizationDeleted revokes what is open in an organization that is gone. Hearing it again finds nothing to do.
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
				inv := &open[i]
				if inv.Overdue(q.Now()) {
					if err := s.expire(ctx, q, inv); err != nil {
						return err
					}
					continue
				}
				before := *inv
				if err := inv.Revoke(q.Now()); err != nil {
					return err
				}
				q.Save(inv)
				if err := s.publishEnd(ctx, q, before, inv, why{cause: eventv1.Cause_KIND_ORGANIZATION}); err != nil {
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
