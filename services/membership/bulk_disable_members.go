package membership

import (
	"context"
	"time"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/membership/internal/org"
)

// BulkDisableMembers is DisableMember for many. The seats are given back when all have lost the access.
func (s *Service) BulkDisableMembers(ctx context.Context, req *membershipv1.BulkDisableMembersRequest) (*membershipv1.BulkDisableMembersResponse, error) {
	results, token, err := s.inBulk(ctx, req, bulk{
		method: "BulkDisableMembers", permission: org.DisableMembers,
		do: s.disable,
		decide: func(a org.Actor, target *org.Member, others bool, now time.Time) error {
			_, err := a.Disable(target, others, now)
			return err
		},
		after: s.ended,
	})
	if err != nil {
		return nil, err
	}
	return &membershipv1.BulkDisableMembersResponse{Results: results, Token: token}, nil
}
