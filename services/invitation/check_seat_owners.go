package invitation

import (
	"context"

	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/invitation/internal/store"
)

// CheckSeatOwners tells billing which seats live invitations still name. An id is never given to a second seat or a
// second invitation, so "dead" is final.
func (s *Service) CheckSeatOwners(ctx context.Context, req *billingv1.CheckSeatOwnersRequest) (*billingv1.CheckSeatOwnersResponse, error) {
	org, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	owners := make([]id.Invitation, len(req.GetClaims()))
	for i, claim := range req.GetClaims() {
		owners[i], _ = id.ParseInvitation(claim.GetOwnerId()) // an owner of another kind is none of ours
	}
	answer := &billingv1.CheckSeatOwnersResponse{}
	err = s.view(ctx, org, func(q store.Queries) error {
		claims, err := q.ListSeatClaims(ctx, org, owners)
		if err != nil {
			return err
		}
		answer.Alive = make([]bool, len(owners))
		for i, claim := range req.GetClaims() {
			seat, live := claims[owners[i]]
			answer.Alive[i] = live && seat.String() == claim.GetSeatId()
		}
		return nil
	})
	return answer, err
}
