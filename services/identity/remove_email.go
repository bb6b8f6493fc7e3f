package identity

import (
	"context"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/email"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// RemoveEmail takes an address away, and with it a link to reset the password, which may have gone there.
func (s *Service) RemoveEmail(ctx context.Context, req *identityv1.RemoveEmailRequest) (*identityv1.RemoveEmailResponse, error) {
	who := caller.From(ctx).Account
	address, err := email.ParseField("email", req.GetEmail())
	if err != nil {
		return nil, err
	}
	once := s.ownRequest(ctx, req.GetRequestId(), "RemoveEmail", req)
	answer, _, err := postgres.Once(ctx, s.DB, postgres.In(who), once, func(tx *postgres.Tx) (*identityv1.RemoveEmailResponse, error) {
		q := store.Queries{Tx: tx}
		has, err := q.LockEmails(ctx, who)
		if err != nil {
			return nil, err
		}
		if err := stillSignedIn(ctx, q); err != nil {
			return nil, err
		}
		removed, err := has.Remove(address.Key)
		if err != nil {
			return nil, err
		}
		q.DeleteEmail(who, removed.Key)
		if !removed.Expires.IsZero() { // it was nobody's
			return &identityv1.RemoveEmailResponse{}, nil
		}
		q.DeleteReset(who)
		words := mail.EmailsChanged{Notice: s.notice(ctx, q), Email: removed.Address}
		if err := s.notify(q, has.Account, words); err != nil {
			return nil, err
		}
		words.Here = true
		if err := s.write(q, has.Account, removed.Address, words); err != nil {
			return nil, err
		}
		return &identityv1.RemoveEmailResponse{}, outbox.Publish(tx, who, q.Now(), &eventv1.AccountEmailRemoved{
			Context: origin(ctx, who, req.GetRequestId()), Personal: &eventv1.Personal{Email: removed.Address}})
	})
	return answer, err
}
