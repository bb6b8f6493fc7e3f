package membership

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/types/known/wrapperspb"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/email"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/naming"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/saga"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// CreateMember makes somebody a member without asking them. The decision is committed first, with the ids of the seat and, where one is to
// be made, of the account; then the seat is taken, the account made and the member added, by this call or, after a crash, by the sweeper.
// Identity keeps the temporary password, for a day: this service never stores it.
func (s *Service) CreateMember(ctx context.Context, req *membershipv1.CreateMemberRequest) (*membershipv1.CreateMemberResponse, error) {
	key, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	wanted, err := parseNewcomer(req)
	if err != nil {
		return nil, err
	}
	once := s.managed(ctx, key, org.CreateMembers, req.GetRequestId(), "CreateMember", req)
	begun, repeated, err := postgres.Replayed[*wrapperspb.StringValue](ctx, s.DB, postgres.In(key), once)
	if err != nil {
		return nil, err
	}
	if !repeated {
		if wanted.claims, err = s.claims(ctx, key, wanted); err != nil {
			return nil, err
		}
		begun, _, err = postgres.Once(ctx, s.DB, postgres.In(key), once, func(tx *postgres.Tx) (*wrapperspb.StringValue, error) {
			seat, err := beginDirect(ctx, queries(tx), once.ID, key, wanted)
			return wrapperspb.String(seat.String()), err
		})
		if err != nil {
			return nil, err
		}
	}
	seat, err := id.ParseSeat(begun.GetValue())
	if err != nil {
		return nil, err
	}
	if err := s.finishDirect(ctx, key, seat); err != nil {
		return nil, err
	}
	return s.createdMember(ctx, key, seat)
}

// newcomer is somebody who is to be a member.
type newcomer struct {
	address     email.Address
	displayName string // of an account that is made
	role        string
	claims      []org.Claim // accounts that claim the address
}

func parseNewcomer(req *membershipv1.CreateMemberRequest) (n newcomer, err error) {
	n.role = req.GetRole()
	if n.address, err = email.ParseField("email", req.GetEmail()); err != nil {
		return n, err
	}
	n.displayName, err = naming.ParseDisplayName("display_name", req.GetDisplayName())
	return n, err
}

// claims asks identity who claims the address, for a caller who may create members. An organization asks so often a day.
func (s *Service) claims(ctx context.Context, key id.Organization, wanted newcomer) (claims []org.Claim, err error) {
	me := caller.From(ctx).Account
	err = s.inTx(ctx, key, func(q store.Queries) error {
		var asked int
		q.AskedToday(key, &asked)
		at, err := q.Get(ctx, key, me)
		if err != nil {
			return err
		}
		actor, err := at.Organization.Admit(at.Members[me])
		if err != nil {
			return err
		}
		if _, err := actor.CreateMember(wanted.role); err != nil {
			return err
		}
		if err := at.Organization.MayLookUp(asked, q.Now()); err != nil {
			return err
		}
		q.CountAsked(key)
		return nil
	})
	if err != nil {
		return nil, err
	}
	answer, err := s.Accounts.ListClaims(ctx, &identityv1.ListClaimsRequest{Email: wanted.address.Display, OrganizationId: key.String()})
	if err != nil {
		return nil, fmt.Errorf("ask who claims the address: %w", err)
	}
	for _, c := range answer.GetClaims() {
		account, err := id.ParseAccount(c.GetAccount().GetId())
		if err != nil {
			return nil, err
		}
		claims = append(claims, org.Claim{
			Account: account, Proven: c.GetVerified(), Managed: c.GetManaged(), Disabled: c.GetDisabled(),
			Person: org.Person{DisplayName: clean(c.GetAccount().GetDisplayName()), Email: clean(c.GetAccount().GetEmail()), Username: clean(c.GetAccount().GetUsername())},
		})
	}
	return claims, nil
}

// beginDirect decides, and returns the seat that the member is going to have. An invitation that is pending stands in the way: it has a
// seat, and somebody else's word, and whoever wants it gone revokes it.
func beginDirect(ctx context.Context, q store.Queries, requestID string, key id.Organization, wanted newcomer) (id.Seat, error) {
	me := caller.From(ctx).Account
	accounts := []id.Account{me}
	for _, c := range wanted.claims {
		accounts = append(accounts, c.Account)
	}
	at, invitation, err := q.LockToCreate(ctx, key, wanted.address, accounts...)
	if err != nil {
		return id.Seat{}, err
	}
	actor, err := at.Organization.Admit(at.Members[me])
	if err != nil {
		return id.Seat{}, err
	}
	role, err := actor.CreateMember(wanted.role)
	if err != nil {
		return id.Seat{}, err
	}
	claim, err := at.Organization.Newcomer(wanted.claims, at.Members)
	if err != nil {
		return id.Seat{}, err
	}
	if !invitation.IsZero() {
		return id.Seat{}, org.ErrInvited.With("invitationId", invitation.String())
	}
	op := org.Begin(org.DirectOperation, claim.Account, me, causeAdmin, requestID, q.Now())
	op.Role, op.Person = role.ID, claim.Person
	if claim.Account.IsZero() {
		op.Account, op.NewAccount = id.NewAccount(), true
		op.Person = org.Person{DisplayName: wanted.displayName, Email: wanted.address.Display}
	}
	begin(q, key, op)
	return op.Seat, nil
}

