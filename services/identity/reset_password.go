package identity

import (
	"context"
	"errors"

	"google.golang.org/protobuf/proto"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/secret"
)

// ResetPassword sets another password with the link of a mail. The link is looked at first: one that does not work costs no hashing,
// and a password that is refused leaves it as it is.
func (s *Service) ResetPassword(ctx context.Context, req *identityv1.ResetPasswordRequest) (*identityv1.ResetPasswordResponse, error) {
	link, ok := secret.Parse(secret.Link, req.GetToken())
	if !ok {
		return nil, account.ErrLinkInvalid
	}
	key := id.Account(link.Owner)
	var who account.Account
	err := s.view(ctx, postgres.In(key), func(q store.Queries) (err error) {
		who, err = q.GetReset(ctx, key, link.Hash)
		return err
	})
	var hash string
	switch {
	case err == nil:
		if hash, err = s.newPassword(ctx, req.GetPassword(), who); err != nil {
			return nil, err
		}
	case !errors.Is(err, account.ErrLinkInvalid): // which may be because this very request has used it
		return nil, err
	}
	body := proto.CloneOf(req)
	body.Password = ""
	once := linkRequest(link, req.GetRequestId(), "ResetPassword", body)
	once.Secret = req.GetPassword() // another password makes it another request
	answer, _, err := postgres.Once(ctx, s.DB, postgres.In(key), once, func(tx *postgres.Tx) (*identityv1.ResetPasswordResponse, error) {
		q := store.Queries{Tx: tx}
		who, shown, err := q.LockReset(ctx, key, link.Hash)
		if err != nil {
			return nil, err
		}
		in, err := q.LockSignIn(ctx, key)
		if err != nil {
			return nil, err
		}
		from := origin(ctx, key, req.GetRequestId())
		if err := s.setPassword(ctx, q, who, hash, in, id.Session{}, from); err != nil || shown || !who.Unproven() {
			return &identityv1.ResetPasswordResponse{}, err
		}
		// Whoever reads the mailbox is the person, and nobody else knows the password any more.
		if err := s.settle(ctx, q, who, from); err != nil {
			return nil, err
		}
		return &identityv1.ResetPasswordResponse{}, outbox.Publish(tx, key, q.Now(),
			&eventv1.AccountEmailVerified{Context: from, Personal: &eventv1.Personal{Email: who.Email}})
	})
	return answer, err
}
