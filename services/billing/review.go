package billing

import (
	"context"
	"fmt"
	"time"

	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

	"github.com/rosterhq/roster/services/billing/internal/seat"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/saga"
)

// reviewPause is how long an owner that lives is left in peace.
const reviewPause = 10 * time.Minute

// review asks the owner of a reserved seat whether it lives, and frees the seat of a dead one. It is what finds a seat
// whose owner was lost, as after restoring a database; in every other case the owner frees the seat itself.
func (s *Service) review(ctx context.Context, task saga.Task) error {
	org, seatID := id.Organization(task.Aggregate), id.Seat(task.ID)
	held, err := s.store.Get(ctx, org, seatID)
	if err != nil {
		return fmt.Errorf("read seat: %w", err)
	}
	if held.State != seat.Reserved {
		return s.store.Settle(ctx, org, seatID)
	}
	alive, err := s.ownerLives(ctx, org, held)
	if err != nil {
		return err
	}
	if alive {
		return s.store.Postpone(ctx, org, seatID, reviewPause)
	}
	s.Log.InfoContext(ctx, "a seat is freed because nobody owns it", "organization", org.String(), "seat", seatID.String(), "owner", held.Owner())
	origin := outbox.Origin{Service: s.DB.Name, Cause: eventv1.Cause_KIND_EXPIRY, CauseID: held.Owner()}
	if _, err := s.change(ctx, org, origin.Context(ctx), nil, []id.Seat{seatID}); err != nil {
		return fmt.Errorf("release seat: %w", err)
	}
	return nil
}

// ownerLives asks whoever may own the seat, in the order in which it is handed over: an invitation passes its seat to a
// member before it ends, so a seat between the two is never dead to both.
func (s *Service) ownerLives(ctx context.Context, org id.Organization, held seat.Seat) (bool, error) {
	kinds := []billingv1.OwnerKind{billingv1.OwnerKind_OWNER_KIND_MEMBER}
	if held.OwnerKind == seat.Invitation {
		kinds = []billingv1.OwnerKind{billingv1.OwnerKind_OWNER_KIND_INVITATION, billingv1.OwnerKind_OWNER_KIND_MEMBER}
	}
	for _, kind := range kinds {
		owner, ok := s.Owners[kind]
		if !ok {
			return false, fmt.Errorf("ask the owner of a seat: nobody answers for %v", kind)
		}
		answer, err := owner.CheckSeatOwners(ctx, &billingv1.CheckSeatOwnersRequest{
			OrganizationId: org.String(),
			Claims:         []*billingv1.CheckSeatOwnersRequest_Claim{{SeatId: held.SeatID.String(), OwnerId: held.Owner()}},
		})
		if err != nil {
			return false, fmt.Errorf("ask the owner of a seat: %w", err)
		}
		if len(answer.GetAlive()) != 1 {
			return false, fmt.Errorf("ask the owner of a seat: %v answered %d claims of 1", kind, len(answer.GetAlive()))
		}
		if answer.GetAlive()[0] {
			return true, nil
		}
	}
	return false, nil
}
