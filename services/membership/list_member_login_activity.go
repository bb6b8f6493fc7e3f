package membership

import (
	"context"
	"fmt"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/membership/internal/org"
)

// ListMemberLoginActivity returns what was tried with a member's account, as ListMemberSessions does.
func (s *Service) ListMemberLoginActivity(ctx context.Context, req *membershipv1.ListMemberLoginActivityRequest) (*membershipv1.ListMemberLoginActivityResponse, error) {
	account, err := s.accountOf(ctx, req, org.ReadActivity)
	if err != nil {
		return nil, err
	}
	found, err := s.Accounts.ListAccountLoginActivity(ctx, &identityv1.ListAccountLoginActivityRequest{
		AccountId: account, OrganizationId: req.GetOrganizationId()})
	if err != nil {
		return nil, fmt.Errorf("ask identity for login activity: %w", err)
	}
	return &membershipv1.ListMemberLoginActivityResponse{Managed: found.GetManaged(), Activity: found.GetActivity()}, nil
}
