package identity

import (
	"context"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/email"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/secret"
)

// AddEmail writes to the address, and remembers the wish. As with a sign-up, neither the answer nor the work for it tells whether the
// address has an account: the mail does.
func (s *Service) AddEmail(ctx context.Context, req *identityv1.AddEmailRequest) (*identityv1.AddEmailResponse, error) {
	who := caller.From(ctx).Account
	address, err := email.ParseField("email", req.GetEmail())
	if err != nil {
		return nil, err
	}
	link := secret.New(secret.Link, who)
	err = s.inTxOnce(ctx, postgres.In(who), func(q store.Queries) error {
		has, err := q.LockEmails(ctx, who)
		if err != nil {
			return err
		}
		if err := stillSignedIn(ctx, q); err != nil {
			return err
		}
		if err := has.Add(address.Key); err != nil {
			return err
		}
		// Whoever is signed in has a budget as an address has: they must not write to all the world.
		if allowed, _, err := q.SpendMail(ctx, who.String()); err != nil {
			return err
		} else if !allowed {
			return account.ErrTooManyEmailing
		}
		until := q.Now().Add(account.AdditionLifetime)
		q.SaveAddition(who, address, link.Hash, until)
		allowed, known, err := q.SpendMail(ctx, address.Key)
		if err != nil || !allowed {
			return err
		}
		var words mail.Template = mail.AddEmail{Name: has.Account.DisplayName, Link: s.PublicURL + "/verify/" + link.Text(), Expires: until}
		switch {
		case has.Account.Unproven(): // who adds the address that they have
			words = mail.ProveEmail{Link: s.PublicURL + "/verify/" + link.Text(), Expires: until}
		case known:
			words = mail.EmailInUse{}
		}
		return mail.Add(s.Mail, q.Tx, who, who, address.Mailbox(), words)
	})
	if err != nil {
		return nil, err
	}
	return &identityv1.AddEmailResponse{}, nil
}
