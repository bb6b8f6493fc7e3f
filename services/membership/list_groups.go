package membership

import (
	"context"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// ListGroups returns all groups, by name.
func (s *Service) ListGroups(ctx context.Context, req *membershipv1.ListGroupsRequest) (*membershipv1.ListGroupsResponse, error) {
	key, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	at, groups, err := s.readGroups(ctx, key)
	if err != nil {
		return nil, err
	}
	answer := &membershipv1.ListGroupsResponse{}
	for _, g := range groups {
		answer.Groups = append(answer.Groups, groupToProto(at.Organization, g))
	}
	return answer, nil
}

// GetGroup returns one group.
func (s *Service) GetGroup(ctx context.Context, req *membershipv1.GetGroupRequest) (*membershipv1.GetGroupResponse, error) {
	key, group, err := parseGroup(req)
	if err != nil {
		return nil, err
	}
	at, groups, err := s.readGroups(ctx, key)
	if err != nil {
		return nil, err
	}
	found, err := groups.ByID(group)
	if err != nil {
		return nil, err
	}
	return &membershipv1.GetGroupResponse{Group: groupToProto(at.Organization, found)}, nil
}

// readGroups reads the groups for a caller who may see them.
func (s *Service) readGroups(ctx context.Context, key id.Organization) (at store.Standing, groups org.Groups, err error) {
	me := caller.From(ctx).Account
	err = s.view(ctx, key, func(q store.Queries) (err error) {
		at, groups, err = q.Groups(ctx, key, me)
		return err
	})
	if err != nil {
		return at, nil, err
	}
	actor, err := at.Organization.Admit(at.Members[me])
	if err != nil {
		return at, nil, err
	}
	return at, groups, actor.UseGroups(org.ReadGroups)
}
