package membership

import (
	"context"
	"time"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// BulkChangeMemberRole is ChangeMemberRole for many.
func (s *Service) BulkChangeMemberRole(ctx context.Context, req *membershipv1.BulkChangeMemberRoleRequest) (*membershipv1.BulkChangeMemberRoleResponse, error) {
	results, token, err := s.inBulk(ctx, req, bulk{
		method: "BulkChangeMemberRole", permission: org.AssignRole,
		do: func(ctx context.Context, key id.Organization, target id.Account, once postgres.Request) (memberChange, error) {
			return s.changeRole(ctx, key, target, req.GetRole(), "", once)
		},
		decide: func(a org.Actor, target *org.Member, others bool, _ time.Time) error {
			return a.ChangeRole(target, req.GetRole(), "", others)
		},
	})
	if err != nil {
		return nil, err
	}
	return &membershipv1.BulkChangeMemberRoleResponse{Results: results, Token: token}, nil
}
