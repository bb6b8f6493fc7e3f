package membership

import (
	"context"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// ListMyPermissions answers from the primary, in one statement.
func (s *Service) ListMyPermissions(ctx context.Context, req *membershipv1.ListMyPermissionsRequest) (*membershipv1.ListMyPermissionsResponse, error) {
	key, project, err := parsePlace(req)
	if err != nil {
		return nil, err
	}
	me := caller.From(ctx).Account
	a, err := store.GetAccess(ctx, s.DB, key, []id.Account{me}, project)
	if err != nil {
		return nil, err
	}
	o, member := a.Organization, a.Members[me]
	if err := o.Visit(member, project); err != nil {
		return nil, err
	}
	if !project.IsZero() && !a.Projects[project] {
		return nil, org.ErrNoProject
	}
	s.activity.note(key, me)
	answer := &membershipv1.ListMyPermissionsResponse{Revision: a.Revision, Token: outbox.Token(key, s.DB.Name, a.Revision)}
	for _, permission := range o.Keyed(member, o.Allowed(member, project)) {
		answer.Permissions = append(answer.Permissions, &membershipv1.ListMyPermissionsResponse_Held{
			Permission: permission, Lines: linesToProto(o.Sources(member, permission, project))})
	}
	return answer, nil
}

// parsePlace reads what names an organization, or a project of it.
func parsePlace(req interface {
	GetOrganizationId() string
	GetProjectId() string
}) (key id.Organization, project id.Project, err error) {
	if key, err = id.ParseOrganization(req.GetOrganizationId()); err != nil {
		return key, project, err
	}
	if req.GetProjectId() != "" {
		project, err = id.ParseProject(req.GetProjectId())
	}
	return key, project, err
}

func linesToProto(by []org.Grant) (lines []*membershipv1.ExplainAccessResponse_Line) {
	for _, g := range by {
		lines = append(lines, lineToProto(g))
	}
	return lines
}
