package identity

import (
	"context"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/session"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/email"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// ChangePassword changes the caller's password. Whoever is signed in elsewhere, with the old one, is signed out with the same commit. Where
// the old one was temporary, the sign-in with it is complete then, and is another session; and its person is asked to prove the mailbox.
func (s *Service) ChangePassword(ctx context.Context, req *identityv1.ChangePasswordRequest) (*identityv1.ChangePasswordResponse, error) {
	who := caller.From(ctx)
	proven, err := s.checkPassword(ctx, session.PasswordChange, store.Identifier{Account: who.Account}, req.GetCurrentPassword())
	if err != nil {
		return nil, err
	}
	var me account.Account
	err = s.view(ctx, postgres.In(who.Account), func(q store.Queries) (err error) {
		me, err = q.GetAccount(ctx, who.Account)
		return err
	})
	if err != nil {
		return nil, err
	}
	if proven.Temporary && account.NormalizePassword(req.GetPassword()) == account.NormalizePassword(req.GetCurrentPassword()) {
		return nil, account.ErrTemporary
	}
	hash, err := s.newPassword(ctx, req.GetPassword(), me)
	if err != nil {
		return nil, err
	}
	err = s.inTxOnce(ctx, postgres.In(who.Account), func(q store.Queries) error {
		in, err := q.LockSignIn(ctx, who.Account)
		if err != nil {
			return err
		}
		if !proven.stands(in) {
			return account.ErrCredentialsInvalid
		}
		if err := stillSignedIn(ctx, q); err != nil {
			return err
		}
		if err := s.setPassword(ctx, q, me, hash, in, who.Session, origin(ctx, who.Account, "")); err != nil {
			return err
		}
		address, has := email.Parse(me.Email)
		if who.Stage != caller.PasswordChange || !me.Unproven() || !has {
			return nil
		}
		return s.askForProof(ctx, q, me, address, "")
	})
	if err != nil {
		return nil, err
	}
	if who.Stage != caller.PasswordChange {
		return &identityv1.ChangePasswordResponse{}, nil
	}
	opened, token, err := s.goOn(ctx, proof{code: who.Level > 1})
	if err != nil {
		return nil, err
	}
	return &identityv1.ChangePasswordResponse{Session: sessionToProto(opened, opened.ID), Token: token}, nil
}

// newPassword checks what somebody wants as their password, and hashes it.
func (s *Service) newPassword(ctx context.Context, text string, of account.Account) (hash string, err error) {
	plain, err := account.ParsePassword(text, of.DisplayName, of.Email, of.Username)
	if err != nil {
		return "", err
	}
	return s.hash(ctx, plain)
}

// setPassword stores a password, ends the sessions but the one that is kept, or where none is the keys of programs too, and tells the person.
func (s *Service) setPassword(ctx context.Context, q store.Queries, of account.Account, hash string, in store.SignIn, kept id.Session, from *eventv1.Context) error {
	q.SavePassword(of.ID, hash)
	if in.Factors == 1 { // otherwise there are wrong codes among them, which another password does not forgive
		q.ForgetFailures(of.ID)
	}
	done := attempt(ctx, session.PasswordChange, session.ByPassword, "")
	if kept.IsZero() {
		done = attempt(ctx, session.PasswordReset, session.ByLink, "")
		if err := endAPIKeys(ctx, q, of.ID, from); err != nil {
			return err
		}
	}
	q.InsertAttempt(of.ID, done)
	if err := endSessions(q, in.Live, kept, from); err != nil {
		return err
	}
	if err := s.notify(q, of, mail.PasswordChanged{Notice: s.notice(ctx, q)}); err != nil {
		return err
	}
	return outbox.Publish(q.Tx, of.ID, q.Now(), &eventv1.AccountPasswordChanged{Context: from})
}
