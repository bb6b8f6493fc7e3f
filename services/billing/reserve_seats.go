package billing

import (
	"context"
	"fmt"
	"slices"

	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

	"github.com/rosterhq/roster/services/billing/internal/seat"
	"github.com/rosterhq/roster/services/billing/internal/store"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
)

// ReserveSeats is one flight, or two for the last free seat: SQL locks the counters, frees, decides, takes and records. A repeated call changes nothing
// and gets what is stored.
func (s *Service) ReserveSeats(ctx context.Context, req *billingv1.ReserveSeatsRequest) (*billingv1.ReserveSeatsResponse, error) {
	org, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	asks, err := asksFromProto(req.GetSeats(), s.Now())
	if err != nil {
		return nil, err
	}
	release, err := seatsFromProto("release_seat_ids", req.GetReleaseSeatIds())
	if err != nil {
		return nil, err
	}
	origin, err := originFromProto(ctx, req.GetOrigin())
	if err != nil {
		return nil, err
	}
	outcome, err := s.change(ctx, org, origin, asks, release)
	if err != nil {
		return nil, fmt.Errorf("reserve seats: %w", err)
	}
	return &billingv1.ReserveSeatsResponse{
		State: stateToProto(seat.Answer(outcome.States...)),
		Usage: usageToProto(outcome.Usage),
	}, nil
}

// change frees seats and takes others. A list in which some seats are new and some are settled is sent once more,
// without the latter: an event names exactly what changed. Asks that would take the last free seat are sent once more too,
// with the event that says so, unless seats were freed for them: that is one change.
func (s *Service) change(ctx context.Context, org id.Organization, origin *eventv1.Context, asks []seat.Ask, release []id.Seat) (store.Outcome, error) {
	together := make([]id.Seat, len(asks))
	for i, ask := range asks {
		together[i] = ask.SeatID
	}
	for again := false; ; again = true {
		c := store.Change{Organization: org, Release: release, Asks: asks, Together: together}
		var err error
		if len(release) > 0 {
			released := &eventv1.SeatReleased{Context: origin, Seats: releasedSeats(release)}
			if c.Released, err = outbox.NewEvent(org, s.Now(), released); err != nil {
				return store.Outcome{}, err
			}
		}
		if len(asks) > 0 {
			reserved := &eventv1.SeatReserved{Context: origin, Seats: reservedSeats(asks)}
			if c.Reserved, err = outbox.NewEvent(org, s.Now(), reserved); err != nil {
				return store.Outcome{}, err
			}
		}
		if len(asks) > 0 && (again || len(release) > 0) {
			atLimit, err := outbox.NewEvent(org, s.Now(), &eventv1.SeatAtLimit{Context: origin})
			if err != nil {
				return store.Outcome{}, err
			}
			c.AtLimit = &atLimit
		}
		outcome, err := s.store.Change(ctx, c)
		if err != nil || outcome.Whole() {
			return outcome, err
		}
		release = outcome.Live
		asks = slices.DeleteFunc(asks, func(ask seat.Ask) bool { return !slices.Contains(outcome.Unheard, ask.SeatID) })
	}
}
