package identity

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rosterhq/roster/pkg/fault"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/federation"
	"github.com/rosterhq/roster/services/identity/internal/session"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/identity/internal/upstream"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/email"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// CompleteFederatedSignIn signs in whom a provider has sent back. The flow is used up first, and the provider asked then: of several who come
// back with the same answer, one is heard.
func (s *Service) CompleteFederatedSignIn(ctx context.Context, req *identityv1.CompleteFederatedSignInRequest) (*identityv1.CompleteFederatedSignInResponse, error) {
	who := caller.From(ctx)
	client, err := s.clientAt(ctx, req.GetProviderId())
	if err != nil {
		return nil, err
	}
	delivery := deliveryFromProto(req.GetDelivery())
	if delivery == session.Cookie && who.Service != "gateway" {
		return nil, fault.Invalid("delivery", "must be DELIVERY_TOKEN: a cookie is for browsers")
	}
	person, at, err := s.returned(ctx, client, req, federation.Link{})
	if err != nil {
		return nil, err
	}
	owner, err := s.accountOf(ctx, client.Provider, person)
	if err != nil {
		return nil, err
	}
	opened, key, err := s.openSession(ctx, session.Session{
		AccountID: owner, Delivery: delivery, UserAgent: who.UserAgent, Address: who.Address,
		ProviderID: client.Provider.ID,
	}, proof{vouched: &at}, id.Session{})
	if errors.Is(err, account.ErrNotFound) { // kept from signing in since
		err = federation.ErrDisabled
	}
	if err != nil {
		return nil, err
	}
	s.countFinished(ctx)
	due, err := s.challengeOf(ctx, opened)
	if err != nil {
		return nil, err
	}
	token, err := deliver(ctx, opened, key)
	return &identityv1.CompleteFederatedSignInResponse{
		Session: sessionToProto(opened, opened.ID), Token: token, Challenge: due, PasswordChangeRequired: opened.Stage == session.NextPassword,
	}, err
}

// answer is what a browser came back with.
type answer interface {
	GetFlow() string
	GetState() string
	GetCode() string
	GetIssuer() string
}

// returned finds out who has come back from the provider, and when they have proven it there. to is what it has to be for.
func (s *Service) returned(ctx context.Context, client upstream.Client, req answer, to federation.Link) (person federation.Person, at time.Time, err error) {
	flow, err := s.openFlow(req.GetFlow())
	if err != nil {
		return person, at, federation.ErrFailed
	}
	if !flow.Answers(client.Provider, req.GetState(), to, s.Now()) {
		return person, at, federation.ErrFailed
	}
	used, err := s.store.UseFlow(ctx, flow)
	if err != nil {
		return person, at, err
	}
	if used {
		return person, at, federation.ErrFailed
	}
	person, err = s.upstream.Exchange(ctx, client, flow, upstream.Answer{Code: req.GetCode(), Issuer: req.GetIssuer()})
	if err != nil {
		return person, at, s.upstreamFault(ctx, client, err)
	}
	at, ok := person.ProvenAt(flow, s.Now())
	if !ok {
		return person, at, federation.ErrFailed
	}
	return person, at, nil
}

// upstreamFault says to people that a provider has failed, and to the log, how.
func (s *Service) upstreamFault(ctx context.Context, client upstream.Client, err error) error {
	s.Log.WarnContext(ctx, "an identity provider cannot be used", "provider", client.Provider.ID.String(), "error", err)
	if errors.Is(err, upstream.ErrProof) {
		return federation.ErrFailed
	}
	return federation.ErrAway
}

// accountOf returns the account of whom the provider vouches for: the one that is linked, or else the one that has proven the address, which is
// linked then, or a new one. An account that is unproven is not linked: somebody else may be signed in to it.
func (s *Service) accountOf(ctx context.Context, p federation.Provider, person federation.Person) (owner id.Account, err error) {
	for range 3 {
		owner, err = s.tryAccountOf(ctx, p, person)
		// Somebody else came first: what they have done is looked at.
		if !errors.Is(err, account.ErrEmailTaken) && !postgres.IsViolation(err, "federated_identities_pkey") {
			break
		}
	}
	return owner, err
}

