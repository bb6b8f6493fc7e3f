package membership

import (
	"context"
	"fmt"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/membership/internal/org"
)

// ListMemberSessions returns where a member is signed in. Whether the organization manages the account, and so may know, identity says.
func (s *Service) ListMemberSessions(ctx context.Context, req *membershipv1.ListMemberSessionsRequest) (*membershipv1.ListMemberSessionsResponse, error) {
	account, err := s.accountOf(ctx, req, org.ReadSessions)
	if err != nil {
		return nil, err
	}
	found, err := s.Accounts.ListAccountSessions(ctx, &identityv1.ListAccountSessionsRequest{AccountId: account, OrganizationId: req.GetOrganizationId()})
	if err != nil {
		return nil, fmt.Errorf("ask identity for sessions: %w", err)
	}
	return &membershipv1.ListMemberSessionsResponse{Managed: found.GetManaged(), Sessions: found.GetSessions()}, nil
}

// accountOf returns the account of a member of whom the caller may know this much.
func (s *Service) accountOf(ctx context.Context, req interface {
	GetOrganizationId() string
	GetAccountId() string
}, permission string) (string, error) {
	key, target, err := parseMember(req)
	if err != nil {
		return "", err
	}
	at, _, err := s.admit(ctx, key, permission, target)
	if err != nil {
		return "", err
	}
	if !at.Members[target].Belongs() {
		return "", org.ErrNoMember
	}
	return target.String(), nil
}
