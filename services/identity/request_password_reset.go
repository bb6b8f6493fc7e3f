package identity

import (
	"context"
	"errors"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/session"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/email"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/saga"
	"github.com/rosterhq/roster/services/internal/secret"
)

// RequestPasswordReset notes the wish. Whose password that is, the sweeper finds out afterwards: the answer and the work for it
// are the same for everybody.
func (s *Service) RequestPasswordReset(ctx context.Context, req *identityv1.RequestPasswordResetRequest) (*identityv1.RequestPasswordResetResponse, error) {
	if _, err := s.mails.Take(session.Network(caller.From(ctx).Address)); err != nil {
		return nil, err
	}
	who, key := identifierOf(req), id.NewReset()
	err := s.inTxOnce(ctx, postgres.In(key), func(q store.Queries) error {
		q.InsertResetRequest(key, who)
		saga.For(key, resetTask, key).At(q.Tx, q.Now())
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &identityv1.RequestPasswordResetResponse{}, nil
}

// sendReset mails the link, if there is an account, its person has proven an address, and that has not had too much mail.
func (s *Service) sendReset(ctx context.Context, task saga.Task) error {
	key := id.Reset(task.ID)
	var who account.Account
	var found bool
	err := s.view(ctx, postgres.Scope{}, func(q store.Queries) (err error) {
		who, _, found, err = q.FindResetRequest(ctx, key)
		return err
	})
	if err != nil {
		return err
	}
	if !found || !who.EmailVerified {
		return s.inTx(ctx, postgres.In(task.Aggregate), func(q store.Queries) error {
			q.DeleteResetRequest(key)
			task.Done(q.Tx)
			return nil
		})
	}
	return s.inTx(ctx, postgres.In(who.ID), func(q store.Queries) error {
		q.DeleteResetRequest(key)
		task.Done(q.Tx)
		if _, err := q.LockSignIn(ctx, who.ID); errors.Is(err, account.ErrNotFound) { // who may not sign in gets no link
			return nil
		} else if err != nil {
			return err
		}
		// Whose the address is may have changed until we had the account to ourselves.
		owner, to, found, err := q.FindResetRequest(ctx, key)
		if err != nil || !found || owner.ID != who.ID {
			return err
		}
		address, err := email.ParseField("email", to)
		if err != nil {
			return err
		}
		if allowed, _, err := q.SpendMail(ctx, address.Key); err != nil || !allowed {
			return err
		}
		link := secret.New(secret.Link, who.ID)
		q.SaveReset(who.ID, link.Hash, false)
		words := mail.ResetPassword{Link: s.PublicURL + "/reset/" + link.Text(), Expires: q.Now().Add(account.ResetLifetime)}
		return mail.Add(s.Mail, q.Tx, who.ID, who.ID, address.Mailbox(), words)
	})
}
