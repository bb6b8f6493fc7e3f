package identity

import (
	"context"
	"errors"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// SetSignIn lets the organization that manages an account keep it from signing in. Whoever is signed in then is signed
// out with the same commit.
func (s *Service) SetSignIn(ctx context.Context, req *identityv1.SetSignInRequest) (*identityv1.SetSignInResponse, error) {
	key, org, err := accountOf(req)
	if err != nil {
		return nil, err
	}
	answer := &identityv1.SetSignInResponse{}
	err = s.inTx(ctx, postgres.In(key), func(q store.Queries) error {
		m, err := q.LockManagement(ctx, key)
		if err != nil {
			return err
		}
		answer.Managed = m.By(org)
		heard, changed := m.SetSignIn(org, req.GetAllowed(), req.GetRevision())
		if heard {
			q.SaveManagement(key, m)
		}
		if !changed {
			return nil
		}
		from := outbox.Origin{Service: caller.From(ctx).Service, Cause: eventv1.Cause_KIND_ADMIN, CauseID: org.String()}
		return s.publishSignIn(ctx, q, key, m, from.Context(ctx))
	})
	if errors.Is(err, account.ErrNotFound) { // then nobody manages it
		return answer, nil
	}
	if err != nil {
		return nil, err
	}
	return answer, nil
}

// publishSignIn tells whether the account may sign in from now on. If not, its sessions and keys end.
func (s *Service) publishSignIn(ctx context.Context, q store.Queries, key id.Account, m account.Management, from *eventv1.Context) error {
	about := &eventv1.Account{AccountId: key.String()}
	if m.SignInAllowed {
		return outbox.Publish(q.Tx, key, q.Now(), &eventv1.AccountEnabled{Context: from, Account: about})
	}
	q.VoidLinks(key)
	live, err := q.ListSessions(ctx, key)
	if err != nil {
		return err
	}
	if err := endSessions(q, live, id.Session{}, from); err != nil {
		return err
	}
	if err := endAPIKeys(ctx, q, key, from); err != nil {
		return err
	}
	return outbox.Publish(q.Tx, key, q.Now(), &eventv1.AccountDisabled{Context: from, Account: about})
}
