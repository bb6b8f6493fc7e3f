package identity

import (
	"context"
	"fmt"
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/identity/internal/apikey"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/naming"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/secret"
)

// CreateApiKey makes a key. What it is for is held against what its owner may do wherever it is used, so that here only a scope is refused
// that is no permission: one that its owner does not hold gives nothing.
func (s *Service) CreateApiKey(ctx context.Context, req *identityv1.CreateApiKeyRequest) (*identityv1.CreateApiKeyResponse, error) {
	owner := caller.From(ctx).Account
	name, err := naming.ParseDisplayName("display_name", req.GetDisplayName())
	if err != nil {
		return nil, err
	}
	there, err := s.Roles.ListPermissions(ctx, &membershipv1.ListPermissionsRequest{})
	if err != nil {
		return nil, fmt.Errorf("list permissions: %w", err)
	}
	permissions := make([]string, 0, len(there.GetPermissions()))
	for _, p := range there.GetPermissions() {
		permissions = append(permissions, p.GetName())
	}
	if err := apikey.Known(req.GetScopes(), permissions); err != nil {
		return nil, err
	}
	made := secret.New(secret.APIKey, owner)
	key := apikey.Key{AccountID: owner, ID: id.NewAPIKey(), DisplayName: name, Scopes: slices.Sorted(slices.Values(req.GetScopes())),
		LastFour: made.Text()[len(made.Text())-4:]}
	err = s.inTxOnce(ctx, postgres.In(owner), func(q store.Queries) error {
		live, err := q.LockAPIKeys(ctx, owner)
		if err != nil {
			return err
		}
		if err := stillSignedIn(ctx, q); err != nil {
			return err
		}
		if len(live) >= apikey.Most {
			return apikey.ErrTooMany
		}
		key.CreateTime = q.Now()
		if key.ExpireTime, err = apikey.Expiry(timeOf(req.GetExpireTime()), q.Now()); err != nil {
			return err
		}
		q.InsertAPIKey(key, made.Hash)
		of, err := q.GetAccount(ctx, owner)
		if err != nil {
			return err
		}
		if err := s.notify(q, of, mail.ApiKeyCreated{Notice: s.notice(ctx, q), Name: name, Expires: key.ExpireTime}); err != nil {
			return err
		}
		return outbox.Publish(q.Tx, owner, q.Now(), &eventv1.AccountApiKeyCreated{Context: origin(ctx, owner, ""),
			ApiKeyId: key.ID.String(), Scopes: key.Scopes, ExpireTime: timestamppb.New(key.ExpireTime)})
	})
	if err != nil {
		return nil, err
	}
	return &identityv1.CreateApiKeyResponse{ApiKey: apiKeyToProto(key), Secret: made.Text()}, nil
}
