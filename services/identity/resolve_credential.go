package identity

import (
	"context"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/identity/internal/session"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/credential"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/secret"
)

// audiences are whom tokens are made for.
var audiences = []string{"gateway", "membership", "invitation", "billing", "identity"}

// ResolveCredential exchanges a session or a key for a token that one service believes for a minute.
// Whatever is wrong with a credential, the answer is the same.
func (s *Service) ResolveCredential(ctx context.Context, req *identityv1.ResolveCredentialRequest) (*identityv1.ResolveCredentialResponse, error) {
	if !slices.Contains(audiences, req.GetAudience()) {
		return nil, fault.Invalid("audience", "must be a service")
	}
	claims, end, err := s.whose(ctx, req.GetSecret(), req.GetCookie())
	if err != nil {
		return nil, err
	}
	claims.Audience = req.GetAudience()
	claims.IssuedAt = s.Now()
	claims.Expires = claims.IssuedAt.Add(credential.Lifetime)
	if end.Before(claims.Expires) {
		claims.Expires = end
	}
	if !claims.Expires.After(claims.IssuedAt) { // it ends as we speak
		return nil, session.ErrUnauthenticated
	}
	key, err := s.signingKey(ctx)
	if err != nil {
		return nil, err
	}
	token, err := credential.Sign(key, claims)
	if err != nil {
		return nil, err
	}
	return &identityv1.ResolveCredentialResponse{Token: token, ExpireTime: timestamppb.New(claims.Expires)}, nil
}

// whose returns who presents the secret, when that was issued, and until when it is good at the latest.
func (s *Service) whose(ctx context.Context, text string, cookie bool) (claims credential.Claims, end time.Time, err error) {
	if key, ok := secret.Parse(secret.OperatorKey, text); ok && !cookie {
		claims.Operator = id.Operator(key.Owner)
		end, err = s.store.UseOperatorKey(ctx, claims.Operator, key.Hash)
		return claims, end, err
	}
	if key, ok := secret.Parse(secret.APIKey, text); ok && !cookie {
		found, err := s.store.UseAPIKey(ctx, id.Account(key.Owner), key.Hash)
		return credential.Claims{Account: found.AccountID, Key: found.ID, Scopes: found.Scopes, Reach: found.Factors, IssuedAt: found.CreateTime}, found.ExpireTime, err
	}
	if key, ok := secret.Parse(secret.ServiceKey, text); ok && !cookie {
		claims.ServiceAccount = id.ServiceAccount(key.Owner)
		found, err := s.store.UseServiceKey(ctx, claims.ServiceAccount, key.Hash)
		claims.Key, claims.Scopes = found.ID, found.Scopes
		return claims, found.ExpireTime, err
	}
	if key, ok := secret.Parse(secret.OrganizationKey, text); ok && !cookie {
		return s.whoseOrganization(ctx, key)
	}
	key, ok := secret.Parse(secret.Session, text)
	if !ok {
		return claims, end, session.ErrUnauthenticated
	}
	delivery := session.Token
	if cookie {
		delivery = session.Cookie
	}
	found, err := s.store.UseSession(ctx, id.Account(key.Owner), key.Hash, delivery)
	if err != nil {
		return claims, end, err
	}
	return credential.Claims{
		Account: found.AccountID, Session: found.ID, Stage: caller.Stage(found.Stage), AuthTime: found.AuthTime, Level: found.Level, Reach: found.Factors,
		IssuedAt: found.CreateTime,
	}, found.ExpireTime, nil
}

// whoseOrganization returns the service account of an organization that presents the key: membership keeps those.
func (s *Service) whoseOrganization(ctx context.Context, key secret.Secret) (claims credential.Claims, end time.Time, err error) {
	claims.Organization = id.Organization(key.Owner)
	found, err := s.Programs.ResolveOrganizationKey(ctx, &membershipv1.ResolveOrganizationKeyRequest{
		OrganizationId: claims.Organization.String(), SecretHash: key.Hash})
	if fault.ReasonOf(err) == errorv1.Reason_REASON_API_KEY_NOT_FOUND {
		err = session.ErrUnauthenticated
	}
	if err == nil {
		claims.ServiceAccount, err = id.ParseServiceAccount(found.GetServiceAccountId())
	}
	if err == nil {
		claims.Key, err = id.ParseAPIKey(found.GetApiKeyId())
	}
	claims.Scopes, claims.IssuedAt = found.GetScopes(), found.GetCreateTime().AsTime()
	return claims, found.GetExpireTime().AsTime(), err
}
