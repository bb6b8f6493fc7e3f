package membership

import (
	"context"

	"google.golang.org/protobuf/proto"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// DeleteGroup takes a group away. Whoever was in it has no longer what it gave.
func (s *Service) DeleteGroup(ctx context.Context, req *membershipv1.DeleteGroupRequest) (*membershipv1.DeleteGroupResponse, error) {
	key, group, err := parseGroup(req)
	if err != nil {
		return nil, err
	}
	answer, token, err := restructure(ctx, s, key, id.Project{}, org.ManageGroups, "DeleteGroup", req, nil,
		func(in structure) (*membershipv1.DeleteGroupResponse, proto.Message, error) {
			before, err := in.actor.DeleteGroup(in.groups, group, req.GetEtag())
			if err != nil {
				return nil, nil, err
			}
			in.DeleteGroup(key, group)
			return &membershipv1.DeleteGroupResponse{},
				&eventv1.GroupDeleted{Context: in.because, Before: groupToEvent(in.Organization, before)}, nil
		})
	if err != nil {
		return nil, err
	}
	answer.Token = token
	return answer, nil
}
