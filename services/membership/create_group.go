package membership

import (
	"context"

	"google.golang.org/protobuf/proto"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// CreateGroup makes a group that nobody is in.
func (s *Service) CreateGroup(ctx context.Context, req *membershipv1.CreateGroupRequest) (*membershipv1.CreateGroupResponse, error) {
	key, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	var words org.GroupWords
	if err := readGroup(&words, req, "display_name", "description", "parent_group_id", "opens"); err != nil {
		return nil, err
	}
	answer, token, err := restructure(ctx, s, key, id.Project{}, org.ManageGroups, "CreateGroup", req, nil,
		func(in structure) (*membershipv1.CreateGroupResponse, proto.Message, error) {
			group := org.Group{ID: id.NewGroup(), GroupWords: words, CreateTime: in.Now()}
			after, err := in.actor.AddGroup(in.groups, group)
			if err != nil {
				return nil, nil, err
			}
			group, _ = after.ByID(group.ID)
			in.InsertGroup(key, group)
			return &membershipv1.CreateGroupResponse{Group: groupToProto(in.Organization, group)},
				&eventv1.GroupCreated{Context: in.because, Group: groupToEvent(in.Organization, group)}, nil
		})
	if err != nil {
		return nil, err
	}
	answer.Token = token
	return answer, nil
}
