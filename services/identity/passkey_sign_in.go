package identity

import (
	"context"
	"errors"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/factor"
	"github.com/rosterhq/roster/services/identity/internal/passkey"
	"github.com/rosterhq/roster/services/identity/internal/session"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// BeginPasskeySignIn makes the challenge that a passkey is to sign, whoever has it.
func (s *Service) BeginPasskeySignIn(ctx context.Context, _ *identityv1.BeginPasskeySignInRequest) (*identityv1.BeginPasskeySignInResponse, error) {
	if err := s.countBegun(ctx); err != nil {
		return nil, err
	}
	options, challenge, err := s.passkeys.RequestOptions(nil)
	if err != nil {
		return nil, noPasskeys(err)
	}
	err = s.inTx(ctx, postgres.Scope{}, func(q store.Queries) error {
		q.InsertChallenge(challenge, store.Challenge{Ceremony: passkey.SignIn})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &identityv1.BeginPasskeySignInResponse{Options: options}, nil
}

// FinishPasskeySignIn signs in whoever the passkey says, if it is theirs. What it says it is not asked for until then: of those who answer with
// a handle that nobody has, nothing is kept.
func (s *Service) FinishPasskeySignIn(
	ctx context.Context, req *identityv1.FinishPasskeySignInRequest,
) (*identityv1.FinishPasskeySignInResponse, error) {
	delivery, err := deliveryFor(ctx, req.GetDelivery())
	if err != nil {
		return nil, err
	}
	owner, err := s.checkPasskeyOfAnyone(ctx, req.GetPasskey())
	if err != nil {
		return nil, err
	}
	who := caller.From(ctx)
	opened, key, err := s.openSession(ctx, session.Session{
		AccountID: owner, Delivery: delivery, UserAgent: who.UserAgent, Address: who.Address,
	}, proof{passkey: true}, id.Session{})
	if errors.Is(err, account.ErrNotFound) { // an organization keeps it from signing in
		return nil, s.failPasskey(ctx, owner, session.Disabled)
	}
	if err != nil {
		return nil, err
	}
	s.countFinished(ctx)
	token, err := deliver(ctx, opened, key)
	return &identityv1.FinishPasskeySignInResponse{
		Session: sessionToProto(opened, opened.ID), Token: token, PasswordChangeRequired: opened.Stage == session.NextPassword,
	}, err
}

// checkPasskeyOfAnyone returns whose passkey has signed the challenge of BeginPasskeySignIn, which is used up by that. All that may be wrong is one answer.
func (s *Service) checkPasskeyOfAnyone(ctx context.Context, text string) (owner id.Account, err error) {
	answer, err := passkey.ParseAnswer(text)
	if err != nil {
		return owner, s.refusePasskey(ctx, err)
	}
	var found bool
	err = s.view(ctx, postgres.Scope{}, func(q store.Queries) (err error) {
		owner, found, err = q.FindHandle(ctx, answer.Handle)
		return err
	})
	if err == nil && !found {
		err = factor.ErrPasskeyInvalid
	}
	if err == nil {
		err = s.useChallenge(ctx, owner, answer.Challenge, store.Challenge{Ceremony: passkey.SignIn})
	}
	if err != nil {
		return owner, err
	}
	by := trial{to: session.SignIn, by: session.ByPasskey, owner: owner}
	err = s.tryFactor(ctx, by, func(ctx context.Context, q store.Queries, has store.Factors) error {
		return s.usePasskey(ctx, q, has, answer, true)
	})
	if errors.Is(err, factor.TooEarly(0)) {
		err = s.failPasskey(ctx, owner, session.TooMany)
	}
	return owner, err
}

// failPasskey refuses somebody whose passkey is not what is wrong. Their login activity tells why, the answer does not.
func (s *Service) failPasskey(ctx context.Context, owner id.Account, why session.Reason) error {
	err := s.inTx(ctx, postgres.In(owner), func(q store.Queries) error {
		q.InsertAttempt(owner, attempt(ctx, session.SignIn, session.ByPasskey, why))
		return nil
	})
	if err != nil {
		return err
	}
	return factor.ErrPasskeyInvalid
}
