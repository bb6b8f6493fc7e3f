package identity

import (
	"context"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/email"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// ListClaims returns the accounts that claim an address.
func (s *Service) ListClaims(ctx context.Context, req *identityv1.ListClaimsRequest) (*identityv1.ListClaimsResponse, error) {
	org, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	address, err := email.ParseField("email", req.GetEmail())
	if err != nil {
		return nil, err
	}
	answer := &identityv1.ListClaimsResponse{}
	err = s.view(ctx, postgres.Scope{}, func(q store.Queries) error {
		claims, err := q.ListClaims(ctx, address.Key)
		for _, c := range claims {
			answer.Claims = append(answer.Claims, &identityv1.ListClaimsResponse_Claim{
				Account: accountToProto(c.Account), Verified: c.Verified && !c.Unproven(), Managed: c.ManagedBy == org, Disabled: !c.SignInAllowed})
		}
		return err
	})
	return answer, err
}
