package identity

import (
	"context"
	"errors"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/identity/internal/apikey"
	"github.com/rosterhq/roster/services/identity/internal/session"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/secret"
)

// RevokeToken ends the session or the key of a person, or the key of an organization's service account, for whoever holds it. Whatever else is
// shown stays as it is, and is answered alike.
func (s *Service) RevokeToken(ctx context.Context, req *identityv1.RevokeTokenRequest) (*identityv1.RevokeTokenResponse, error) {
	if key, ok := secret.Parse(secret.OrganizationKey, req.GetToken()); ok { // membership keeps those
		_, err := s.Programs.RevokeOrganizationKey(ctx, &membershipv1.RevokeOrganizationKeyRequest{OrganizationId: id.Organization(key.Owner).String(),
			SecretHash: key.Hash, RevokerServiceAccountId: caller.From(ctx).ServiceAccount.String()})
		return &identityv1.RevokeTokenResponse{}, err
	}
	claims, _, err := s.whose(ctx, req.GetToken(), false)
	if errors.Is(err, session.ErrUnauthenticated) || err == nil && claims.Account.IsZero() {
		return &identityv1.RevokeTokenResponse{}, nil
	}
	if err != nil {
		return nil, err
	}
	from := outbox.Origin{ServiceAccount: caller.From(ctx).ServiceAccount, Cause: eventv1.Cause_KIND_ADMIN}.Context(ctx)
	err = s.inTxOnce(ctx, postgres.In(claims.Account), func(q store.Queries) error {
		if !claims.Key.IsZero() {
			if err := q.DeleteAPIKey(ctx, claims.Account, claims.Key); err != nil {
				return err
			}
			return outbox.Publish(q.Tx, claims.Account, q.Now(), &eventv1.AccountApiKeyDeleted{Context: from, ApiKeyId: claims.Key.String()})
		}
		ended, err := q.LockSession(ctx, claims.Account, claims.Session)
		if err != nil {
			return err
		}
		return endSession(q, ended, from)
	})
	if err != nil && !errors.Is(err, session.ErrNotFound) && !errors.Is(err, apikey.ErrNotFound) { // others were faster
		return nil, err
	}
	return &identityv1.RevokeTokenResponse{}, nil
}
