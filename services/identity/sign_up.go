package identity

import (
	"context"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/password"
	"github.com/rosterhq/roster/services/identity/internal/session"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/email"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/naming"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/saga"
	"github.com/rosterhq/roster/services/internal/secret"
)

// SignUp writes to the address, and remembers what the account will be. Neither the answer nor the work for it tells
// whether the address has an account: the mail does.
func (s *Service) SignUp(ctx context.Context, req *identityv1.SignUpRequest) (*identityv1.SignUpResponse, error) {
	address, err := email.ParseField("email", req.GetEmail())
	if err != nil {
		return nil, err
	}
	name, err := naming.ParseDisplayName("display_name", req.GetDisplayName())
	if err != nil {
		return nil, err
	}
	plain, err := account.ParsePassword(req.GetPassword(), name, address.Display)
	if err != nil {
		return nil, err
	}
	if _, err := s.mails.Take(session.Network(caller.From(ctx).Address)); err != nil {
		return nil, err
	}
	hash, err := s.hash(ctx, plain)
	if err != nil {
		return nil, err
	}

	signUp := account.SignUp{ID: id.NewSignUp(), Email: address.Display, DisplayName: name, PasswordHash: hash}
	link := secret.New(secret.Link, signUp.ID)
	err = s.inTxOnce(ctx, postgres.In(signUp.ID), func(q store.Queries) error {
		allowed, known, err := q.SpendMail(ctx, address.Key)
		if err != nil || !allowed {
			return err
		}
		signUp.ExpireTime = q.Now().Add(account.SignUpLifetime)
		q.InsertSignUp(signUp, link.Hash)
		saga.For(signUp.ID, signUpTask, signUp.ID).At(q.Tx, signUp.ExpireTime)
		var words mail.Template = mail.VerifyEmail{Link: s.PublicURL + "/verify/" + link.Text(), Expires: signUp.ExpireTime}
		if known {
			words = mail.AccountExists{SignInLink: s.PublicURL + "/sign-in"}
		}
		return mail.Add(s.Mail, q.Tx, signUp.ID, signUp.ID, address.Mailbox(), words)
	})
	if err != nil {
		return nil, err
	}
	return &identityv1.SignUpResponse{}, nil
}

// hash hashes a password when it is its turn.
func (s *Service) hash(ctx context.Context, plain string) (string, error) {
	leave, err := s.turn(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	return password.Hash(plain), nil
}

// turn waits for the caller's turn to have a password hashed, and returns what gives it back. Who has failed less, and asked less, is
// earlier: a flood that asks again as soon as it hears BUSY is behind people who have just come.
func (s *Service) turn(ctx context.Context) (leave func(), err error) {
	network := session.Network(caller.From(ctx).Address)
	asked := s.pace.Ask(network)
	leave, err = s.hashes.Enter(ctx, s.attempts.Spent(network)+asked)
	if err != nil {
		s.pace.HoldBack(ctx, asked)
	}
	return leave, err
}

// expireSignUp forgets a sign-up a day after it was asked for.
func (s *Service) expireSignUp(ctx context.Context, task saga.Task) error {
	return s.inTx(ctx, postgres.In(task.Aggregate), func(q store.Queries) error {
		q.DeleteExpiredSignUp(id.SignUp(task.ID))
		task.Done(q.Tx)
		return nil
	})
}
