package membership

import (
	"context"

	"google.golang.org/protobuf/proto"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// UpdateProject changes what a project is called.
func (s *Service) UpdateProject(ctx context.Context, req *membershipv1.UpdateProjectRequest) (*membershipv1.UpdateProjectResponse, error) {
	key, project, err := parseProject(req)
	if err != nil {
		return nil, err
	}
	fields := req.GetUpdateMask().GetPaths()
	if len(fields) == 0 {
		fields = given(req, "display_name", "description")
	}
	if err := readProject(new(org.Project), req, fields...); err != nil { // before anything is read
		return nil, err
	}
	answer, token, err := restructure(ctx, s, key, project, org.ManageProjects, "UpdateProject", req, nil,
		func(in structure) (*membershipv1.UpdateProjectResponse, proto.Message, error) {
			before, _, err := in.project(ctx, project, id.Account{})
			if err != nil {
				return nil, nil, err
			}
			if err := in.actor.Find(before, org.ManageProjects); err != nil {
				return nil, nil, err
			}
			changed := before
			if err := readProject(&changed, req, fields...); err != nil {
				return nil, nil, err
			}
			after, err := before.Change(changed, req.GetEtag())
			if err != nil {
				return nil, nil, err
			}
			in.SaveProject(key, after)
			return &membershipv1.UpdateProjectResponse{Project: projectToProto(after)},
				&eventv1.ProjectUpdated{Context: in.because, Before: projectToEvent(before), After: projectToEvent(after)}, nil
		})
	if err != nil {
		return nil, err
	}
	answer.Token = token
	return answer, nil
}
