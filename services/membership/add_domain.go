package membership

import (
	"context"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// AddDomain notes a domain that the organization says is its own, with the challenge by which it proves that.
func (s *Service) AddDomain(ctx context.Context, req *membershipv1.AddDomainRequest) (*membershipv1.AddDomainResponse, error) {
	key, name, err := parseDomain(req)
	if err != nil {
		return nil, err
	}
	me := caller.From(ctx).Account
	once := s.managed(ctx, key, org.ManageDomains, req.GetRequestId(), "AddDomain", req)
	answer, revision, err := postgres.Once(ctx, s.DB, postgres.In(key), once, func(tx *postgres.Tx) (*membershipv1.AddDomainResponse, error) {
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
		if err := s.Providers.Ownable(name); err != nil {
			return nil, err
		}
		have, err := q.ListDomains(ctx, key)
		if err != nil {
			return nil, err
		}
		domain, err := org.AddDomain(name, have, q.Now())
		if err != nil {
			return nil, err
		}
		q.InsertDomain(key, domain)
		because := outbox.Origin{Account: me, Cause: eventv1.Cause_KIND_ADMIN, RequestID: req.GetRequestId()}
		return &membershipv1.AddDomainResponse{Domain: domainToProto(domain)},
			outbox.Publish(tx, key, tx.Now(), &eventv1.DomainAdded{Context: because.Context(ctx), Domain: domainToEvent(domain)})
	})
	if err != nil {
		return nil, err
	}
	answer.Token = outbox.Token(key, s.DB.Name, revision)
	return answer, nil
}
