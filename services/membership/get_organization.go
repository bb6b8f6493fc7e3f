package membership

import (
	"context"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// GetOrganization returns one organization of the caller.
func (s *Service) GetOrganization(ctx context.Context, req *membershipv1.GetOrganizationRequest) (*membershipv1.GetOrganizationResponse, error) {
	key, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	at, actor, err := s.admit(ctx, key, org.ReadOrganization)
	if err != nil {
		return nil, err
	}
	return &membershipv1.GetOrganizationResponse{Organization: organizationToProto(at.Organization, actor.Role.Key, actor.Permissions)}, nil
}