func (s *Service) tryAccountOf(ctx context.Context, p federation.Provider, person federation.Person) (owner id.Account, err error) {
	var address email.Address
	if person.EmailVerified {
		address, err = email.ParseField("email", person.Email)
		person.EmailVerified = err == nil
	}
	var v store.Vouched
	err = s.view(ctx, postgres.Scope{}, func(q store.Queries) (err error) {
		v, err = q.FindVouched(ctx, p.ID, person.Subject, address.Key)
		return err
	})
	switch {
	case err != nil:
		return owner, err
	case !v.Linked.IsZero() && v.Domain != "":
		if err := s.mayVouch(ctx, p, v.Domain); err != nil {
			return owner, err
		}
		return v.Linked, s.admit(ctx, v.Linked, func(store.Queries) error { return nil })
	case !v.Linked.IsZero():
		return v.Linked, s.admit(ctx, v.Linked, func(store.Queries) error { return nil })
	case !person.EmailVerified:
		return owner, federation.ErrUnverified
	}
	domain, err := s.domainOf(ctx, p, address)
	switch {
	case err != nil:
		return owner, err
	case !v.Claimant.IsZero():
		return v.Claimant, s.admit(ctx, v.Claimant, func(q store.Queries) error {
			if now, err := q.FindVouched(ctx, p.ID, person.Subject, address.Key); err != nil || now != v {
				return cmp.Or(err, error(account.ErrEmailTaken))
			}
			return s.link(ctx, q, p, person.Subject, domain, v.Claimant)
		})
	}
	made := account.Account{ID: id.NewAccount(), DisplayName: person.Name, Email: address.Display, EmailVerified: true}
	return made.ID, s.inTxOnce(ctx, postgres.In(made.ID), func(q store.Queries) error {
		if err := q.Fetch(ctx); err != nil { // for the time
			return err
		}
		made.CreateTime = q.Now()
		q.ClaimEmail(address, made.ID, true)
		q.InsertAccountWithout(made, p.OrganizationID)
		q.InsertLink(p.ID, person.Subject, domain, made.ID)
		from := origin(ctx, made.ID, "")
		if err := publishCreated(q, made, from); err != nil {
			return err
		}
		return outbox.Publish(q.Tx, made.ID, q.Now(), linkedEvent(p, from))
	})
}

// domainOf returns the domain of the address, on which the word of an organization's provider stands; empty: the provider is the
// deployment's, and is believed.
func (s *Service) domainOf(ctx context.Context, p federation.Provider, address email.Address) (domain string, err error) {
	if p.OrganizationID.IsZero() {
		return "", nil
	}
	return address.Domain(), s.mayVouch(ctx, p, address.Domain())
}

// mayVouch refuses the word of an organization's provider on an address, unless the organization has verified the domain, and has it now.
func (s *Service) mayVouch(ctx context.Context, p federation.Provider, domain string) error {
	answer, err := s.Domains.HasDomain(ctx, &membershipv1.HasDomainRequest{OrganizationId: p.OrganizationID.String(), Domain: domain})
	switch {
	case err != nil:
		return fmt.Errorf("%w (has domain: %v)", federation.ErrUndecided, err)
	case !answer.GetVerified():
		return federation.ErrLinkRequired
	}
	return nil
}

// admit does something with an account that may sign in. Nothing here lets one sign in that may not.
func (s *Service) admit(ctx context.Context, owner id.Account, do func(store.Queries) error) error {
	var refused error
	err := s.inTxOnce(ctx, postgres.In(owner), func(q store.Queries) error {
		refused = nil
		m, err := q.LockManagement(ctx, owner)
		if err != nil {
			return err
		}
		if !m.SignInAllowed {
			refused = federation.ErrDisabled
			q.InsertAttempt(owner, attempt(ctx, session.SignIn, session.ByProvider, session.Disabled))
			return nil
		}
		return do(q)
	})
	if err != nil {
		return err
	}
	return refused
}

// link lets whom the provider knows sign in to the account from now on, and tells its person.
func (s *Service) link(ctx context.Context, q store.Queries, p federation.Provider, subject, domain string, owner id.Account) error {
	a, err := q.GetAccount(ctx, owner)
	if err != nil {
		return err
	}
	if a.Unproven() {
		return federation.ErrUnproven
	}
	q.InsertLink(p.ID, subject, domain, owner)
	if err := s.notify(q, a, mail.ProviderLinked{Notice: s.notice(ctx, q), Provider: p.DisplayName}); err != nil {
		return err
	}
	return outbox.Publish(q.Tx, owner, q.Now(), linkedEvent(p, origin(ctx, owner, "")))
}

func linkedEvent(p federation.Provider, from *eventv1.Context) *eventv1.AccountProviderLinked {
	return &eventv1.AccountProviderLinked{Context: from, ProviderId: p.ID.String(), OrganizationId: p.OrganizationID.String()}
}
