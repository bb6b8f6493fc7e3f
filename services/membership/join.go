package membership

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rosterhq/roster/pkg/events"
	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/email"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/saga"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// joinTask is the kind of the task that tries to make somebody a member who is to join through a domain or an identity provider. Its id is the account's.
//
// Joins stand in a queue, and one is tried at a time: the first is scheduled when somebody joins the queue, and whoever leaves it
// schedules the next. Without a seat the try ends there, until billing tells that one may be free.
const joinTask = "join"

// mostTold is how many of those who may add members are told by mail that somebody has joined, where there are more.
const mostTold = 20

// hearVerified notes who has just proven an address of a domain that an organization has verified. Who proved it before the
// domain was verified is not asked to be there.
func (s *Service) hearVerified(ctx context.Context, account id.Account, proven time.Time, text string) error {
	address, ok := email.Parse(text)
	if !ok { // none, or it was erased
		return nil
	}
	var key id.Organization
	var domain id.Domain
	err := s.DB.View(ctx, postgres.Scope{}, func(tx *postgres.Tx) error {
		found, err := queries(tx).FindDomain(ctx, address.Domain())
		if err == nil && !proven.Before(found.VerifyTime) {
			key, domain = found.OrganizationID, found.DomainID
		}
		return err
	})
	if err != nil || key.IsZero() {
		return err
	}
	return s.inTx(ctx, key, func(q store.Queries) error {
		at, err := q.LockMembers(ctx, key, account, account)
		if err != nil {
			return err
		}
		if _, err := q.GetDomainByID(ctx, key, domain); fault.From(err) != nil { // removed meanwhile
			return nil
		} else if err != nil {
			return err
		}
		if _, known := at.Members[account]; known || at.Organization.State != org.Active || !at.Organization.Policy.AutoJoin {
			return nil
		}
		q.InsertJoin(key, account, domain)
		q.ScheduleJoin(key, joinTask)
		return nil
	})
}

// hearSignedIn notes who has just signed in with an identity provider of an organization that lets them in for that.
func (s *Service) hearSignedIn(ctx context.Context, account id.Account, in *eventv1.AccountSignedIn) error {
	key, err := id.ParseOrganization(in.GetOrganizationId())
	if err != nil {
		return err
	}
	provider, err := id.ParseProvider(in.GetProviderId())
	if err != nil {
		return err
	}
	return s.inTx(ctx, key, func(q store.Queries) error {
		at, err := q.LockMembers(ctx, key, account, account)
		if err != nil {
			return err
		}
		if _, known := at.Members[account]; known || at.Organization.State != org.Active {
			return nil // also who was removed or disabled: that was somebody's decision
		}
		p, err := q.FindIdentityProvider(ctx, key, provider)
		if err != nil || !p.LetsIn() {
			return err
		}
		q.InsertProviderJoin(key, account, provider)
		q.ScheduleJoin(key, joinTask)
		return nil
	})
}

// hearSeats lets the first in the queue try again when there may be a seat. It does not matter how often it is heard.
func (s *Service) hearSeats(ctx context.Context, e events.Event, message proto.Message) error {
	switch message.(type) {
	case *eventv1.SeatReleased, *eventv1.SeatLimitChanged:
	default:
		return nil
	}
	key, err := id.ParseOrganization(e.Aggregate)
	if err != nil {
		return err
	}
	var any bool
	err = s.view(ctx, key, func(q store.Queries) (err error) {
		any, err = q.AnyJoins(ctx, key)
		return err
	})
	if err != nil || !any {
		return err
	}
	return s.inTx(ctx, key, func(q store.Queries) error {
		q.ScheduleJoin(key, joinTask)
		return nil
	})
}

