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

// ChangeMemberRole gives a member another role. The next question about access is answered by it.
func (s *Service) ChangeMemberRole(ctx context.Context, req *membershipv1.ChangeMemberRoleRequest) (*membershipv1.ChangeMemberRoleResponse, error) {
	key, target, err := parseMember(req)
	if err != nil {
		return nil, err
	}
	once := s.managed(ctx, key, org.AssignRole, req.GetRequestId(), "ChangeMemberRole", req)
	done, err := s.changeRole(ctx, key, target, req.GetRole(), req.GetEtag(), once)
	if err != nil {
		return nil, err
	}
	return &membershipv1.ChangeMemberRoleResponse{Member: done.member, Token: outbox.Token(key, s.DB.Name, done.revision)}, nil
}

// changeRole is the transaction of it.
func (s *Service) changeRole(ctx context.Context, key id.Organization, target id.Account, role, etag string, once postgres.Request) (memberChange, error) {
	me := caller.From(ctx).Account
	answer, revision, err := postgres.Once(ctx, s.DB, postgres.In(key), once, func(tx *postgres.Tx) (*membershipv1.ChangeMemberRoleResponse, error) {
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
		if err := actor.ChangeRole(&member, role, etag, at.OthersFull); err != nil {
			return nil, err
		}
		if err := equals(ctx, tx.Now(), o, before); err != nil {
			return nil, err
		}
		because := outbox.Origin{Account: me, Cause: eventv1.Cause_KIND_ADMIN, RequestID: once.ID}
		if err := s.changedRole(q, at, before, member, me, because.Context(ctx)); err != nil {
			return nil, err
		}
		return &membershipv1.ChangeMemberRoleResponse{Member: memberToProto(o, actor, member, at.People[target])}, followMember(ctx, q, at, before, member, because)
	})
	return memberChange{member: answer.GetMember(), revision: revision}, err
}
