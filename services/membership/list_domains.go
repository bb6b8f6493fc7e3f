package membership

import (
	"context"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// ListDomains returns all domains of the organization.
func (s *Service) ListDomains(ctx context.Context, req *membershipv1.ListDomainsRequest) (*membershipv1.ListDomainsResponse, error) {
	key, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	if _, _, err := s.admit(ctx, key, org.ReadDomains); err != nil {
		return nil, err
	}
	answer := &membershipv1.ListDomainsResponse{}
	err = s.view(ctx, key, func(q store.Queries) error {
		all, err := q.ListDomains(ctx, key)
		answer.Domains = make([]*membershipv1.Domain, len(all))
		for i, d := range all {
			answer.Domains[i] = domainToProto(d)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return answer, nil
}
