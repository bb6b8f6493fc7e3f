package identity

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/apikey"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/naming"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/secret"
)

// CreateServiceAccountKey makes a key of a service account; those that it has go on working, so that one can follow another.
func (s *Service) CreateServiceAccountKey(ctx context.Context, req *identityv1.CreateServiceAccountKeyRequest) (*identityv1.CreateServiceAccountKeyResponse, error) {
	owner, err := id.ParseServiceAccount(req.GetServiceAccountId())
	if err != nil {
		return nil, apikey.ErrNoServiceAccount
	}
	name, err := naming.ParseDisplayName("display_name", req.GetDisplayName())
	if err != nil {
		return nil, err
	}
	made := secret.New(secret.ServiceKey, owner)
	key := apikey.Key{ID: id.NewAPIKey(), DisplayName: name, LastFour: made.Text()[len(made.Text())-4:]}
	err = s.inTxOnce(ctx, postgres.In(owner), func(q store.Queries) error {
		of, live, err := q.LockServiceAccount(ctx, owner)
		if err != nil {
			return err
		}
		if len(live) >= apikey.Most {
			return apikey.ErrTooManyOfOne
		}
		if key.Scopes, err = of.Narrow(req.GetScopes()); err != nil {
			return err
		}
		key.AccountID, key.CreateTime = of.Account(), q.Now()
		if key.ExpireTime, err = apikey.Expiry(timeOf(req.GetExpireTime()), q.Now()); err != nil {
			return err
		}
		q.InsertAPIKey(key, made.Hash)
		return outbox.Publish(q.Tx, key.AccountID, q.Now(), &eventv1.AccountApiKeyCreated{Context: byOperator(ctx, ""),
			ApiKeyId: key.ID.String(), Scopes: key.Scopes, ExpireTime: timestamppb.New(key.ExpireTime)})
	})
	if err != nil {
		return nil, err
	}
	return &identityv1.CreateServiceAccountKeyResponse{ApiKey: apiKeyToProto(key), Secret: made.Text()}, nil
}

// ListServiceAccountKeys returns the keys of a service account that work.
func (s *Service) ListServiceAccountKeys(ctx context.Context, req *identityv1.ListServiceAccountKeysRequest) (*identityv1.ListServiceAccountKeysResponse, error) {
	_, live, err := s.serviceAccount(ctx, req.GetServiceAccountId())
	if err != nil {
		return nil, err
	}
	answer := &identityv1.ListServiceAccountKeysResponse{}
	for _, key := range live {
		answer.ApiKeys = append(answer.ApiKeys, apiKeyToProto(key))
	}
	return answer, nil
}

// DeleteServiceAccountKey ends one key of a service account.
func (s *Service) DeleteServiceAccountKey(ctx context.Context, req *identityv1.DeleteServiceAccountKeyRequest) (*identityv1.DeleteServiceAccountKeyResponse, error) {
	owner, err := id.ParseServiceAccount(req.GetServiceAccountId())
	if err != nil {
		return nil, apikey.ErrNoServiceAccount
	}
	key, err := id.ParseAPIKey(req.GetApiKeyId())
	if err != nil {
		return nil, apikey.ErrNotFound
	}
	err = s.inTxOnce(ctx, postgres.In(owner), func(q store.Queries) error {
		of, _, err := q.LockServiceAccount(ctx, owner)
		if err != nil {
			return err
		}
		if err := q.DeleteAPIKey(ctx, of.Account(), key); err != nil {
			return err
		}
		return outbox.Publish(q.Tx, of.Account(), q.Now(), &eventv1.AccountApiKeyDeleted{Context: byOperator(ctx, ""), ApiKeyId: key.String()})
	})
	if err != nil {
		return nil, err
	}
	return &identityv1.DeleteServiceAccountKeyResponse{}, nil
}
