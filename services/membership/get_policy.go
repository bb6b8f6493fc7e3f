package membership

import (
	"context"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// GetPolicy returns how the organization works.
func (s *Service) GetPolicy(ctx context.Context, req *membershipv1.GetPolicyRequest) (*membershipv1.GetPolicyResponse, error) {
	key, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	at, _, err := s.admit(ctx, key, org.ReadPolicy)
	if err != nil {
		return nil, err
	}
	o := at.Organization
	return &membershipv1.GetPolicyResponse{Policy: policyToProto(o.Policy), Etag: org.Etag(o.Version), Preset: presetToProto(o.Preset)}, nil
}
