package membership

import (
	"context"

	"google.golang.org/protobuf/proto"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// RemoveProjectMember ends a direct membership in a project, a guest's too.
func (s *Service) RemoveProjectMember(ctx context.Context, req *membershipv1.RemoveProjectMemberRequest) (*membershipv1.RemoveProjectMemberResponse, error) {
	key, project, target, err := parseProjectMember(req)
	if err != nil {
		return nil, err
	}
	answer, token, err := restructure(ctx, s, key, project, org.ManageProjects, "RemoveProjectMember", req, []id.Account{target},
		func(in structure) (*membershipv1.RemoveProjectMemberResponse, proto.Message, error) {
			found, is, err := in.project(ctx, project, target)
			if err != nil {
				return nil, nil, err
			}
			if err := in.actor.Disengage(in.Members[target], found, is); err != nil {
				return nil, nil, err
			}
			in.DeleteProjectMember(key, is)
			return &membershipv1.RemoveProjectMemberResponse{},
				&eventv1.ProjectMemberRemoved{Context: in.because, Membership: projectMembershipToEvent(in.Organization.Roles, is)}, nil
		})
	if err != nil {
		return nil, err
	}
	answer.Token = token
	return answer, nil
}
