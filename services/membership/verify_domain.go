package membership

import (
	"context"
	"fmt"
	"time"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
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

// domainTask is the kind of the task that looks for the proof of a domain again. Its id is the domain's.
const domainTask = "domain"

// VerifyDomain looks for the proof, and gives the domain to the organization that has it. That another organization has the
// domain is told only to who has proven that it is theirs.
func (s *Service) VerifyDomain(ctx context.Context, req *membershipv1.VerifyDomainRequest) (*membershipv1.VerifyDomainResponse, error) {
	key, name, err := parseDomain(req)
	if err != nil {
		return nil, err
	}
	once := s.managed(ctx, key, org.ManageDomains, req.GetRequestId(), "VerifyDomain", req)
	_, found, err := postgres.Replayed[*membershipv1.VerifyDomainResponse](ctx, s.DB, postgres.In(key), once)
	if err != nil {
		return nil, err
	}
	var asked org.Domain
	if !found { // what the DNS says by now does not change an answer
		if asked, err = s.lookUp(ctx, key, name); err != nil {
			return nil, err
		}
	}
	me := caller.From(ctx).Account
	answer, revision, err := postgres.Once(ctx, s.DB, postgres.In(key), once, func(tx *postgres.Tx) (*membershipv1.VerifyDomainResponse, error) {
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
		domain, err := q.GetDomainByID(ctx, key, asked.ID) // not one of the same name that was added meanwhile
		if err != nil {
			return nil, err
		}
		because := outbox.Origin{Account: me, Cause: eventv1.Cause_KIND_ADMIN, RequestID: req.GetRequestId()}
		err = prove(ctx, q, key, &domain, because)
		return &membershipv1.VerifyDomainResponse{Domain: domainToProto(domain)}, err
	})
	if store.DomainTaken(err) {
		return nil, org.ErrDomainTaken
	}
	if err != nil {
		return nil, err
	}
	answer.Token = outbox.Token(key, s.DB.Name, revision)
	return answer, nil
}

// lookUp returns a domain whose proof is in the DNS.
func (s *Service) lookUp(ctx context.Context, key id.Organization, name string) (org.Domain, error) {
	d, err := s.getDomain(ctx, key, name, org.ManageDomains)
	if err != nil {
		return d, err
	}
	proven, err := s.Proofs.Has(ctx, d.RecordName(), d.RecordValue())
	switch {
	case err != nil:
		return d, fmt.Errorf("%w (%v)", fault.Newf(errorv1.Reason_REASON_UNAVAILABLE,
			"The name servers of %s do not answer. Try again.", name).WithRetry(10*time.Second), err)
	case !proven:
		return d, d.Unproven()
	}
	return d, nil
}

// prove notes that the proof of a domain was found. The commit fails with store.DomainTaken if another organization has it.
func prove(ctx context.Context, q store.Queries, key id.Organization, d *org.Domain, because outbox.Origin) error {
	before := *d
	news := d.Prove(q.Now())
	q.SaveDomain(key, *d)
	saga.For(key, domainTask, d.ID).At(q.Tx, d.NextCheck(q.Now()))
	if !news {
		return nil
	}
	q.ScheduleJoin(key, joinTask) // who waits for a seat since before it was suspended
	return outbox.Publish(q.Tx, key, q.Now(), &eventv1.DomainVerified{
		Context: because.Context(ctx), Before: domainToEvent(before), After: domainToEvent(*d)})
}

// checkDomain is the sweeper's step that looks for the proof of a domain that was verified. No answer is no proof either: who
// lets a domain go lets its name servers go.
func (s *Service) checkDomain(ctx context.Context, key id.Organization, domain id.Domain) error {
	task := saga.For(key, domainTask, domain)
	var asked org.Domain
	err := s.view(ctx, key, func(q store.Queries) (err error) {
		asked, err = q.GetDomainByID(ctx, key, domain)
		return err
	})
	if fault.ReasonOf(err) == errorv1.Reason_REASON_DOMAIN_NOT_FOUND { // removed
		return s.inTx(ctx, key, func(q store.Queries) error {
			task.Done(q.Tx)
			return nil
		})
	}
	if err != nil {
		return err
	}
	proven, err := s.Proofs.Has(ctx, asked.RecordName(), asked.RecordValue())
	if err != nil {
		s.Log.WarnContext(ctx, "the DNS does not answer for a domain", "organization", key.String(), "domain", asked.Name, "error", err)
	}
	err = s.noteProof(ctx, key, domain, proven)
	if store.DomainTaken(err) { // proven again, and another organization has it by now
		err = s.noteProof(ctx, key, domain, false)
	}
	return err
}

// noteProof notes what a look into the DNS has brought.
func (s *Service) noteProof(ctx context.Context, key id.Organization, domain id.Domain, proven bool) error {
	return s.inTx(ctx, key, func(q store.Queries) error {
		if _, err := q.LockOrganization(ctx, key, id.Account{}); err != nil {
			return err
		}
		d, err := q.GetDomainByID(ctx, key, domain)
		if err != nil { // removed meanwhile: the next look finds that
			return err
		}
		because := outbox.Origin{Service: s.DB.Name, Cause: eventv1.Cause_KIND_DOMAIN, CauseID: domain.String()}
		if proven {
			return prove(ctx, q, key, &d, because)
		}
		before := d
		news := d.Miss(q.Now())
		q.SaveDomain(key, d)
		saga.For(key, domainTask, domain).At(q.Tx, d.NextCheck(q.Now()))
		if !news {
			return nil
		}
		return outbox.Publish(q.Tx, key, q.Now(), &eventv1.DomainLost{
			Context: because.Context(ctx), Before: domainToEvent(before), After: domainToEvent(d)})
	})
}
