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

// VerifyEmail makes the account that a sign-up asked for. Using the link up, taking the address and making the account
// are one transaction. Of several sign-ups with one address the first to be verified has it. The account has the id of its
// sign-up, so that a repeated request finds its answer.
func (s *Service) VerifyEmail(ctx context.Context, req *identityv1.VerifyEmailRequest) (*identityv1.VerifyEmailResponse, error) {
	link, ok := secret.Parse(secret.Link, req.GetToken())
	if !ok {
		return nil, account.ErrLinkInvalid
	}
	key := id.Account(link.Owner)
	once := linkRequest(link, req.GetRequestId(), "VerifyEmail", req)
	answer, _, err := postgres.Once(ctx, s.DB, postgres.In(key), once, func(tx *postgres.Tx) (*identityv1.VerifyEmailResponse, error) {
		q := store.Queries{Tx: tx}
		signUp, err := q.LockSignUp(ctx, id.SignUp(link.Owner), link.Hash)
		if err != nil {
			return nil, err
		}
		address, err := email.ParseField("email", signUp.Email)
		if err != nil {
			return nil, err
		}
		made := signUp.Verified(key, q.Now())
		q.DeleteSignUp(signUp.ID)
		q.ClaimEmail(address.Key, key, true)
		q.InsertAccount(made, id.Organization{}, signUp.PasswordHash)
		err = publishCreated(q, made, origin(ctx, key, req.GetRequestId()))
		return &identityv1.VerifyEmailResponse{Account: accountToProto(made)}, err
	})
	return answer, err
}

// publishCreated tells of a new account, and of its address if that is proven.
func publishCreated(q store.Queries, a account.Account, origin *eventv1.Context) error {
	err := outbox.Publish(q.Tx, a.ID, a.CreateTime, &eventv1.AccountCreated{
		Context: origin, Account: &eventv1.Account{AccountId: a.ID.String()}, Personal: personal(a),
	})
	if err != nil || !a.EmailVerified {
		return err
	}
	return outbox.Publish(q.Tx, a.ID, a.CreateTime, &eventv1.AccountEmailVerified{
		Context: origin, Personal: &eventv1.Personal{Email: a.Email},
	})
}
