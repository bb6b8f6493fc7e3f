package membership

import (
	"context"
	"slices"

	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// CheckSeatOwners tells billing which seats a member or an operation under way still names. The owner that billing knows
// may be the invitation that the seat came from, so the seat alone counts.
func (s *Service) CheckSeatOwners(ctx context.Context, req *billingv1.CheckSeatOwnersRequest) (*billingv1.CheckSeatOwnersResponse, error) {
	key, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	asked := make([]id.Seat, len(req.GetClaims()))
	for i, claim := range req.GetClaims() {
		if asked[i], err = id.ParseSeat(claim.GetSeatId()); err != nil {
			return nil, err
		}
	}
	var named []id.Seat
	err = s.view(ctx, key, func(q store.Queries) (err error) {
		named, err = q.ListSeatsAlive(ctx, key, asked)
		return err
	})
	if err != nil {
		return nil, err
	}
	answer := &billingv1.CheckSeatOwnersResponse{Alive: make([]bool, len(asked))}
	for i, seat := range asked {
		answer.Alive[i] = slices.Contains(named, seat)
	}
	return answer, nil
}