// finishDirect takes the seat, has the account made if there is none, and adds the member.
func (s *Service) finishDirect(ctx context.Context, key id.Organization, seat id.Seat) error {
	var op org.Operation
	err := s.view(ctx, key, func(q store.Queries) (err error) {
		op, _, err = q.GetOperation(ctx, key, seat, org.DirectOperation)
		return err
	})
	if err != nil || op.State != org.Pending {
		return err
	}
	refusal, err := s.takeSeat(ctx, key, op)
	if err != nil {
		return err
	}
	var made *identityv1.CreateManagedAccountResponse
	if op.NewAccount && refusal == nil {
		if made, err = s.createAccount(ctx, key, op); err != nil {
			return err
		}
	}
	return s.concludeSeated(ctx, key, op, refusal, func(ctx context.Context, q store.Queries, now org.Operation, at store.Standing) error {
		if made.GetEmailTaken() {
			return org.ErrEmailClaimed
		}
		return s.addDirectly(ctx, q, now, at)
	})
}

// createAccount has identity make the account, or tell again what it answered about it.
func (s *Service) createAccount(ctx context.Context, key id.Organization, op org.Operation) (*identityv1.CreateManagedAccountResponse, error) {
	made, err := s.Accounts.CreateManagedAccount(ctx, &identityv1.CreateManagedAccountRequest{
		AccountId: op.Account.String(), OrganizationId: key.String(), OperationId: op.Seat.String(), ActorAccountId: op.Actor.String(),
		Email: op.Person.Email, DisplayName: op.Person.DisplayName,
	})
	if err != nil {
		return nil, saga.Unfinished(fmt.Errorf("create the account: %w", err))
	}
	return made, nil
}

// addDirectly makes the member, unless that has become impossible meanwhile. Who had an account before hears of it.
func (s *Service) addDirectly(ctx context.Context, q store.Queries, op org.Operation, at store.Standing) error {
	o := at.Organization
	member, known := at.Members[op.Account]
	role, given := o.Roles.ByID(op.Role)
	switch {
	case o.State != org.Active:
		return org.ErrNotFound
	case member.Belongs():
		return org.ErrAlreadyMember.With("accountId", op.Account.String())
	case !given:
		return org.ErrNoRole
	}
	member.Account = op.Account
	member.Join(role, op.Seat, id.Invitation{}, q.Now())
	enter(q, o, member, known, role, op.Person)
	if !op.NewAccount {
		leave := leaveLink{organization: o.ID, account: op.Account, joined: member.JoinTime, expires: q.Now().Add(leaveLifetime)}
		note := mail.Added{Organization: o.DisplayName, Role: role.DisplayName, SignInLink: s.PublicURL + "/sign-in",
			LeaveLink: s.PublicURL + "/leave/" + leave.seal(s.LeaveKey), Expires: leave.expires}
		if err := mail.Add(s.Mail, q.Tx, o.ID, op.Account, op.Person.Email, note); err != nil {
			return err
		}
	}
	if err := outbox.Publish(q.Tx, o.ID, q.Now(), &eventv1.MemberAdded{
		Context: byAdmin(ctx, op), Member: memberToEvent(o, member), Personal: personToEvent(op.Person)}); err != nil {
		return err
	}
	q.FinishOperation(o.ID, op, member)
	return nil
}

// createdMember is a member as the operation made them, whatever became of them since.
func (s *Service) createdMember(ctx context.Context, key id.Organization, seat id.Seat) (*membershipv1.CreateMemberResponse, error) {
	me := caller.From(ctx).Account
	var op org.Operation
	err := s.view(ctx, key, func(q store.Queries) (err error) {
		op, _, err = q.GetOperation(ctx, key, seat, org.DirectOperation)
		return err
	})
	if err != nil {
		return nil, err
	}
	if op.State != org.Done {
		return nil, outcome(op)
	}
	answer := &membershipv1.CreateMemberResponse{Token: outbox.Token(key, s.DB.Name, op.Revision)}
	if op.NewAccount {
		made, err := s.createAccount(ctx, key, op)
		if err != nil {
			return nil, err
		}
		answer.TemporaryPassword, answer.ExpireTime = made.GetPassword(), made.GetExpireTime()
	}
	var at store.Standing
	err = s.view(ctx, key, func(q store.Queries) (err error) {
		at, err = q.Get(ctx, key, me, op.Account)
		return err
	})
	if err != nil {
		return nil, err
	}
	member := org.Member{Account: op.Account, Role: op.Role, State: org.MemberActive, JoinTime: at.Members[op.Account].JoinTime, Version: op.Version}
	actor, _ := at.Organization.Admit(at.Members[me]) // who may see nothing, if it is refused
	profile := at.People[op.Account]
	profile.AccountCreateTime = nil // identity tells of it some time
	answer.Member = memberToProto(at.Organization, actor, member, profile)
	return answer, nil
}
