package membership

import (
	"context"
	"fmt"
	"slices"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// AddMember makes an account a member on a seat that it occupies. The answer, yes or no, is recorded under the seat in the
// same transaction, so that a repeated call gets it again and a late one never adds a removed member.
func (s *Service) AddMember(ctx context.Context, req *membershipv1.AddMemberRequest) (*membershipv1.AddMemberResponse, error) {
	add, err := parseAddition(req)
	if err != nil {
		return nil, err
	}
	var answer org.Operation
	err = s.inTx(ctx, add.organization, func(q store.Queries) error {
		add := add
		at, before, err := q.LockToAdd(ctx, add.organization, add.seat, &add.role, add.account, add.inviter)
		if err != nil {
			return err
		}
		if before.Seat == add.seat {
			answer = before
			return nil
		}
		if at.Organization.State != org.Active {
			return org.ErrNotFound // for ever, as a deleted organization stays deleted
		}
		answer = org.Operation{Seat: add.seat, Kind: org.AddOperation, State: org.Done, Account: add.account, Actor: add.inviter,
			Cause: causeInvite, CreateTime: q.Now()}
		if err := s.add(ctx, q, at, add, &answer); err != nil {
			if answer.Refusal = fault.From(err); answer.Refusal == nil {
				return err
			}
			answer.State = org.Refused
		}
		q.InsertOperation(add.organization, answer)
		q.ReadRevision(id.Any(add.organization), &answer.Revision)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if answer.Account != add.account {
		return nil, fmt.Errorf("seat %s was for account %s, not for %s", add.seat, answer.Account, add.account)
	}
	if answer.State == org.Refused {
		return nil, answer.Refusal
	}
	return &membershipv1.AddMemberResponse{Revision: answer.Revision}, nil
}

// addition is who is to be added, and how.
type addition struct {
	organization id.Organization
	account      id.Account
	seat         id.Seat
	invitation   id.Invitation // zero: none
	inviter      id.Account    // zero: nobody in particular
	role         string
	person       org.Person
	seatLost     bool // by now: only the first answer counts
}

func parseAddition(req *membershipv1.AddMemberRequest) (a addition, err error) {
	a.role, a.seatLost = req.GetRole(), req.GetSeatLost()
	a.person = org.Person{DisplayName: clean(req.GetDisplayName()), Email: clean(req.GetEmail()), Username: clean(req.GetUsername())}
	if a.organization, a.account, err = parseMember(req); err != nil {
		return a, err
	}
	if a.seat, err = id.ParseSeat(req.GetSeatId()); err != nil {
		return a, err
	}
	if req.GetInvitationId() != "" {
		if a.invitation, err = id.ParseInvitation(req.GetInvitationId()); err != nil {
			return a, err
		}
	}
	if req.GetInviterAccountId() != "" {
		if a.inviter, err = id.ParseAccount(req.GetInviterAccountId()); err != nil {
			return a, fault.Invalid("inviter_account_id", "must be the id of an account")
		}
	}
	return a, nil
}

// add decides, writes the member and tells of it. A fault is the answer no, and nothing was written.
func (s *Service) add(ctx context.Context, q store.Queries, at store.Standing, add addition, answer *org.Operation) error {
	if add.seatLost {
		return fault.New(errorv1.Reason_REASON_SEAT_LIMIT_REACHED, "The seat was given back before the person became a member.")
	}
	if slices.Contains(at.Erased, add.account) {
		return org.ErrErased
	}
	o := at.Organization
	member, known := at.Members[add.account]
	if member.Belongs() {
		return fault.New(errorv1.Reason_REASON_ALREADY_MEMBER, "This person is a member of the organization already.").
			With("accountId", add.account.String())
	}
	role, err := grantable(o, at.Members[add.inviter], add)
	if err != nil {
		return err
	}
	member.Account = add.account
	member.Join(role, add.seat, add.invitation, q.Now())
	answer.Role, answer.Version = member.Role, member.Version
	enter(q, o, member, known, role, add.person)
	because := outbox.Origin{Account: add.inviter, Service: s.DB.Name, Cause: eventv1.Cause_KIND_ADMIN, CauseID: add.seat.String()}
	if !add.invitation.IsZero() {
		q.DeletePerson(o.ID, id.Any(add.invitation))
		because = outbox.Origin{Account: add.account, Cause: eventv1.Cause_KIND_INVITE, CauseID: add.invitation.String()}
	}
	return outbox.Publish(q.Tx, o.ID, q.Now(), &eventv1.MemberAdded{
		Context: because.Context(ctx), Member: memberToEvent(o, member), Personal: personToEvent(add.person)})
}

// enter writes somebody's membership: known tells whether they had one before, which has ended.
func enter(q store.Queries, o org.Organization, member org.Member, known bool, role org.Role, person org.Person) {
	q.SaveMember(o.ID, member, !known)
	q.DeleteJoin(o.ID, member.Account)
	if known && !o.Policy.ProjectGuests { // of a time when there were guests
		q.DeleteProjectMemberships(o.ID, member.Account)
	}
	list(q, o.ID, member, role, person)
}

// grantable returns the role if whoever invited may still give it. What was right when the invitation was sent may not be
// when it is accepted.
func grantable(o org.Organization, inviter org.Member, add addition) (org.Role, error) {
	if add.inviter.IsZero() {
		return o.Roles.Givable(add.role)
	}
	inviter.Unprotected = false // they were let in when they invited, and are not here now
	actor, err := o.Admit(inviter)
	if err == nil {
		err = actor.Need(org.Invite)
	}
	if err != nil {
		return org.Role{}, fault.New(errorv1.Reason_REASON_PERMISSION_MISSING,
			"Whoever sent this invitation may no longer invite people here. Ask for a new one.").With("permission", org.Invite)
	}
	return actor.Give(add.role)
}
