package membership

import (
	"context"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/membership/internal/org"
)

// Catalogue is every permission of the suite itself: those that rules about methods may name.
var Catalogue = org.Catalogue

// ListPermissions returns the catalogue, with what is registered, by name.
func (s *Service) ListPermissions(ctx context.Context, _ *membershipv1.ListPermissionsRequest) (*membershipv1.ListPermissionsResponse, error) {
	registry, err := s.registry(ctx)
	if err != nil {
		return nil, err
	}
	answer := &membershipv1.ListPermissionsResponse{}
	for _, p := range registry.Catalogue() {
		answer.Permissions = append(answer.Permissions, &membershipv1.Permission{
			Name: p.Name, DisplayName: p.DisplayName, Description: p.Description, Dangerous: p.Dangerous, Reserved: p.Reserved,
		})
	}
	return answer, nil
}
