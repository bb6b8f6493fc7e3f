package membership

import (
	"context"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/page"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// ListProjects returns the projects, by name.
func (s *Service) ListProjects(ctx context.Context, req *membershipv1.ListProjectsRequest) (*membershipv1.ListProjectsResponse, error) {
	key, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	bound := []string{"projects", caller.From(ctx).Account.String(), key.String()}
	var after store.Cursor
	if err := page.Open(s.PageKey, req.GetPageToken(), &after, bound...); err != nil {
		return nil, err
	}
	_, actor, err := s.admit(ctx, key, org.ReadProjects)
	if err != nil {
		return nil, err
	}
	if err := actor.UseProjects(org.ReadProjects); err != nil {
		return nil, err
	}
	size := page.Size(req.GetPageSize())
	var found []org.Project
	err = s.view(ctx, key, func(q store.Queries) (err error) {
		found, err = q.ListProjects(ctx, key, after, size+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	answer := &membershipv1.ListProjectsResponse{}
	if found, answer.NextPageToken, err = page.Cut(s.PageKey, found, size, store.AfterProject, bound...); err != nil {
		return nil, err
	}
	for _, p := range found {
		answer.Projects = append(answer.Projects, projectToProto(p))
	}
	return answer, nil
}

// GetProject returns one project.
func (s *Service) GetProject(ctx context.Context, req *membershipv1.GetProjectRequest) (*membershipv1.GetProjectResponse, error) {
	key, project, err := parseProject(req)
	if err != nil {
		return nil, err
	}
	_, found, err := s.getProject(ctx, key, project)
	if err != nil {
		return nil, err
	}
	return &membershipv1.GetProjectResponse{Project: projectToProto(found)}, nil
}
