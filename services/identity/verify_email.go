package identity

import (
	"context"
	"errors"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/email"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/secret"
)

// VerifyEmail makes the account that a sign-up asked for, or gives an account the address that it asked for. Using the link up, taking
// the address and making the account are one transaction. Of several who want one address the first to prove it has it. The
// account has the id of its sign-up, so that a repeated request finds its answer.
func (s *Service) VerifyEmail(ctx context.Context, req *identityv1.VerifyEmailRequest) (*identityv1.VerifyEmailResponse, error) {
	link, ok := secret.Parse(secret.Link, req.GetToken())
	if !ok {
		return nil, account.ErrLinkInvalid
	}
	key := id.Account(link.Owner)
	once := linkRequest(link, req.GetRequestId(), "VerifyEmail", req)
	answer, _, err := postgres.Once(ctx, s.DB, postgres.In(key), once, func(tx *postgres.Tx) (*identityv1.VerifyEmailResponse, error) {
		q := store.Queries{Tx: tx}
		signUp, err := q.LockSignUp(ctx, id.SignUp(link.Owner), link.Hash)
		if errors.Is(err, account.ErrLinkInvalid) {
			return s.verifyAddition(ctx, q, key, link, origin(ctx, key, req.GetRequestId()))
		}
		if err != nil {
			return nil, err
		}
		address, err := email.ParseField("email", signUp.Email)
		if err != nil {
			return nil, err
		}
		made := signUp.Verified(key, q.Now())
		q.DeleteSignUp(signUp.ID)
		q.ClaimEmail(address, key, true)
		q.InsertAccount(made, id.Organization{}, signUp.PasswordHash)
		err = publishCreated(q, made, origin(ctx, key, req.GetRequestId()))
		return &identityv1.VerifyEmailResponse{Account: accountToProto(made), Email: made.Email}, err
	})
	return answer, err
}

// verifyAddition gives an account the address of a link. The first that its person proves is the primary one, in the place of one that
// nobody has proven.
func (s *Service) verifyAddition(ctx context.Context, q store.Queries, key id.Account, link secret.Secret, from *eventv1.Context) (*identityv1.VerifyEmailResponse, error) {
	has, wanted, err := q.LockAddition(ctx, key, link.Hash)
	if err != nil {
		return nil, err
	}
	address, err := email.ParseField("email", wanted.Address)
	if err != nil {
		return nil, err
	}
	me := has.Account
	if err := has.Settled(address.Key); err != nil {
		return nil, err
	}
	// Somebody else may be signed in, and have the mail sent to a person who opens any link; or this is that person, who knows no password.
	if me.Unproven() && caller.From(ctx).Account != key {
		return nil, account.ErrNotSignedIn
	}
	known := me.Proven()
	if claimed, ok := email.Parse(me.Email); ok && !me.EmailVerified {
		q.DeleteEmail(key, claimed.Key)
	}
	q.DeleteEmail(key, address.Key)
	q.ClaimEmail(address, key, true)
	verified := &eventv1.AccountEmailVerified{Context: from, Personal: &eventv1.Personal{Email: address.Display}}
	if err := outbox.Publish(q.Tx, key, q.Now(), verified); err != nil {
		return nil, err
	}
	if err := s.prove(ctx, q, me, from); err != nil {
		return nil, err
	}
	answer := &identityv1.VerifyEmailResponse{Account: accountToProto(me), Email: address.Display}
	if known {
		return answer, s.notify(q, me, mail.EmailsChanged{Notice: s.notice(ctx, q), Added: true, Email: address.Display})
	}
	shown := me.Email
	me.Email, me.EmailVerified, me.UnprovenTime = address.Display, true, nil
	if err := s.savePrimaryEmail(ctx, q, me, from); err != nil {
		return nil, err
	}
	answer.Account = accountToProto(me)
	if shown == me.Email {
		return answer, nil
	}
	return answer, outbox.Publish(q.Tx, key, q.Now(), &eventv1.AccountEmailChanged{Context: from, Personal: personal(me)})
}

// publishCreated tells of a new account, and of its address if that is proven.
func publishCreated(q store.Queries, a account.Account, origin *eventv1.Context) error {
	err := outbox.Publish(q.Tx, a.ID, a.CreateTime, &eventv1.AccountCreated{
		Context: origin, Account: &eventv1.Account{AccountId: a.ID.String()}, Personal: personal(a),
	})
	if err != nil || !a.EmailVerified {
		return err
	}
	return outbox.Publish(q.Tx, a.ID, a.CreateTime, &eventv1.AccountEmailVerified{
		Context: origin, Personal: &eventv1.Personal{Email: a.Email},
	})
}
