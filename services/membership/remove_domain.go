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

// RemoveDomain forgets a domain, and who waits to join through it. Whoever has joined stays.
func (s *Service) RemoveDomain(ctx context.Context, req *membershipv1.RemoveDomainRequest) (*membershipv1.RemoveDomainResponse, error) {
	key, name, err := parseDomain(req)
	if err != nil {
		return nil, err
	}
	me := caller.From(ctx).Account
	once := s.managed(ctx, key, org.ManageDomains, req.GetRequestId(), "RemoveDomain", req)
	answer, revision, err := postgres.Once(ctx, s.DB, postgres.In(key), once, func(tx *postgres.Tx) (*membershipv1.RemoveDomainResponse, error) {
		q := queries(tx)
		at, err := q.LockOrganization(ctx, key, me)
		if err != nil {
			return nil, err
		}
		actor, err := at.Organization.Admit(at.Members[me])
		if err != nil {
			return nil, err
		}
		if err := actor.Need(org.ManageDomains); err != nil {
			return nil, err
		}
		domain, err := q.GetDomain(ctx, key, name)
		if err != nil {
			return nil, err
		}
		q.DeleteDomain(key, domain.ID)
		saga.For(key, domainTask, domain.ID).Done(tx)
		q.ScheduleJoin(key, joinTask) // through another domain, whose turn it is now
		because := outbox.Origin{Account: me, Cause: eventv1.Cause_KIND_ADMIN, RequestID: req.GetRequestId()}
		return &membershipv1.RemoveDomainResponse{}, outbox.Publish(tx, key, tx.Now(), &eventv1.DomainRemoved{
			Context: because.Context(ctx), Before: domainToEvent(domain)})
	})
	if err != nil {
		return nil, err
	}
	answer.Token = outbox.Token(key, s.DB.Name, revision)
	return answer, nil
}
