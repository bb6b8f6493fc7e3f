package identity

import (
	"context"
	"errors"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/email"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/secret"
)

// ChangeAccountEmail gives an account that the organization manages another address. It is a claim without proof, and the only one, as that of a
// created account. Whoever reads the old mailbox can take it back; whoever reads the new one, and is signed in, can prove it.
func (s *Service) ChangeAccountEmail(ctx context.Context, req *identityv1.ChangeAccountEmailRequest) (*identityv1.ChangeAccountEmailResponse, error) {
	key, org, err := managedAccount(req)
	if err != nil {
		return nil, err
	}
	// The operation stands for the request: who repeats it may have forgotten the address by then.
	once := postgres.Request{ID: req.GetOperationId(), Principal: org.String(), Method: "ChangeAccountEmail", Body: &identityv1.ChangeAccountEmailRequest{
		AccountId: req.GetAccountId(), OrganizationId: req.GetOrganizationId(), OperationId: req.GetOperationId()}}
	answer, found, err := postgres.Replayed[*identityv1.ChangeAccountEmailResponse](ctx, s.DB, postgres.In(key), once)
	if found || err != nil {
		return answer, err
	}
	actor, err := id.ParseAccount(req.GetActorAccountId())
	if err != nil {
		return nil, err
	}
	address, err := email.ParseField("email", req.GetEmail())
	if err != nil {
		return nil, err
	}
	from := outbox.Origin{Account: actor, Cause: eventv1.Cause_KIND_ADMIN, CauseID: org.String(), RequestID: req.GetOperationId()}.Context(ctx)
	change := func(tx *postgres.Tx) (*identityv1.ChangeAccountEmailResponse, error) {
		return &identityv1.ChangeAccountEmailResponse{},
			s.changeEmail(ctx, store.Queries{Tx: tx}, key, org, address, req.GetOrganizationDisplayName(), from)
	}
	answer, _, err = postgres.Once(ctx, s.DB, postgres.In(key), once, change)
	if errors.Is(err, account.ErrEmailTaken) { // perhaps between our look and our commit: then it is known now
		answer, _, err = postgres.Once(ctx, s.DB, postgres.In(key), once, change)
	}
	return answer, err
}

func (s *Service) changeEmail(
	ctx context.Context, q store.Queries, key id.Account, org id.Organization, address email.Address, organization string, from *eventv1.Context,
) error {
	m, err := q.LockManagement(ctx, key)
	switch {
	case err != nil:
		return err
	case !m.By(org):
		return account.ErrEmailNotManaged
	}
	var taken bool
	q.Claimed(address.Key, key, &taken)
	has, err := q.LockEmails(ctx, key)
	if err != nil {
		return err
	}
	before := has.Account
	if written, ok := email.Parse(before.Email); ok && written.Key == address.Key {
		return account.ErrSameEmail
	}
	if taken {
		return account.ErrEmailTaken
	}
	live, err := q.ListSessions(ctx, key)
	if err != nil {
		return err
	}
	after := before
	after.Email, after.EmailVerified = address.Display, false
	q.DeleteEmails(key)
	q.ClaimEmailAlone(address, key)
	if err := s.savePrimaryEmail(ctx, q, after, from); err != nil {
		return err
	}
	q.SaveUnproven(key)
	q.DeleteReset(key)
	if err := endSessions(q, live, id.Session{}, from); err != nil {
		return err
	}
	if before.EmailVerified {
		back, until := secret.New(secret.Link, key), q.Now().Add(account.RevertLifetime)
		q.InsertRevert(key, before.Email, back.Hash)
		words := mail.EmailReplaced{By: organization, Email: address.Mask(), Link: s.PublicURL + "/revert-email/" + back.Text(), Expires: until}
		if err := s.notify(q, before, words); err != nil {
			return err
		}
	}
	if err := s.askForProof(ctx, q, after, address, organization); err != nil {
		return err
	}
	return outbox.Publish(q.Tx, key, q.Now(), &eventv1.AccountEmailChanged{Context: from, Unproven: true, Personal: personal(after)})
}

// askForProof mails a link that proves the address which an organization has written, unless it has had too much mail.
func (s *Service) askForProof(ctx context.Context, q store.Queries, who account.Account, address email.Address, organization string) error {
	allowed, _, err := q.SpendMail(ctx, address.Key)
	if err != nil || !allowed {
		return err
	}
	link, until := secret.New(secret.Link, who.ID), q.Now().Add(account.AdditionLifetime)
	q.SaveAddition(who.ID, address, link.Hash, until)
	words := mail.ProveEmail{By: organization, Link: s.PublicURL + "/verify/" + link.Text(), Expires: until}
	return mail.Add(s.Mail, q.Tx, who.ID, who.ID, address.Mailbox(), words)
}
