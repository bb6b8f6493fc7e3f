package identity

import (
	"context"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/secret"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/email"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// RevertEmailChange makes the address that the mail went to the primary one again. Which of the others whoever has changed it can read,
// nobody knows: the account keeps none of them, nor what they may have opened with it.
func (s *Service) RevertEmailChange(ctx context.Context, req *identityv1.RevertEmailChangeRequest) (*identityv1.RevertEmailChangeResponse, error) {
	link, ok := secret.Parse(secret.Link, req.GetToken())
	if !ok {
		return nil, account.ErrLinkInvalid
	}
	key := id.Account(link.Owner)
	once := linkRequest(link, req.GetRequestId(), "RevertEmailChange", req)
	answer, _, err := postgres.Once(ctx, s.DB, postgres.In(key), once, func(tx *postgres.Tx) (*identityv1.RevertEmailChangeResponse, error) {
		q := store.Queries{Tx: tx}
		has, written, err := q.LockRevert(ctx, key, link.Hash)
		if err != nil {
			return nil, err
		}
		address, err := email.ParseField("email", written)
		if err != nil {
			return nil, err
		}
		live, err := q.ListSessions(ctx, key)
		if err != nil {
			return nil, err
		}
		from := origin(ctx, key, req.GetRequestId())
		if _, err := has.SetPrimary(address.Key); err != nil { // it was taken away since
			q.ClaimEmail(address, key, true)
			has.Account.Email, has.Account.EmailVerified = address.Display, true
		}
		q.KeepEmail(key, address.Key)
		q.SavePrimaryEmail(has.Account)
		q.DeleteReset(key)
		if err := endSessions(q, live, id.Session{}, from); err != nil {
			return nil, err
		}
		if err := endAPIKeys(ctx, q, key, from); err != nil {
			return nil, err
		}
		return &identityv1.RevertEmailChangeResponse{}, outbox.Publish(tx, key, q.Now(),
			&eventv1.AccountEmailChanged{Context: from, Reverted: true, Personal: personal(has.Account)})
	})
	return answer, err
}
