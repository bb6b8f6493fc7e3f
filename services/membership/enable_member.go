package membership

import (
	"context"

	"google.golang.org/protobuf/types/known/wrapperspb"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// EnableMember gives a disabled member the access back, on a new seat. The decision is committed first, with the id of the
// seat; then the seat is taken and the member enabled, by this call or, after a crash, by the sweeper.
func (s *Service) EnableMember(ctx context.Context, req *membershipv1.EnableMemberRequest) (*membershipv1.EnableMemberResponse, error) {
	key, target, err := parseMember(req)
	if err != nil {
		return nil, err
	}
	done, err := s.enable(ctx, key, target, s.managed(ctx, key, org.EnableMembers, req.GetRequestId(), "EnableMember", req))
	if err != nil {
		return nil, err
	}
	if done.follows {
		s.tellSignInSoon(ctx, key, target)
	}
	return &membershipv1.EnableMemberResponse{Member: done.member, Token: outbox.Token(key, s.DB.Name, done.revision)}, nil
}

// enable is all of it, up to the commit that gives the access back.
func (s *Service) enable(ctx context.Context, key id.Organization, target id.Account, once postgres.Request) (memberChange, error) {
	var begun *wrapperspb.StringValue // the seat, which a repeated request gets again
	var err error
	for range 2 {
		begun, _, err = postgres.Once(ctx, s.DB, postgres.In(key), once, func(tx *postgres.Tx) (*wrapperspb.StringValue, error) {
			seat, err := s.beginEnable(ctx, queries(tx), once.ID, key, target)
			return wrapperspb.String(seat.String()), err
		})
		if !store.LostRace(err) {
			break
		}
	}
	if err != nil {
		return memberChange{}, err
	}
	seat, err := id.ParseSeat(begun.GetValue())
	if err != nil {
		return memberChange{}, err
	}
	if err := s.finishEnable(ctx, key, seat); err != nil {
		return memberChange{}, err
	}
	return s.enabled(ctx, key, target, seat)
}

// beginEnable decides, and returns the seat that the member is going to have.
func (s *Service) beginEnable(ctx context.Context, q store.Queries, requestID string, key id.Organization, target id.Account) (id.Seat, error) {
	me := caller.From(ctx).Account
	at, err := q.LockMembers(ctx, key, me, target)
	if err != nil {
		return id.Seat{}, err
	}
	actor, err := at.Organization.Admit(at.Members[me])
	if err != nil {
		return id.Seat{}, err
	}
	if err := actor.MayEnable(at.Members[target]); err != nil {
		return id.Seat{}, err
	}
	if err := equals(ctx, q.Now(), at.Organization, at.Members[target]); err != nil {
		return id.Seat{}, err
	}
	begun, err := q.GetPending(ctx, key, target, org.EnableOperation)
	if err != nil || begun.State == org.Pending { // somebody has begun; go on with that
		return begun.Seat, err
	}
	op := org.Begin(org.EnableOperation, target, me, causeAdmin, requestID, q.Now())
	begin(q, key, op)
	return op.Seat, nil
}

// finishEnable takes the seat and enables the member.
func (s *Service) finishEnable(ctx context.Context, key id.Organization, seat id.Seat) error {
	return s.finish(ctx, key, seat, org.EnableOperation, giveAccess)
}

// giveAccess ends the operation with an active member, unless the member or the organization is gone by now.
func giveAccess(ctx context.Context, q store.Queries, op org.Operation, at store.Standing) error {
	o, member := at.Organization, at.Members[op.Account]
	switch {
	case o.State != org.Active:
		return org.ErrNotFound
	case !member.Belongs(), member.JoinTime.After(op.CreateTime): // gone, or another membership since
		return org.ErrNoMember
	}
	before := member
	if err := member.Enable(op.Seat); err != nil {
		return err
	}
	role, _ := o.Roles.ByID(member.Role)
	q.SaveMember(o.ID, member, false)
	q.SaveStanding(o.ID, member, role.Key)
	if err := outbox.Publish(q.Tx, o.ID, q.Now(), &eventv1.MemberEnabled{
		Context: byAdmin(ctx, op), Before: memberToEvent(o, before), After: memberToEvent(o, member)}); err != nil {
		return err
	}
	followSignIn(q, o, op.Account)
	q.FinishOperation(o.ID, op, member)
	return nil
}

// enabled is a member as the operation left them, whatever became of them since.
func (s *Service) enabled(ctx context.Context, key id.Organization, target id.Account, seat id.Seat) (memberChange, error) {
	me := caller.From(ctx).Account
	var op org.Operation
	var at store.Standing
	err := s.view(ctx, key, func(q store.Queries) (err error) {
		op, at, err = q.GetOperation(ctx, key, seat, org.EnableOperation, me, target)
		return err
	})
	if err != nil {
		return memberChange{}, err
	}
	if op.State != org.Done {
		return memberChange{}, outcome(op)
	}
	member := org.Member{Account: target, Role: op.Role, State: org.MemberActive, JoinTime: at.Members[target].JoinTime, Version: op.Version}
	actor, _ := at.Organization.Admit(at.Members[me]) // who may see nothing, if it is refused
	return memberChange{
		member:   memberToProto(at.Organization, actor, member, at.People[target]),
		revision: op.Revision,
		follows:  at.Organization.Policy.DisableBlocksSignIn,
	}, nil
}
