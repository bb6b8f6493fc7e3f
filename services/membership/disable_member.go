package membership

import (
	"context"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// DisableMember ends a member's access and keeps the row. The seat is given back after the commit, within a second by this
// call or else by the sweeper.
func (s *Service) DisableMember(ctx context.Context, req *membershipv1.DisableMemberRequest) (*membershipv1.DisableMemberResponse, error) {
	key, target, err := parseMember(req)
	if err != nil {
		return nil, err
	}
	done, err := s.disable(ctx, key, target, s.managed(ctx, key, org.DisableMembers, req.GetRequestId(), "DisableMember", req))
	if err != nil {
		return nil, err
	}
	return &membershipv1.DisableMemberResponse{
		Member: done.member, Token: outbox.Token(key, s.DB.Name, done.revision), SeatReleased: s.ended(ctx, key, target, done)}, nil
}

// disable is the transaction of it.
func (s *Service) disable(ctx context.Context, key id.Organization, target id.Account, once postgres.Request) (done memberChange, err error) {
	me := caller.From(ctx).Account
	answer, revision, err := postgres.Once(ctx, s.DB, postgres.In(key), once, func(tx *postgres.Tx) (*membershipv1.DisableMemberResponse, error) {
		q := queries(tx)
		at, err := q.LockMembers(ctx, key, me, target)
		if err != nil {
			return nil, err
		}
		o, member := at.Organization, at.Members[target]
		actor, err := o.Admit(at.Members[me])
		if err != nil {
			return nil, err
		}
		before := member
		seat, err := actor.Disable(&member, at.OthersFull, tx.Now())
		if err != nil {
			return nil, err
		}
		if err := equals(ctx, tx.Now(), o, before); err != nil {
			return nil, err
		}
		role, _ := o.Roles.ByID(member.Role)
		q.SaveMember(key, member, false)
		q.SaveStanding(key, member, role.Key)
		begin(q, key, org.Release(seat, target, me, causeAdmin, tx.Now()))
		done.follows = followSignIn(q, o, target)
		because := outbox.Origin{Account: me, Cause: eventv1.Cause_KIND_ADMIN, CauseID: seat.String(), RequestID: once.ID}
		if err := outbox.Publish(tx, key, tx.Now(), &eventv1.MemberDisabled{
			Context: because.Context(ctx), Before: memberToEvent(o, before), After: memberToEvent(o, member)}); err != nil {
			return nil, err
		}
		return &membershipv1.DisableMemberResponse{Member: memberToProto(o, actor, member, at.People[target])}, followMember(ctx, q, at, before, member, because)
	})
	done.member, done.revision = answer.GetMember(), revision
	return done, err
}
