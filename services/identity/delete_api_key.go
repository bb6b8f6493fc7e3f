package identity

import (
	"context"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/apikey"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// DeleteApiKey ends one of the caller's keys. Another person's is not found.
func (s *Service) DeleteApiKey(ctx context.Context, req *identityv1.DeleteApiKeyRequest) (*identityv1.DeleteApiKeyResponse, error) {
	key, err := id.ParseAPIKey(req.GetApiKeyId())
	if err != nil {
		return nil, apikey.ErrNotFound
	}
	owner := caller.From(ctx).Account
	err = s.inTxOnce(ctx, postgres.In(owner), func(q store.Queries) error {
		if err := q.DeleteAPIKey(ctx, owner, key); err != nil {
			return err
		}
		return outbox.Publish(q.Tx, owner, q.Now(), &eventv1.AccountApiKeyDeleted{Context: origin(ctx, owner, ""), ApiKeyId: key.String()})
	})
	if err != nil {
		return nil, err
	}
	return &identityv1.DeleteApiKeyResponse{}, nil
}

// endAPIKeys ends all keys of an account: somebody else may have made some of them, or have got hold of them.
func endAPIKeys(ctx context.Context, q store.Queries, owner id.Account, from *eventv1.Context) error {
	live, err := q.ListAPIKeys(ctx, owner)
	if err != nil {
		return err
	}
	q.DeleteAPIKeys(owner)
	for _, key := range live {
		if err := outbox.Publish(q.Tx, owner, q.Now(), &eventv1.AccountApiKeyDeleted{Context: from, ApiKeyId: key.ID.String()}); err != nil {
			return err
		}
	}
	return nil
}
