package identity

import (
	"context"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/session"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/email"
	"github.com/rosterhq/roster/services/internal/mail"
)

// notice is when and from where the caller does what their person is told of.
func (s *Service) notice(ctx context.Context, q store.Queries) mail.Notice {
	who := caller.From(ctx)
	return mail.Notice{Time: q.Now(), Device: session.Device(session.Label(who.UserAgent)), Address: who.Address, ResetLink: s.PublicURL + "/forgot"}
}

// notify writes to the person with the transaction, if they have proven an address.
func (s *Service) notify(q store.Queries, a account.Account, words mail.Template) error {
	if !a.EmailVerified {
		return nil
	}
	return s.write(q, a, a.Email, words)
}

// write writes to an address of the person.
func (s *Service) write(q store.Queries, a account.Account, to string, words mail.Template) error {
	address, err := email.ParseField("email", to)
	if err != nil {
		return err
	}
	return mail.Add(s.Mail, q.Tx, a.ID, a.ID, address.Mailbox(), words)
}
