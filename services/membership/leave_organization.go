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

// LeaveOrganization ends the caller's own membership. What became of it is told again to whoever repeats the request, who by
// then belongs no more.
func (s *Service) LeaveOrganization(ctx context.Context, req *membershipv1.LeaveOrganizationRequest) (*membershipv1.LeaveOrganizationResponse, error) {
	key, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	once := request(ctx, req.GetRequestId(), "LeaveOrganization", req)
	return s.leave(ctx, key, caller.From(ctx).Account, once, func(org.Organization, org.Member) error { return nil })
}

// leave ends somebody's own membership, if it may be that one.
func (s *Service) leave(
	ctx context.Context, key id.Organization, me id.Account, once postgres.Request, may func(org.Organization, org.Member) error,
) (*membershipv1.LeaveOrganizationResponse, error) {
	answer, revision, err := postgres.Once(ctx, s.DB, postgres.In(key), once, func(tx *postgres.Tx) (*membershipv1.LeaveOrganizationResponse, error) {
		q := queries(tx)
		at, err := q.LockMembers(ctx, key, me, me)
		if err != nil {
			return nil, err
		}
		o, member := at.Organization, at.Members[me]
		if err := may(o, member); err != nil {
			return nil, err
		}
		member.Unprotected = false // leaving takes no second factor: it only ends something
		actor, err := o.Admit(member)
		if err != nil {
			return nil, err
		}
		before := member
		seat, err := actor.Leave(&member, at.OthersFull)
		if err != nil {
			return nil, err
		}
		left := o.Left(before, false)
		end(q, key, member, left, org.Release(seat, me, me, causeSelf, tx.Now()))
		because := outbox.Origin{Account: me, Cause: eventv1.Cause_KIND_SELF, CauseID: seat.String(), RequestID: once.ID}
		if err := outbox.Publish(tx, key, tx.Now(), &eventv1.MemberLeft{
			Context: because.Context(ctx), Before: memberToEvent(o, before), After: memberToEvent(o, member), LeftProjectIds: projectIDs(left)}); err != nil {
			return nil, err
		}
		return &membershipv1.LeaveOrganizationResponse{}, followMember(ctx, q, at, before, member, because)
	})
	if err != nil {
		return nil, err
	}
	answer.Token = outbox.Token(key, s.DB.Name, revision)
	answer.SeatReleased = s.releaseSoon(ctx, key, me)
	return answer, nil
}
