package membership

import (
	"context"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/membership/internal/org"
)

// ListPermissions returns the catalogue, by name.
func (s *Service) ListPermissions(context.Context, *membershipv1.ListPermissionsRequest) (*membershipv1.ListPermissionsResponse, error) {
	answer := &membershipv1.ListPermissionsResponse{}
	for _, p := range org.Catalogue() {
		answer.Permissions = append(answer.Permissions, &membershipv1.Permission{
			Name: p.Name, Description: p.Description, Dangerous: p.Dangerous, Reserved: p.Reserved,
		})
	}
	return answer, nil
}