// tryJoin begins to take a seat for somebody, if they may join still. The task ends with the decision, before billing is asked: a
// seat that gets free from then on schedules it anew.
func (s *Service) tryJoin(ctx context.Context, key id.Organization, account id.Account) error {
	person, address, err := s.proven(ctx, account)
	if err != nil {
		return err
	}
	var seat id.Seat
	err = s.inTx(ctx, key, func(q store.Queries) error {
		seat = id.Seat{}
		at, err := q.LockToJoin(ctx, key, account, person.Email)
		if err != nil {
			return err
		}
		task := saga.For(key, joinTask, account)
		switch _, known := at.Members[account]; {
		case at.Pending.State == org.Pending: // tried just now; the task stays until that has an outcome
			return nil
		case at.Join.AccountID.IsZero(), known, at.Organization.State != org.Active, at.Join.ProviderID.IsZero() && address != at.Join.Domain,
			person == org.Person{}: // the account is gone
			// Whoever was here once, removed or disabled included, comes back only when somebody wants them to.
			q.DeleteJoin(key, account)
		case !at.Join.Open:
		case at.Invited:
			q.LeaveToInvitation(key, account)
		default:
			task.Done(q.Tx)
			if _, err := joinRole(at.Organization, at.Join); err != nil {
				return nil // nobody joins, for now
			}
			cause := causeDomain
			if !at.Join.ProviderID.IsZero() {
				cause = causeProvider
			}
			op := org.Begin(org.JoinOperation, account, id.Account{}, cause, "", q.Now())
			op.Person = person
			begin(q, key, op)
			seat = op.Seat
			return nil
		}
		task.Done(q.Tx)
		q.ScheduleJoin(key, joinTask)
		return nil
	})
	if err != nil || seat.IsZero() {
		return err
	}
	return s.finishJoin(ctx, key, seat)
}

// joinRole returns the role that somebody gets who joins.
func joinRole(o org.Organization, j store.Join) (org.Role, error) {
	if j.ProviderID.IsZero() {
		return o.JoinRole()
	}
	return o.ProvidedRole()
}

// proven returns how somebody is shown, and the domain of their address if they have proven that it is theirs.
func (s *Service) proven(ctx context.Context, account id.Account) (who org.Person, domain string, err error) {
	answer, err := s.Accounts.GetAccounts(ctx, &identityv1.GetAccountsRequest{AccountIds: []string{account.String()}})
	if err != nil {
		return who, "", fmt.Errorf("read the account: %w", err)
	}
	for _, a := range answer.GetAccounts() { // none: the account is gone
		who = org.Person{DisplayName: clean(a.GetDisplayName()), Email: clean(a.GetEmail()), Username: clean(a.GetUsername())}
		if address, ok := email.Parse(a.GetEmail()); ok && a.GetEmailVerified() {
			domain = address.Domain()
		}
	}
	return who, domain, nil
}

// finishJoin takes the seat and makes the member.
func (s *Service) finishJoin(ctx context.Context, key id.Organization, seat id.Seat) error {
	return s.finish(ctx, key, seat, org.JoinOperation, s.join)
}

// join makes the member, with the role that the policy names by now, unless that has become impossible meanwhile.
func (s *Service) join(ctx context.Context, q store.Queries, op org.Operation, at store.Standing) error {
	o := at.Organization
	waiting, err := q.GetJoin(ctx, o.ID, op.Account)
	if err != nil {
		return err
	}
	_, known := at.Members[op.Account]
	switch {
	case o.State != org.Active:
		return org.ErrNotFound
	case known:
		return fault.New(errorv1.Reason_REASON_ALREADY_MEMBER, "This person is, or was, a member of the organization already.")
	case !waiting.Open:
		return org.ErrNoDomain
	}
	role, err := joinRole(o, waiting)
	if err != nil {
		return err
	}
	admins, err := q.ListAddresses(ctx, o.ID, o.Roles.Holding(org.CreateMembers), mostTold)
	if err != nil {
		return err
	}
	member := org.Member{Account: op.Account}
	member.Join(role, op.Seat, id.Invitation{}, q.Now())
	q.SaveMember(o.ID, member, true)
	list(q, o.ID, member, role, op.Person)
	q.DeleteJoin(o.ID, op.Account)
	q.ScheduleJoin(o.ID, joinTask)
	because := outbox.Origin{Service: s.DB.Name, Cause: eventv1.Cause_KIND_DOMAIN, CauseID: waiting.DomainID.String()}
	if !waiting.ProviderID.IsZero() {
		because.Cause, because.CauseID = eventv1.Cause_KIND_PROVIDER, waiting.ProviderID.String()
	}
	if err := outbox.Publish(q.Tx, o.ID, q.Now(), &eventv1.MemberAdded{
		Context: because.Context(ctx), Member: memberToEvent(o, member), Personal: personToEvent(op.Person)}); err != nil {
		return err
	}
	for _, address := range admins {
		note := mail.Joined{Organization: o.DisplayName, Name: op.Person.DisplayName, Role: role.DisplayName, Domain: waiting.Domain, Provider: waiting.Provider}
		if err := mail.Add(s.Mail, q.Tx, o.ID, op.Account, address, note); err != nil {
			return err
		}
	}
	q.FinishOperation(o.ID, op, member)
	return nil
}
