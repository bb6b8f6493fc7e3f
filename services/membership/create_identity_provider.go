package membership

import (
	"context"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/saga"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// CreateIdentityProvider adds an identity provider of the organization. Identity seals the secret first; the decision is committed then, and
// identity told of it, by this call or by the sweeper.
func (s *Service) CreateIdentityProvider(ctx context.Context, req *membershipv1.CreateIdentityProviderRequest) (*membershipv1.CreateIdentityProviderResponse, error) {
	key, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	if _, _, err := s.admit(ctx, key, org.ManageSSO); err != nil {
		return nil, err
	}
	p := org.IdentityProvider{
		ID: id.NewProvider(), DisplayName: req.GetDisplayName(), Issuer: req.GetIssuer(), ClientID: req.GetClientId(), SecretSet: req.GetClientSecret() != "",
		Enabled: !req.GetDisabled(), Joins: req.GetJoin(), Version: 1,
	}
	if p.SealedSecret, err = s.prepareProvider(ctx, key, p, req.GetClientSecret()); err != nil {
		return nil, err
	}
	me := caller.From(ctx).Account
	once := s.managed(ctx, key, org.ManageSSO, req.GetRequestId(), "CreateIdentityProvider", req)
	answer, revision, err := postgres.Once(ctx, s.DB, postgres.In(key), once, func(tx *postgres.Tx) (*membershipv1.CreateIdentityProviderResponse, error) {
		q := queries(tx)
		at, err := q.LockOrganization(ctx, key, me)
		if err != nil {
			return nil, err
		}
		actor, err := at.Organization.Admit(at.Members[me])
		if err != nil {
			return nil, err
		}
		if err := actor.Need(org.ManageSSO); err != nil {
			return nil, err
		}
		if err := actor.LetJoin(p); err != nil {
			return nil, err
		}
		have, err := q.ListIdentityProviders(ctx, key)
		if err != nil {
			return nil, err
		}
		if err := org.AddIdentityProvider(have); err != nil {
			return nil, err
		}
		p.CreateTime = q.Now()
		q.InsertIdentityProvider(key, p)
		saga.For(key, providerTask, p.ID).At(tx, q.Now().Add(saga.Grace))
		because := outbox.Origin{Account: me, Cause: eventv1.Cause_KIND_ADMIN, RequestID: req.GetRequestId()}
		return &membershipv1.CreateIdentityProviderResponse{Provider: s.providerToProto(p)},
			outbox.Publish(tx, key, tx.Now(), &eventv1.ProviderCreated{Context: because.Context(ctx), Provider: providerToEvent(p)})
	})
	if err != nil {
		return nil, err
	}
	made, err := id.ParseProvider(answer.GetProvider().GetId()) // of a repeated request: the first one's
	if err != nil {
		return nil, err
	}
	answer.Token = outbox.Token(key, s.DB.Name, revision)
	return answer, s.finishProvider(ctx, key, made)
}

// ListIdentityProviders returns the identity providers of the organization.
func (s *Service) ListIdentityProviders(ctx context.Context, req *membershipv1.ListIdentityProvidersRequest) (*membershipv1.ListIdentityProvidersResponse, error) {
	key, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	if _, _, err := s.admit(ctx, key, org.ReadSSO); err != nil {
		return nil, err
	}
	answer := &membershipv1.ListIdentityProvidersResponse{}
	return answer, s.view(ctx, key, func(q store.Queries) error {
		all, err := q.ListIdentityProviders(ctx, key)
		for _, p := range all {
			answer.Providers = append(answer.Providers, s.providerToProto(p))
		}
		return err
	})
}
