package membership

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rosterhq/roster/pkg/events"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// Consume keeps the audit view up with the history of the organization, this service's own part included, and the list of
// people with invitations and accounts, and lets people join through domains. What changes the view or the list is applied
// once: how far this service has come is committed together with the effect.
func (s *Service) Consume(ctx context.Context, e events.Event) error {
	message, err := e.Message()
	if err != nil && !errors.Is(err, events.ErrUnknownType) {
		return err
	}
	if e.Service == "identity" {
		return s.hearAccount(ctx, e, message)
	}
	if e.Service == "billing" {
		if err := s.hearSeats(ctx, e, message); err != nil {
			return err
		}
	}
	return s.hearOrganization(ctx, e, message)
}

// hearOrganization shows in the audit view what happened in an organization.
func (s *Service) hearOrganization(ctx context.Context, e events.Event, message proto.Message) error {
	key, err := id.ParseOrganization(e.Aggregate)
	if err != nil {
		return err
	}
	shown, err := auditEventOf(e)
	if err != nil {
		return err
	}
	err = s.inTx(ctx, key, func(q store.Queries) error {
		fresh, err := q.Advance(ctx, id.Any(key), e.Service, e.Epoch, e.Revision)
		if err != nil || !fresh {
			return err
		}
		q.SaveAuditEvent(key, shown)
		return listInvitation(q, key, e.Time, message)
	})
	if err == nil {
		s.arrivals.announce(key)
	}
	return err
}

// listInvitation lists and unlists people with pending invitations.
func listInvitation(q store.Queries, key id.Organization, at time.Time, message proto.Message) error {
	switch m := message.(type) {
	case *eventv1.InvitationCreated:
		return saveInvitation(q, key, at, m.GetInvitation(), m.GetPersonal())
	case *eventv1.InvitationResent:
		return saveInvitation(q, key, at, m.GetAfter(), m.GetPersonal())
	case *eventv1.InvitationRoleChanged:
		invitation, err := id.ParseInvitation(m.GetAfter().GetInvitationId())
		if err != nil {
			return err
		}
		q.SaveInvitationRole(key, invitation, m.GetAfter().GetRole())
	case interface{ GetAfter() *eventv1.Invitation }:
		if m.GetAfter().GetState() == eventv1.Invitation_STATE_PENDING {
			return nil
		}
		invitation, err := id.ParseInvitation(m.GetAfter().GetInvitationId())
		if err != nil {
			return err
		}
		q.DeletePerson(key, id.Any(invitation))
		q.JoinsAfterInvitation(key)
		q.ScheduleJoin(key, joinTask)
	}
	return nil
}

func saveInvitation(q store.Queries, key id.Organization, at time.Time, i *eventv1.Invitation, p *eventv1.Personal) error {
	invitation, err := id.ParseInvitation(i.GetInvitationId())
	if err != nil {
		return err
	}
	expires := i.GetExpireTime().AsTime()
	q.SaveInvitation(key, store.Entry{
		ID: id.Any(invitation), Profile: org.Profile{Person: personFromEvent(p)}, Role: i.GetRole(), JoinTime: at, ExpireTime: &expires,
	})
	return nil
}

// hearAccount carries a person's new name or address to every list that they are on, and notes their second factors, whether they are unproven,
// and who may join an organization.
func (s *Service) hearAccount(ctx context.Context, e events.Event, message proto.Message) error {
	account, err := id.ParseAccount(e.Aggregate)
	if err != nil {
		return err
	}
	if verified, ok := message.(*eventv1.AccountEmailVerified); ok {
		if err := s.hearVerified(ctx, account, e.Time, verified.GetPersonal().GetEmail()); err != nil {
			return err
		}
	}
	if in, ok := message.(*eventv1.AccountSignedIn); ok && in.GetOrganizationId() != "" {
		return s.hearSignedIn(ctx, account, in)
	}
	var note func(store.Queries)
	switch m := message.(type) {
	case *eventv1.AccountUpdated:
		note = rename(account, m.GetPersonal())
	case *eventv1.AccountEmailVerified: // the first thing that who is unproven does with an address
		note = func(q store.Queries) { q.SaveUnproven(account, false) }
	case *eventv1.AccountTemporaryPasswordIssued:
		note = func(q store.Queries) { q.SaveUnproven(account, true) }
	case *eventv1.AccountEmailChanged:
		shown := rename(account, m.GetPersonal())
		note = func(q store.Queries) {
			if m.GetUnproven() {
				q.SaveUnproven(account, true)
			}
			if shown != nil {
				shown(q)
			}
		}
	case *eventv1.AccountMfaChanged:
		note = func(q store.Queries) { q.SaveFactors(account, m.GetAfter().GetMethods()) }
	case *eventv1.AccountMfaReset:
		note = func(q store.Queries) { q.SaveFactors(account, nil) }
	case *eventv1.AccountDeleted:
		note = func(q store.Queries) { beginErasing(q, account) }
	}
	if note == nil {
		return nil
	}
	scope := postgres.Scope{Aggregate: id.Any(account), Account: account}
	return s.DB.InTx(ctx, scope, func(tx *postgres.Tx) error {
		q := queries(tx)
		fresh, err := q.Advance(ctx, id.Any(account), e.Service, e.Epoch, e.Revision)
		if err != nil || !fresh {
			return err
		}
		note(q)
		return nil
	})
}

// rename shows an account as it says of itself by now; nil: that was erased, and there is nothing to show.
func rename(account id.Account, shown *eventv1.Personal) func(store.Queries) {
	if shown == nil {
		return nil
	}
	return func(q store.Queries) { q.Rename(account, personFromEvent(shown)) }
}
