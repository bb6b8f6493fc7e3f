package identity

import (
	"context"
	"encoding/hex"
	"errors"

	"google.golang.org/protobuf/proto"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/secret"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
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
	// Another password makes it another request, but the database gets only a hash under our key: one that could be tried is quick to try.
	body := proto.CloneOf(req)
	body.Password = hex.EncodeToString(s.Key.Derive("password").Sum([]byte(req.GetPassword())))
	once := linkRequest(link, req.GetRequestId(), "ResetPassword", body)
	answer, _, err := postgres.Once(ctx, s.DB, postgres.In(key), once, func(tx *postgres.Tx) (*identityv1.ResetPasswordResponse, error) {
		q := store.Queries{Tx: tx}
		who, err := q.LockReset(ctx, key, link.Hash)
		if err != nil {
			return nil, err
		}
		in, err := q.LockSignIn(ctx, key)
		if err != nil {
			return nil, err
		}
		return &identityv1.ResetPasswordResponse{}, s.setPassword(ctx, q, who, hash, in, id.Session{}, origin(ctx, key, req.GetRequestId()))
	})
	return answer, err
}
