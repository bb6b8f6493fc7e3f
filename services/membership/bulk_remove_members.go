package membership

import (
	"context"
	"time"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// BulkRemoveMembers is RemoveMember for many. The seats are given back when all have lost the access.
func (s *Service) BulkRemoveMembers(ctx context.Context, req *membershipv1.BulkRemoveMembersRequest) (*membershipv1.BulkRemoveMembersResponse, error) {
	results, token, err := s.inBulk(ctx, req, bulk{
		method: "BulkRemoveMembers", permission: org.RemoveMembers,
		do: func(ctx context.Context, key id.Organization, target id.Account, once postgres.Request) (memberChange, error) {
			return s.remove(ctx, key, target, req.GetRemoveProjectMemberships(), once)
		},
		decide: func(a org.Actor, target *org.Member, others bool, _ time.Time) error {
			_, err := a.Remove(target, others)
			return err
		},
		after: s.ended,
	})
	if err != nil {
		return nil, err
	}
	return &membershipv1.BulkRemoveMembersResponse{Results: results, Token: token}, nil
}
