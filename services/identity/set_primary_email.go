package identity

import (
	"context"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/email"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/secret"
)

// SetPrimaryEmail makes a proven address the primary one. The address until now is told, and can take that back: whoever has got hold of the
// account may have got hold of all but the mailbox.
func (s *Service) SetPrimaryEmail(ctx context.Context, req *identityv1.SetPrimaryEmailRequest) (*identityv1.SetPrimaryEmailResponse, error) {
	who := caller.From(ctx)
	address, err := email.ParseField("email", req.GetEmail())
	if err != nil {
		return nil, err
	}
	once := s.ownRequest(ctx, req.GetRequestId(), "SetPrimaryEmail", req)
	answer, _, err := postgres.Once(ctx, s.DB, postgres.In(who.Account), once, func(tx *postgres.Tx) (*identityv1.SetPrimaryEmailResponse, error) {
		q := store.Queries{Tx: tx}
		has, err := q.LockEmails(ctx, who.Account)
		if err != nil {
			return nil, err
		}
		if err := stillSignedIn(ctx, q); err != nil {
			return nil, err
		}
		if err := has.Settled(address.Key); err != nil {
			return nil, err
		}
		before := has.Account
		changed, err := has.SetPrimary(address.Key)
		if err != nil || !changed {
			return &identityv1.SetPrimaryEmailResponse{Account: meToProto(before)}, err
		}
		in, err := q.LockSignIn(ctx, who.Account)
		if err != nil {
			return nil, err
		}
		from := origin(ctx, who.Account, req.GetRequestId())
		if err := s.savePrimaryEmail(ctx, q, has.Account, from); err != nil {
			return nil, err
		}
		q.DeleteReset(who.Account)
		if err := endSessions(q, in.Live, who.Session, from); err != nil {
			return nil, err
		}
		link := secret.New(secret.Link, who.Account)
		q.InsertRevert(who.Account, before.Email, link.Hash)
		words := mail.PrimaryChanged{
			Notice: s.notice(ctx, q), Email: address.Mask(), Link: s.PublicURL + "/revert-email/" + link.Text(), Expires: q.Now().Add(account.RevertLifetime)}
		if err := s.notify(q, before, words); err != nil {
			return nil, err
		}
		words.Link = ""
		if err := s.notify(q, has.Account, words); err != nil {
			return nil, err
		}
		return &identityv1.SetPrimaryEmailResponse{Account: meToProto(has.Account)}, outbox.Publish(tx, who.Account, q.Now(),
			&eventv1.AccountEmailChanged{Context: from, Personal: personal(has.Account)})
	})
	return answer, err
}
