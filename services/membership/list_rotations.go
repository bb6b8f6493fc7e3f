package membership

import (
	"context"
	"time"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// ListRotations returns all rotations, with who is on call and who follows.
func (s *Service) ListRotations(ctx context.Context, req *membershipv1.ListRotationsRequest) (*membershipv1.ListRotationsResponse, error) {
	key, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	me := caller.From(ctx).Account
	var at store.Standing
	var rotations org.Rotations
	var now time.Time
	err = s.view(ctx, key, func(q store.Queries) (err error) {
		at, rotations, err = q.Rotations(ctx, key, me)
		now = q.Now()
		return err
	})
	if err != nil {
		return nil, err
	}
	actor, err := at.Organization.Admit(at.Members[me])
	if err != nil {
		return nil, err
	}
	if err := actor.Need(org.ReadMembers); err != nil {
		return nil, err
	}
	if err := at.Organization.UsesAvailability(); err != nil {
		return nil, err
	}
	answer := &membershipv1.ListRotationsResponse{}
	for _, r := range rotations {
		answer.Rotations = append(answer.Rotations, rotationToProto(r, now))
	}
	return answer, nil
}
