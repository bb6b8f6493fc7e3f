package membership

import (
	"context"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// GetMember returns one member.
func (s *Service) GetMember(ctx context.Context, req *membershipv1.GetMemberRequest) (*membershipv1.GetMemberResponse, error) {
	key, target, err := parseMember(req)
	if err != nil {
		return nil, err
	}
	at, actor, err := s.admit(ctx, key, org.ReadMembers, target)
	if err != nil {
		return nil, err
	}
	member := at.Members[target]
	if !member.Belongs() {
		return nil, org.ErrNoMember
	}
	return &membershipv1.GetMemberResponse{Member: memberToProto(at.Organization, actor, member, at.People[target])}, nil
}

// admit reads the organization with the caller, who must hold the permission, and with others.
func (s *Service) admit(ctx context.Context, key id.Organization, permission string, others ...id.Account) (at store.Standing, actor org.Actor, err error) {
	me := caller.From(ctx).Account
	err = s.view(ctx, key, func(q store.Queries) (err error) {
		at, err = q.Get(ctx, key, append(others, me)...)
		return err
	})
	if err != nil {
		return at, actor, err
	}
	if actor, err = at.Organization.Admit(at.Members[me]); err != nil {
		return at, actor, err
	}
	return at, actor, actor.Need(permission)
}
