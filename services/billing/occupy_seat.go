package billing

import (
	"context"
	"fmt"

	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
)

// OccupySeat is one flight. It costs no seat, so it works at the limit and above it. A seat that is occupied already keeps
// its account: membership seats one member on a seat.
func (s *Service) OccupySeat(ctx context.Context, req *billingv1.OccupySeatRequest) (*billingv1.OccupySeatResponse, error) {
	org, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	seatID, err := id.ParseSeat(req.GetSeatId())
	if err != nil {
		return nil, err
	}
	account, err := id.ParseAccount(req.GetAccountId())
	if err != nil {
		return nil, err
	}
	origin, err := originFromProto(ctx, req.GetOrigin())
	if err != nil {
		return nil, err
	}
	event, err := outbox.NewEvent(org, s.Now(), &eventv1.SeatOccupied{
		Context: origin,
		Seats:   []*eventv1.Seat{{SeatId: seatID.String(), State: eventv1.Seat_STATE_OCCUPIED, AccountId: account.String()}},
	})
	if err != nil {
		return nil, err
	}
	state, err := s.store.Occupy(ctx, org, seatID, account, event)
	if err != nil {
		return nil, fmt.Errorf("occupy seat: %w", err)
	}
	return &billingv1.OccupySeatResponse{State: stateToProto(state)}, nil
}
