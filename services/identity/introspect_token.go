package identity

import (
	"context"
	"errors"

	"google.golang.org/protobuf/types/known/timestamppb"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/session"
	"github.com/rosterhq/roster/services/internal/caller"
)

// IntrospectToken says whose a session or a key is, as ResolveCredential finds it out. Whoever has not completed a sign-in is nobody, and
// so are operators and service accounts of the deployment: what they show is for Roster alone.
func (s *Service) IntrospectToken(ctx context.Context, req *identityv1.IntrospectTokenRequest) (*identityv1.IntrospectTokenResponse, error) {
	claims, end, err := s.whose(ctx, req.GetToken(), false)
	switch {
	case errors.Is(err, session.ErrUnauthenticated):
		return &identityv1.IntrospectTokenResponse{}, nil
	case err != nil:
		return nil, err
	case claims.Account.IsZero() && claims.Organization.IsZero(), claims.Stage != caller.Complete:
		return &identityv1.IntrospectTokenResponse{}, nil
	}
	answer := &identityv1.IntrospectTokenResponse{Active: true, AccountId: claims.Account.String(), Kind: identityv1.IntrospectTokenResponse_KIND_SESSION,
		ServiceAccountId: claims.ServiceAccount.String(), OrganizationId: claims.Organization.String(),
		Scopes: claims.Scopes, IssueTime: timestamppb.New(claims.IssuedAt), ExpireTime: timestamppb.New(end)}
	switch {
	case !claims.ServiceAccount.IsZero():
		answer.Kind = identityv1.IntrospectTokenResponse_KIND_SERVICE_ACCOUNT_KEY
	case !claims.Key.IsZero():
		answer.Kind = identityv1.IntrospectTokenResponse_KIND_API_KEY
	}
	if !claims.AuthTime.IsZero() {
		answer.AuthTime = timestamppb.New(claims.AuthTime)
	}
	return answer, nil
}
