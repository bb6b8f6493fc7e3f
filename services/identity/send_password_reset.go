package identity

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/email"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/secret"
)

// SendPasswordReset mails the link that RequestPasswordReset mails, because an organization of the person's asks for it. Who has proven no
// address is given it by hand, if the organization has brought the account in.
func (s *Service) SendPasswordReset(ctx context.Context, req *identityv1.SendPasswordResetRequest) (*identityv1.SendPasswordResetResponse, error) {
	key, org, err := managedAccount(req)
	if err != nil {
		return nil, err
	}
	once := postgres.Request{ID: req.GetOperationId(), Principal: org.String(), Method: "SendPasswordReset", Body: req}
	answer, found, err := postgres.Replayed[*identityv1.SendPasswordResetResponse](ctx, s.DB, postgres.In(key), once)
	if found {
		return answer, s.unlessManaged(ctx, org, key, func() { answer.ResetUrl = "" })
	}
	if err != nil {
		return nil, err
	}
	answer, _, err = postgres.Once(ctx, s.DB, postgres.In(key), once, func(tx *postgres.Tx) (*identityv1.SendPasswordResetResponse, error) {
		q := store.Queries{Tx: tx}
		m, err := q.LockManagement(ctx, key)
		if err != nil {
			return nil, err
		}
		in, err := q.LockSignIn(ctx, key)
		if err != nil {
			return nil, err
		}
		if in.PasswordSet.IsZero() {
			return nil, account.ErrNoPassword
		}
		who, err := q.GetAccount(ctx, key)
		if err != nil {
			return nil, err
		}
		link, until := secret.New(secret.Link, key), q.Now().Add(account.ResetLifetime)
		url := s.PublicURL + "/reset/" + link.Text()
		answer := &identityv1.SendPasswordResetResponse{ExpireTime: timestamppb.New(until)}
		switch {
		case who.EmailVerified:
			address, err := email.ParseField("email", who.Email)
			if err != nil {
				return nil, err
			}
			if allowed, _, err := q.SpendMail(ctx, address.Key); err != nil {
				return nil, err
			} else if !allowed {
				return nil, account.ErrMailsSpent
			}
			if err := mail.Add(s.Mail, tx, key, key, address.Mailbox(), mail.ResetPassword{Link: url, Expires: until}); err != nil {
				return nil, err
			}
		case m.By(org):
			answer.ResetUrl = url
		default:
			return nil, account.ErrUnverified
		}
		q.SaveReset(key, link.Hash, answer.GetResetUrl() != "")
		return answer, nil
	})
	return answer, err
}
