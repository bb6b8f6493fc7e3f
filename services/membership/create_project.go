package membership

import (
	"context"

	"google.golang.org/protobuf/proto"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// CreateProject makes a project without direct members.
func (s *Service) CreateProject(ctx context.Context, req *membershipv1.CreateProjectRequest) (*membershipv1.CreateProjectResponse, error) {
	key, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	var words org.Project
	if err := readProject(&words, req, "display_name", "description"); err != nil {
		return nil, err
	}
	answer, token, err := restructure(ctx, s, key, id.Project{}, org.ManageProjects, "CreateProject", req, nil,
		func(in structure) (*membershipv1.CreateProjectResponse, proto.Message, error) {
			var there int64
			in.CountProjects(key, &there)
			if err := in.Fetch(ctx); err != nil {
				return nil, nil, err
			}
			words.ID, words.CreateTime = id.NewProject(), in.Now()
			made, err := in.actor.CreateProject(words, there)
			if err != nil {
				return nil, nil, err
			}
			in.InsertProject(key, made)
			return &membershipv1.CreateProjectResponse{Project: projectToProto(made)},
				&eventv1.ProjectCreated{Context: in.because, Project: projectToEvent(made)}, nil
		})
	if err != nil {
		return nil, err
	}
	answer.Token = token
	return answer, nil
}
