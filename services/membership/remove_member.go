package membership

import (
	"context"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// RemoveMember ends a membership. Its row stays as history; whoever is added again begins anew.
func (s *Service) RemoveMember(ctx context.Context, req *membershipv1.RemoveMemberRequest) (*membershipv1.RemoveMemberResponse, error) {
	key, target, err := parseMember(req)
	if err != nil {
		return nil, err
	}
	once := s.managed(ctx, key, org.RemoveMembers, req.GetRequestId(), "RemoveMember", req)
	done, err := s.remove(ctx, key, target, req.GetRemoveProjectMemberships(), once)
	if err != nil {
		return nil, err
	}
	return &membershipv1.RemoveMemberResponse{
		Member: done.member, Token: outbox.Token(key, s.DB.Name, done.revision), SeatReleased: s.ended(ctx, key, target, done)}, nil
}

// remove is the transaction of it.
func (s *Service) remove(ctx context.Context, key id.Organization, target id.Account, fromProjects bool, once postgres.Request) (done memberChange, err error) {
	me := caller.From(ctx).Account
	answer, revision, err := postgres.Once(ctx, s.DB, postgres.In(key), once, func(tx *postgres.Tx) (*membershipv1.RemoveMemberResponse, error) {
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
		seat, err := actor.Remove(&member, at.OthersFull)
		if err != nil {
			return nil, err
		}
		if err := equals(ctx, tx.Now(), o, before); err != nil {
			return nil, err
		}
		left := o.Left(before, fromProjects)
		end(q, key, member, left, org.Release(seat, target, me, causeAdmin, tx.Now()))
		done.follows = followSignIn(q, o, target)
		if address := at.People[target].Email; o.Policy.RemovalMail && address != "" {
			note := mail.Removed{Organization: o.DisplayName, By: at.People[me].Shown().DisplayName, Projects: names(left)}
			if err := mail.Add(s.Mail, tx, key, target, address, note); err != nil {
				return nil, err
			}
		}
		because := outbox.Origin{Account: me, Cause: eventv1.Cause_KIND_ADMIN, CauseID: seat.String(), RequestID: once.ID}
		if err := outbox.Publish(tx, key, tx.Now(), &eventv1.MemberRemoved{
			Context: because.Context(ctx), Before: memberToEvent(o, before), After: memberToEvent(o, member), LeftProjectIds: projectIDs(left)}); err != nil {
			return nil, err
		}
		return &membershipv1.RemoveMemberResponse{Member: memberToProto(o, actor, member, at.People[target])}, followMember(ctx, q, at, before, member, because)
	})
	done.member, done.revision = answer.GetMember(), revision
	return done, err
}

// end writes what is left of a member who was removed or has left, also of what projects, and gives back the seat, unless there
// was none.
func end(q store.Queries, key id.Organization, m org.Member, left []org.Grant, release org.Operation) {
	q.SaveMember(key, m, false)
	if len(left) > 0 {
		q.DeleteProjectMemberships(key, m.Account)
	}
	q.DeletePerson(key, id.Any(m.Account))
	if !release.Seat.IsZero() {
		begin(q, key, release)
	}
}

func projectIDs(left []org.Grant) (ids []string) {
	for _, g := range left {
		ids = append(ids, g.Project.String())
	}
	return ids
}

func names(left []org.Grant) (names []string) {
	for _, g := range left {
		names = append(names, g.Name)
	}
	return names
}
