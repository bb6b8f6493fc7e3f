package membership

import (
	"context"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// GetMember returns one member. Who disabled them is named, also when that person has left since.
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
	shown := memberToProto(at.Organization, actor, member, at.People[target])
	if actor.May(org.ReadActivity) {
		err := s.view(ctx, key, func(q store.Queries) (err error) {
			shown.Unproven, err = q.IsUnproven(ctx, target)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	if !member.Disabler.IsZero() {
		shown.DisablerDisplayName = s.nameOf(ctx, key, member.Disabler)
	}
	return &membershipv1.GetMemberResponse{Member: shown}, nil
}

// nameOf returns the name of somebody who acted in the organization, whether they still belong to it or not; empty when
// nobody can tell.
func (s *Service) nameOf(ctx context.Context, key id.Organization, account id.Account) string {
	var at store.Standing
	err := s.view(ctx, key, func(q store.Queries) (err error) {
		at, err = q.Get(ctx, key, account)
		return err
	})
	if profile, listed := at.People[account]; err == nil && listed {
		return profile.Shown().DisplayName
	}
	return s.namesOf(ctx, key, []id.Account{account})[account]
}

// admit is enter for a caller who must hold a permission.
func (s *Service) admit(ctx context.Context, key id.Organization, permission string, others ...id.Account) (at store.Standing, actor org.Actor, err error) {
	if at, actor, err = s.enter(ctx, key, others...); err != nil {
		return at, actor, err
	}
	return at, actor, actor.Need(permission)
}

// enter reads the organization with the caller, who must be a member with access, and with others.
func (s *Service) enter(ctx context.Context, key id.Organization, others ...id.Account) (at store.Standing, actor org.Actor, err error) {
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
	s.activity.note(key, me)
	return at, actor, nil
}
