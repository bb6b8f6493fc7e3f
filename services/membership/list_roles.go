package membership

import (
	"context"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// ListRoles returns the organization's roles, and which of them the caller may give.
func (s *Service) ListRoles(ctx context.Context, req *membershipv1.ListRolesRequest) (*membershipv1.ListRolesResponse, error) {
	key, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	at, actor, err := s.admit(ctx, key, org.ReadRoles)
	if err != nil {
		return nil, err
	}
	answer := &membershipv1.ListRolesResponse{}
	for _, role := range at.Organization.Roles {
		answer.Roles = append(answer.Roles, roleToProto(actor, role))
	}
	return answer, nil
}
