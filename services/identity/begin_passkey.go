package identity

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/factor"
	"github.com/rosterhq/roster/services/identity/internal/passkey"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// BeginPasskey makes the challenge with which a browser makes a passkey.
func (s *Service) BeginPasskey(ctx context.Context, _ *identityv1.BeginPasskeyRequest) (*identityv1.BeginPasskeyResponse, error) {
	who := caller.From(ctx)
	answer := &identityv1.BeginPasskeyResponse{}
	err := s.inTx(ctx, postgres.In(who.Account), func(q store.Queries) error {
		has, err := q.LockFactors(ctx, who.Account)
		if err != nil {
			return err
		}
		if err := mayAddPasskey(ctx, q, has); err != nil {
			return err
		}
		holder, err := holderOf(ctx, q, has)
		if err != nil {
			return err
		}
		if holder.Handle == nil {
			holder.Handle = make([]byte, 32)
			rand.Read(holder.Handle) // never fails, see crypto/rand
			q.InsertHandle(holder.Handle, who.Account)
		}
		options, challenge, err := s.passkeys.CreationOptions(holder)
		if err != nil {
			return noPasskeys(err)
		}
		q.InsertChallenge(challenge, store.Challenge{Ceremony: passkey.Create, AccountID: who.Account, SessionID: who.Session})
		answer.Options = options
		return nil
	})
	if err != nil {
		return nil, err
	}
	return answer, nil
}

// mayAddPasskey tells whether the caller may set up one more.
func mayAddPasskey(ctx context.Context, q store.Queries, has store.Factors) error {
	if err := provenFor(ctx, q, has); err != nil {
		return err
	}
	if len(factor.Of(factor.Passkey, has.Active())) >= factor.MostPasskeys {
		return factor.ErrMostPasskeys
	}
	return nil
}

// holderOf is an account, as authenticators know it.
func holderOf(ctx context.Context, q store.Queries, has store.Factors) (who passkey.Holder, err error) {
	a := has.Account
	who = passkey.Holder{Name: cmp.Or(a.Email, a.Username), DisplayName: a.DisplayName, Has: credentialsOf(has)}
	who.Handle, err = q.GetHandle(ctx, a.ID)
	return who, err
}

func credentialsOf(has store.Factors) (all []passkey.Credential) {
	for _, one := range factor.Of(factor.Passkey, has.Active()) {
		all = append(all, passkey.Credential{ID: one.CredentialID, PublicKey: one.PublicKey, SignCount: one.SignCount, Syncable: one.Syncable})
	}
	return all
}

// noPasskeys says to callers what keeps the deployment from having passkeys.
func noPasskeys(err error) error {
	if errors.Is(err, passkey.ErrNoName) {
		return factor.ErrPasskeysOff
	}
	return err
}
