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

// ListProjectMembers returns the direct members of a project, to who sees projects and people.
func (s *Service) ListProjectMembers(ctx context.Context, req *membershipv1.ListProjectMembersRequest) (*membershipv1.ListProjectMembersResponse, error) {
	key, project, err := parseProject(req)
	if err != nil {
		return nil, err
	}
	me := caller.From(ctx).Account
	bound := []string{"project_members", me.String(), key.String(), project.String()}
	var after id.Account
	if err := page.Open(s.PageKey, req.GetPageToken(), &after, bound...); err != nil {
		return nil, err
	}
	at, _, err := s.getProject(ctx, key, project)
	if err != nil {
		return nil, err
	}
	actor, err := at.Organization.Admit(at.Members[me])
	if err != nil {
		return nil, err
	}
	if err := actor.In(project).Need(org.ReadMembers); err != nil {
		return nil, err
	}
	size := page.Size(req.GetPageSize())
	var found []store.ProjectEntry
	err = s.view(ctx, key, func(q store.Queries) (err error) {
		found, err = q.ListProjectMembers(ctx, key, project, after, size+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	answer := &membershipv1.ListProjectMembersResponse{}
	if found, answer.NextPageToken, err = page.Cut(s.PageKey, found, size, func(e store.ProjectEntry) id.Account { return e.Account }, bound...); err != nil {
		return nil, err
	}
	var guests []id.Account
	for _, e := range found {
		if e.Guest {
			guests = append(guests, e.Account)
		}
	}
	names := s.namesOf(ctx, key, guests)
	for _, e := range found {
		if e.Guest {
			e.DisplayName = names[e.Account]
		}
		answer.Members = append(answer.Members, projectMemberToProto(at.Organization.Roles, e))
	}
	return answer, nil
}
