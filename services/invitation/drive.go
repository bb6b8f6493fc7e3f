package invitation

import (
	"context"
	"errors"

	"google.golang.org/protobuf/proto"

	"github.com/rosterhq/roster/pkg/fault"
	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/saga"
	"github.com/rosterhq/roster/services/invitation/internal/invite"
	"github.com/rosterhq/roster/services/invitation/internal/store"
)

// drive brings an invitation as far as it gets: out of RESERVING and ACCEPTING, past its expiry, and through giving
// back what it held. Every call to another service is idempotent on an id of the row, so it does not matter how often
// this runs, or whether the verb that began the step or the sweeper runs it.
func (s *Service) drive(ctx context.Context, org id.Organization, key id.Invitation) error {
	inv, err := s.get(ctx, org, key)
	if err != nil {
		return err
	}
	switch {
	case inv.State == invite.Reserving:
		return s.reserve(ctx, inv)
	case inv.State == invite.Accepting:
		_, err := s.completeAccept(ctx, inv) // a refusal was noted, and there is nobody to tell
		return err
	case inv.Releasing:
		return s.release(ctx, inv)
	}
	err = s.inTx(ctx, org, func(q store.Queries) error {
		if inv, err = q.Lock(ctx, org, key); err != nil {
			return err
		}
		if inv.Overdue(q.Now()) {
			return s.expire(ctx, q, inv)
		}
		q.Schedule(inv) // it waits, or has ended, and is looked at when its time comes, or never
		return nil
	})
	if err != nil || !inv.Releasing {
		return err
	}
	return s.release(ctx, inv)
}

func (s *Service) get(ctx context.Context, org id.Organization, key id.Invitation) (inv *invite.Invitation, err error) {
	err = s.view(ctx, org, func(q store.Queries) error {
		inv, err = q.Get(ctx, org, key)
		return err
	})
	return inv, err
}

// release gives the seat and the username back.
func (s *Service) release(ctx context.Context, inv *invite.Invitation) error {
	_, err := s.Seats.ReleaseSeats(ctx, &billingv1.ReleaseSeatsRequest{
		OrganizationId: inv.OrganizationID.String(),
		SeatIds:        []string{inv.SeatID.String()},
		Origin:         why{cause: releaseCause[inv.State]}.origin(inv.InvitationID),
	})
	if err != nil {
		return err
	}
	if err := s.releaseUsername(ctx, inv); err != nil {
		return err
	}
	return s.inTx(ctx, inv.OrganizationID, func(q store.Queries) error {
		now, err := q.Lock(ctx, inv.OrganizationID, inv.InvitationID)
		if err != nil {
			return err
		}
		if !now.Releasing || now.SeatID != inv.SeatID {
			return nil
		}
		now.Released()
		q.Save(now)
		return nil
	})
}

var releaseCause = map[invite.State]eventv1.Cause_Kind{
	invite.Declined: eventv1.Cause_KIND_SELF,
	invite.Revoked:  eventv1.Cause_KIND_ADMIN,
	invite.Expired:  eventv1.Cause_KIND_EXPIRY,
	invite.Failed:   eventv1.Cause_KIND_INVITE,
}

func (s *Service) releaseUsername(ctx context.Context, inv *invite.Invitation) error {
	if inv.Username == "" {
		return nil
	}
	_, err := s.Accounts.ReleaseUsername(ctx, &identityv1.ReleaseUsernameRequest{
		InvitationId: inv.InvitationID.String(), Generation: inv.Generation})
	return err
}

// releaseSoon gives back what an ended invitation held, within a second, and says whether it is done. If billing does
// not answer, the sweeper goes on.
func (s *Service) releaseSoon(ctx context.Context, org id.Organization, key id.Invitation) bool {
	ctx, cancel := context.WithTimeout(ctx, releaseTime)
	defer cancel()
	inv, err := s.get(ctx, org, key)
	if err == nil && inv.Releasing {
		err = s.release(ctx, inv)
	}
	if err != nil {
		s.Log.Warn("a seat is given back later", "organization", org.String(), "invitation", key.String(), "error", err)
		return false
	}
	return true
}

// outages are what it means that another service has not answered. BUSY is one: whoever asked for the acceptance must not
// believe that nothing has begun.
var outages = map[errorv1.Reason]bool{
	errorv1.Reason_REASON_BUSY:              true,
	errorv1.Reason_REASON_UNAVAILABLE:       true,
	errorv1.Reason_REASON_DEADLINE_EXCEEDED: true,
	errorv1.Reason_REASON_INTERNAL:          true,
}

// unfinished is the answer when another service did not answer in time: what was begun will be finished.
func unfinished(err error) error {
	if f := fault.From(err); f != nil && !outages[f.Reason] || errors.Is(err, context.Canceled) {
		return err
	}
	return saga.Unfinished(err)
}

// publishEnd publishes the event of an invitation's end.
func (s *Service) publishEnd(ctx context.Context, q store.Queries, before invite.Invitation, inv *invite.Invitation, w why) error {
	origin, was, is := w.event(ctx, inv.InvitationID), toEvent(before), toEvent(*inv)
	var event proto.Message
	switch inv.State {
	case invite.Accepted:
		event = &eventv1.InvitationAccepted{Context: origin, Before: was, After: is}
	case invite.Declined:
		event = &eventv1.InvitationDeclined{Context: origin, Before: was, After: is}
	case invite.Revoked:
		event = &eventv1.InvitationRevoked{Context: origin, Before: was, After: is}
	case invite.Expired:
		event = &eventv1.InvitationExpired{Context: origin, Before: was, After: is}
	default:
		event = &eventv1.InvitationFailed{Context: origin, Before: was, After: is}
	}
	return outbox.Publish(q.Tx, inv.OrganizationID, q.Now(), event)
}
