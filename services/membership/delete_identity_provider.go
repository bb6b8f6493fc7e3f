package membership

import (
	"context"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/saga"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// DeleteIdentityProvider takes an identity provider away. Its row stays until identity has heard of it.
func (s *Service) DeleteIdentityProvider(ctx context.Context, req *membershipv1.DeleteIdentityProviderRequest) (*membershipv1.DeleteIdentityProviderResponse, error) {
	key, provider, err := parseProvider(req)
	if err != nil {
		return nil, err
	}
	me := caller.From(ctx).Account
	once := s.managed(ctx, key, org.ManageSSO, req.GetRequestId(), "DeleteIdentityProvider", req)
	answer, revision, err := postgres.Once(ctx, s.DB, postgres.In(key), once, func(tx *postgres.Tx) (*membershipv1.DeleteIdentityProviderResponse, error) {
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
		p.Delete()
		q.SaveIdentityProvider(key, p)
		saga.For(key, providerTask, provider).At(tx, q.Now().Add(saga.Grace))
		q.DeleteProviderJoins(key, provider)
		q.ScheduleJoin(key, joinTask)
		because := outbox.Origin{Account: me, Cause: eventv1.Cause_KIND_ADMIN, RequestID: req.GetRequestId()}
		return &membershipv1.DeleteIdentityProviderResponse{}, outbox.Publish(tx, key, tx.Now(), &eventv1.ProviderDeleted{
			Context: because.Context(ctx), Before: providerToEvent(before)})
	})
	if err != nil {
		return nil, err
	}
	answer.Token = outbox.Token(key, s.DB.Name, revision)
	return answer, s.finishProvider(ctx, key, provider)
}
