package identity

import (
	"cmp"
	"context"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/factor"
	"github.com/rosterhq/roster/services/identity/internal/passkey"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/naming"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// ConfirmPasskey makes a passkey a factor. Its challenge is used up by that, whatever becomes of it. The session goes on as one that has shown both.
func (s *Service) ConfirmPasskey(ctx context.Context, req *identityv1.ConfirmPasskeyRequest) (*identityv1.ConfirmPasskeyResponse, error) {
	who := caller.From(ctx)
	name, err := naming.ParseDisplayName("display_name", cmp.Or(req.GetDisplayName(), "Passkey"))
	if err != nil {
		return nil, err
	}
	creation, err := passkey.ParseCreation(req.GetPasskey())
	if err != nil {
		return nil, s.refusePasskey(ctx, err)
	}
	of := store.Challenge{Ceremony: passkey.Create, AccountID: who.Account, SessionID: who.Session}
	if err := s.useChallenge(ctx, who.Account, creation.Challenge, of); err != nil {
		return nil, err
	}
	added := factor.Factor{ID: id.NewFactor(), Method: factor.Passkey, DisplayName: name, Active: true}
	var codes []factor.RecoveryCode
	err = s.inTxOnce(ctx, postgres.In(who.Account), func(q store.Queries) error {
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
		made, err := s.passkeys.Register(holder, creation)
		if err != nil {
			return s.refusePasskey(ctx, err)
		}
		added.CredentialID, added.PublicKey, added.SignCount, added.Syncable = made.ID, made.PublicKey, made.SignCount, made.Syncable
		added.CreateTime = q.Now()
		q.InsertFactor(who.Account, added)
		codes, err = s.addFactor(ctx, q, has, added)
		return err
	})
	if err != nil {
		return nil, err
	}
	opened, token, err := s.goOn(ctx, proof{code: true})
	if err != nil {
		return nil, err
	}
	return &identityv1.ConfirmPasskeyResponse{
		Factor: factorToProto(added), RecoveryCodes: texts(codes), Session: sessionToProto(opened, opened.ID), Token: token,
	}, nil
}

// useChallenge uses a challenge up for the account, and commits that before anything is checked of its answer.
func (s *Service) useChallenge(ctx context.Context, owner id.Account, challenge []byte, of store.Challenge) error {
	var used bool
	err := s.inTxOnce(ctx, postgres.In(owner), func(q store.Queries) (err error) {
		used, err = q.UseChallenge(ctx, challenge, of)
		return err
	})
	if err == nil && !used {
		err = factor.ErrPasskeyInvalid
	}
	return err
}

// refusePasskey says to the caller that a passkey was not accepted, and to operators why: an origin that is not the public URL's shows there.
func (s *Service) refusePasskey(ctx context.Context, why error) error {
	s.Log.InfoContext(ctx, "a passkey was not accepted", "error", why)
	return factor.ErrPasskeyInvalid
}
