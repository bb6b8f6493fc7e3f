package identity

import (
	"context"
	"errors"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/factor"
	"github.com/rosterhq/roster/services/identity/internal/passkey"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// BeginPasskeyProof makes the challenge that one of the caller's passkeys is to sign.
func (s *Service) BeginPasskeyProof(ctx context.Context, _ *identityv1.BeginPasskeyProofRequest) (*identityv1.BeginPasskeyProofResponse, error) {
	who := caller.From(ctx)
	answer := &identityv1.BeginPasskeyProofResponse{}
	err := s.inTx(ctx, postgres.In(who.Account), func(q store.Queries) error {
		has, err := q.ListFactors(ctx, who.Account)
		if err != nil {
			return err
		}
		own := credentialsOf(has)
		if len(own) == 0 {
			return factor.ErrNoPasskey
		}
		options, challenge, err := s.passkeys.RequestOptions(own)
		if err != nil {
			return noPasskeys(err)
		}
		q.InsertChallenge(challenge, store.Challenge{Ceremony: passkey.Prove, AccountID: who.Account, SessionID: who.Session})
		answer.Options = options
		return nil
	})
	if err != nil {
		return nil, err
	}
	return answer, nil
}

// checkPasskey finds out whether one of the account's passkeys has signed the challenge of BeginPasskeyProof, which is used up by that.
func (s *Service) checkPasskey(ctx context.Context, by trial, text string) error {
	answer, err := passkey.ParseAnswer(text)
	if err == nil {
		of := store.Challenge{Ceremony: passkey.Prove, AccountID: by.owner, SessionID: caller.From(ctx).Session}
		err = s.useChallenge(ctx, by.owner, answer.Challenge, of)
	} else {
		err = s.refusePasskey(ctx, err)
	}
	if err != nil && !errors.Is(err, factor.ErrPasskeyInvalid) {
		return err
	}
	return s.tryFactor(ctx, by, func(ctx context.Context, q store.Queries, has store.Factors) error {
		if err != nil {
			return err
		}
		return s.usePasskey(ctx, q, has, answer, false)
	})
}

// errCopied refuses a passkey that has counted backwards.
var errCopied = errors.New("the passkey may have been copied")

// usePasskey uses one of the account's passkeys; alone: nothing else says who is there. One that has counted backwards is refused, and its person hears
// of it.
func (s *Service) usePasskey(ctx context.Context, q store.Queries, has store.Factors, answer passkey.Answer, alone bool) error {
	holder, err := holderOf(ctx, q, has)
	if err != nil {
		return err
	}
	used, copied, err := s.passkeys.Verify(holder, answer)
	if err != nil {
		return s.refusePasskey(ctx, err)
	}
	for _, one := range factor.Of(factor.Passkey, has.Active()) {
		if string(one.CredentialID) != string(used.ID) {
			continue
		}
		if copied {
			if err := s.notify(q, has.Account, mail.PasskeyCopied{Notice: s.notice(ctx, q), Name: one.DisplayName}); err != nil {
				return err
			}
			return errCopied
		}
		one.SignCount, one.Alone = used.SignCount, one.Alone || alone
		q.SaveUse(has.Account.ID, one)
	}
	return nil
}
