package invitation

import (
	"context"

	"github.com/rosterhq/roster/pkg/events"
	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/invitation/internal/invite"
	"github.com/rosterhq/roster/services/invitation/internal/store"
)

// Consume follows what becomes of organizations, of their roles, and of accounts.
func (s *Service) Consume(ctx context.Context, e events.Event) error {
	message, err := e.Message()
	if err != nil {
		return err
	}
	switch m := message.(type) {
	case *eventv1.OrganizationDeleted:
		return s.OrganizationDeleted(ctx, e)
	case *eventv1.RoleDeleted:
		return s.moveRole(ctx, e, m.GetBefore().GetKey())
	case *eventv1.AccountDeleted:
		return s.AccountDeleted(ctx, e)
	}
	return nil
}

// movedAtOnce is how many invitations one transaction gives another role.
const movedAtOnce = 50

// moveRole gives the open invitations of a role that was replaced what membership has for it by now: the event may be old.
// Hearing it again finds nothing to do.
func (s *Service) moveRole(ctx context.Context, e events.Event, role string) error {
	org, err := id.ParseOrganization(e.Aggregate)
	if err != nil {
		return err
	}
	now, err := s.Admission.AuthorizeInvitation(ctx, &membershipv1.AuthorizeInvitationRequest{
		OrganizationId: org.String(), GrantsRole: true, Role: role})
	switch fault.ReasonOf(err) {
	case errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND:
		return nil // nothing came in its place: who accepts is told so
	}
	if err != nil || now.GetRole() == role {
		return err
	}
	var after id.Invitation
	for {
		var open []invite.Invitation
		err := s.inTx(ctx, org, func(q store.Queries) error {
			if open, err = q.LockOpenOfRole(ctx, org, role, after, movedAtOnce); err != nil {
				return err
			}
			for i := range open {
				inv := &open[i]
				before := *inv
				inv.Role = now.GetRole()
				q.SaveRole(inv)
				if !inv.Announced {
					continue
				}
				why := why{cause: eventv1.Cause_KIND_ORGANIZATION}
				if err := outbox.Publish(q.Tx, org, q.Now(), &eventv1.InvitationRoleChanged{
					Context: why.event(ctx, inv.InvitationID), Before: toEvent(before), After: toEvent(*inv)}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || len(open) < movedAtOnce {
			return err
		}
		after = open[len(open)-1].InvitationID
	}
}

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
