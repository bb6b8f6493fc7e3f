package billing

import (
	"context"
	"fmt"

	"github.com/rosterhq/roster/pkg/events"
	"github.com/rosterhq/roster/pkg/fault"
	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
)

// ReleaseSeats is one flight, and never refused.
func (s *Service) ReleaseSeats(ctx context.Context, req *billingv1.ReleaseSeatsRequest) (*billingv1.ReleaseSeatsResponse, error) {
	org, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	seats, err := seatsFromProto("seat_ids", req.GetSeatIds())
	if err != nil {
		return nil, err
	}
	if len(seats) == 0 {
		return nil, fault.Invalid("seat_ids", "must name at least one seat")
	}
	origin, err := originFromProto(ctx, req.GetOrigin())
	if err != nil {
		return nil, err
	}
	outcome, err := s.change(ctx, org, origin, nil, seats)
	if err != nil {
		return nil, fmt.Errorf("release seats: %w", err)
	}
	return &billingv1.ReleaseSeatsResponse{Usage: usageToProto(outcome.Usage)}, nil
}

// releasedAtOnce bounds how many seats of a deleted organization one flight frees.
const releasedAtOnce = 500

// OrganizationDeleted frees all seats of an organization that is gone. Hearing it again finds nothing to do.
func (s *Service) OrganizationDeleted(ctx context.Context, e events.Event) error {
	org, err := id.ParseOrganization(e.Aggregate)
	if err != nil {
		return err
	}
	message, err := e.Message()
	if err != nil {
		return err
	}
	origin := outbox.Origin{Service: s.DB.Name, Cause: eventv1.Cause_KIND_ORGANIZATION, CauseID: org.String()}.Context(ctx)
	origin.TraceId = e.TraceID
	if deleted, ok := message.(*eventv1.OrganizationDeleted); ok && deleted.GetContext().GetActor() != nil {
		origin.Actor = deleted.GetContext().GetActor()
	}
	for {
		live, err := s.store.ListLive(ctx, org, releasedAtOnce)
		if err != nil {
			return fmt.Errorf("list seats of a deleted organization: %w", err)
		}
		if len(live) == 0 {
			return nil
		}
		seats := make([]id.Seat, len(live))
		for i, held := range live {
			seats[i] = held.SeatID
		}
		if _, err := s.change(ctx, org, origin, nil, seats); err != nil {
			return fmt.Errorf("release seats of a deleted organization: %w", err)
		}
	}
}
