package membership

import (
	"context"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// ListMfaRequirements tells identity, before it takes away the last second factor of an account, who asks for one.
func (s *Service) ListMfaRequirements(ctx context.Context, req *membershipv1.ListMfaRequirementsRequest) (*membershipv1.ListMfaRequirementsResponse, error) {
	account, err := id.ParseAccount(req.GetAccountId())
	if err != nil {
		return nil, err
	}
	answer := &membershipv1.ListMfaRequirementsResponse{}
	err = s.DB.View(ctx, postgres.Scope{Account: account}, func(tx *postgres.Tx) error {
		name, err := queries(tx).FindMfaRequirement(ctx, account)
		if name != "" {
			answer.OrganizationDisplayNames = []string{name}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return answer, nil
}
