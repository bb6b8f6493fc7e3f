package membership

import (
	"context"

	"google.golang.org/protobuf/proto"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// AddProjectMember gives a member a role in a project.
func (s *Service) AddProjectMember(ctx context.Context, req *membershipv1.AddProjectMemberRequest) (*membershipv1.AddProjectMemberResponse, error) {
	key, project, target, err := parseProjectMember(req)
	if err != nil {
		return nil, err
	}
	answer, token, err := restructure(ctx, s, key, project, org.ManageProjects, "AddProjectMember", req, []id.Account{target},
		func(in structure) (*membershipv1.AddProjectMemberResponse, proto.Message, error) {
			found, is, err := in.project(ctx, project, target)
			if err != nil {
				return nil, nil, err
			}
			role, err := in.actor.Engage(in.Members[target], found, is, req.GetRole())
			if err != nil {
				return nil, nil, err
			}
			made := org.ProjectMember{Account: target, Project: project, Role: role.ID, JoinTime: in.Now()}
			in.InsertProjectMember(key, made)
			shown := store.ProjectEntry{ProjectMember: made, DisplayName: in.People[target].Shown().DisplayName}
			return &membershipv1.AddProjectMemberResponse{Member: projectMemberToProto(in.Organization.Roles, shown)},
				&eventv1.ProjectMemberAdded{Context: in.because, Membership: projectMembershipToEvent(in.Organization.Roles, made)}, nil
		})
	if err != nil {
		return nil, err
	}
	answer.Token = token
	return answer, nil
}
