package identity

import (
	"context"
	"slices"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
)

// prove ends that an account is unproven: its person has just shown that the mailbox is theirs. Whoever else has got in meanwhile is out: all sessions
// end, and what was added since then goes. The account's row is locked.
func (s *Service) prove(ctx context.Context, q store.Queries, me account.Account, from *eventv1.Context) error {
	if !me.Unproven() {
		return nil
	}
	live, err := q.ListSessions(ctx, me.ID)
	if err != nil {
		return err
	}
	if err := endSessions(q, live, id.Session{}, from); err != nil {
		return err
	}
	keys, err := q.ListAPIKeys(ctx, me.ID)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if !me.Since(key.CreateTime) {
			continue
		}
		if err := q.DeleteAPIKey(ctx, me.ID, key.ID); err != nil {
			return err
		}
		if err := outbox.Publish(q.Tx, me.ID, q.Now(), &eventv1.AccountApiKeyDeleted{Context: from, ApiKeyId: key.ID.String()}); err != nil {
			return err
		}
	}
	return s.settle(ctx, q, me, from)
}

// settle is the part of prove that a password set by a mailed link leaves to do: that ends sessions and keys by itself.
func (s *Service) settle(ctx context.Context, q store.Queries, me account.Account, from *eventv1.Context) error {
	identities, err := q.ListIdentities(ctx, me.ID)
	if err != nil {
		return err
	}
	identities = slices.DeleteFunc(identities, func(one store.Identity) bool { return !me.Since(one.CreateTime) })
	if err := unlink(q, me.ID, identities, from); err != nil {
		return err
	}
	q.SaveProven(me)
	return s.dropFactors(ctx, q, me, *me.UnprovenTime, from)
}
