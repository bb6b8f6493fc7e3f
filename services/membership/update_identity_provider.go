package membership

import (
	"context"
	"errors"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/saga"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// UpdateIdentityProvider changes what is given, and has identity hear of it.
func (s *Service) UpdateIdentityProvider(ctx context.Context, req *membershipv1.UpdateIdentityProviderRequest) (*membershipv1.UpdateIdentityProviderResponse, error) {
	key, provider, err := parseProvider(req)
	if err != nil {
		return nil, err
	}
	if _, _, err := s.admit(ctx, key, org.ManageSSO); err != nil {
		return nil, err
	}
	change := org.IdentityProviderChange{DisplayName: req.DisplayName, ClientID: req.ClientId, Enabled: req.Enabled, Joins: req.Join}
	if req.ClientSecret != nil {
		change.Secret = new(req.GetClientSecret() != "")
	}
	var wanted org.IdentityProvider
	err = s.view(ctx, key, func(q store.Queries) (err error) {
		wanted, err = q.GetIdentityProvider(ctx, key, provider)
		return err
	})
	var sealed []byte
	if err == nil {
		wanted.Apply(change)
		sealed, err = s.prepareProvider(ctx, key, wanted, req.GetClientSecret())
	}
	if err != nil && !errors.Is(err, org.ErrNoIdentityProvider) { // which this may have answered before
		return nil, err
	}
	me := caller.From(ctx).Account
	once := s.managed(ctx, key, org.ManageSSO, req.GetRequestId(), "UpdateIdentityProvider", req)
	answer, revision, err := postgres.Once(ctx, s.DB, postgres.In(key), once, func(tx *postgres.Tx) (*membershipv1.UpdateIdentityProviderResponse, error) {
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
		p, err := q.GetIdentityProvider(ctx, key, provider)
		if err != nil {
			return nil, err
		}
		before := p
		p.Apply(change)
		if change.Secret != nil {
			p.SealedSecret = sealed
		}
		if p.Joins && !before.Joins {
			if err := actor.LetJoin(p); err != nil {
				return nil, err
			}
		}
		q.SaveIdentityProvider(key, p)
		saga.For(key, providerTask, provider).At(tx, q.Now().Add(saga.Grace))
		if !p.LetsIn() {
			q.DeleteProviderJoins(key, provider)
			q.ScheduleJoin(key, joinTask)
		}
		because := outbox.Origin{Account: me, Cause: eventv1.Cause_KIND_ADMIN, RequestID: req.GetRequestId()}
		return &membershipv1.UpdateIdentityProviderResponse{Provider: s.providerToProto(p)}, outbox.Publish(tx, key, tx.Now(), &eventv1.ProviderUpdated{
			Context: because.Context(ctx), Before: providerToEvent(before), After: providerToEvent(p), ClientSecretChanged: change.Secret != nil})
	})
	if err != nil {
		return nil, err
	}
	answer.Token = outbox.Token(key, s.DB.Name, revision)
	return answer, s.finishProvider(ctx, key, provider)
}
