package membership

import (
	"context"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// HasDomain tells identity whether the word of an organization's identity provider counts for addresses on a domain.
func (s *Service) HasDomain(ctx context.Context, req *membershipv1.HasDomainRequest) (*membershipv1.HasDomainResponse, error) {
	key, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	answer := &membershipv1.HasDomainResponse{}
	return answer, s.DB.View(ctx, postgres.Scope{}, func(tx *postgres.Tx) error {
		found, err := queries(tx).FindDomain(ctx, req.GetDomain())
		answer.Verified = !found.OrganizationID.IsZero() && found.OrganizationID == key
		return err
	})
}
