package identity

import (
	"context"
	"errors"

	"google.golang.org/protobuf/types/known/timestamppb"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/federation"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/email"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// BeginLinkProvider sends a browser to a provider, to be linked to the caller's account. What it keeps is good for this session alone.
func (s *Service) BeginLinkProvider(ctx context.Context, req *identityv1.BeginLinkProviderRequest) (*identityv1.BeginLinkProviderResponse, error) {
	who := caller.From(ctx)
	client, err := s.clientAt(ctx, req.GetProviderId())
	if err != nil {
		return nil, err
	}
	err = s.inTx(ctx, postgres.In(who.Account), func(q store.Queries) error {
		has, err := q.ListFactors(ctx, who.Account)
		if err != nil {
			return err
		}
		if has.Account.Unproven() {
			return account.ErrUnproven
		}
		return provenFor(ctx, q, has)
	})
	if err != nil {
		return nil, err
	}
	flow := federation.NewFlow(client.Provider, false, s.Now())
	flow.Link = federation.Link{Account: who.Account, Session: who.Session}
	url, err := s.upstream.URL(ctx, client, flow)
	if err != nil {
		return nil, s.upstreamFault(ctx, client, err)
	}
	return &identityv1.BeginLinkProviderResponse{AuthorizationUrl: url, Flow: s.sealFlow(flow), ExpireTime: timestamppb.New(flow.End())}, nil
}

// CompleteLinkProvider links whom the provider has sent back. Who has begun it has just proven who they are, so that it takes no further proof; but
// they have to be signed in still when it is written.
func (s *Service) CompleteLinkProvider(ctx context.Context, req *identityv1.CompleteLinkProviderRequest) (*identityv1.CompleteLinkProviderResponse, error) {
	who := caller.From(ctx)
	client, err := s.clientAt(ctx, req.GetProviderId())
	if err != nil {
		return nil, err
	}
	person, _, err := s.returned(ctx, client, req, federation.Link{Account: who.Account, Session: who.Session})
	if err != nil {
		return nil, err
	}
	domain, err := s.domainToLink(ctx, client.Provider, person)
	if err != nil {
		return nil, err
	}
	err = s.inTxOnce(ctx, postgres.In(who.Account), func(q store.Queries) error {
		has, err := q.LockFactors(ctx, who.Account)
		if err != nil {
			return err
		}
		if err := stillSignedIn(ctx, q); err != nil {
			return err
		}
		if has.Account.Unproven() {
			return account.ErrUnproven
		}
		if _, err := q.LockSignInProvider(ctx, client.Provider.ID); err != nil {
			return err
		}
		known, err := q.FindVouched(ctx, client.Provider.ID, person.Subject, "")
		if err != nil {
			return err
		}
		another, err := q.IsLinked(ctx, client.Provider.ID, who.Account)
		switch {
		case err != nil:
			return err
		case known.Linked == who.Account:
			return nil
		case !known.Linked.IsZero():
			return federation.ErrTaken
		case another:
			return federation.ErrAnother
		}
		return s.link(ctx, q, client.Provider, person.Subject, domain, who.Account)
	})
	if postgres.IsViolation(err, "federated_identities_pkey") { // somebody else was faster
		err = federation.ErrTaken
	}
	if err != nil {
		return nil, err
	}
	return &identityv1.CompleteLinkProviderResponse{}, nil
}

// domainToLink returns the domain that a link to an organization's provider stands on, as domainOf does; the word of one of the deployment's is not
// needed here, because its person has shown that both are theirs.
func (s *Service) domainToLink(ctx context.Context, p federation.Provider, person federation.Person) (string, error) {
	if p.OrganizationID.IsZero() {
		return "", nil
	}
	address, err := email.ParseField("email", person.Email)
	if err != nil || !person.EmailVerified {
		return "", federation.ErrUnverified
	}
	domain, err := s.domainOf(ctx, p, address)
	if errors.Is(err, federation.ErrLinkRequired) {
		err = federation.ErrNoSay
	}
	return domain, err
}
