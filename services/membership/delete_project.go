package membership

import (
	"context"

	"google.golang.org/protobuf/proto"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// DeleteProject takes a project away, and all that was given in it.
func (s *Service) DeleteProject(ctx context.Context, req *membershipv1.DeleteProjectRequest) (*membershipv1.DeleteProjectResponse, error) {
	key, project, err := parseProject(req)
	if err != nil {
		return nil, err
	}
	answer, token, err := restructure(ctx, s, key, project, org.ManageProjects, "DeleteProject", req, nil,
		func(in structure) (*membershipv1.DeleteProjectResponse, proto.Message, error) {
			before, _, err := in.project(ctx, project, id.Account{})
			if err != nil {
				return nil, nil, err
			}
			if err := in.actor.Find(before, org.ManageProjects); err != nil {
				return nil, nil, err
			}
			if _, err := before.Change(before, req.GetEtag()); err != nil {
				return nil, nil, err
			}
			in.DeleteProject(key, project)
			return &membershipv1.DeleteProjectResponse{}, &eventv1.ProjectDeleted{Context: in.because, Before: projectToEvent(before)}, nil
		})
	if err != nil {
		return nil, err
	}
	answer.Token = token
	return answer, nil
}
