package membership

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rosterhq/roster/pkg/fault"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/naming"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

func projectToProto(p org.Project) *membershipv1.Project {
	return &membershipv1.Project{
		Id: p.ID.String(), DisplayName: p.DisplayName, Description: p.Description,
		CreateTime: timestamppb.New(p.CreateTime), Etag: org.Etag(p.Version),
	}
}

func projectToEvent(p org.Project) *eventv1.Project {
	return &eventv1.Project{ProjectId: p.ID.String(), DisplayName: p.DisplayName, Description: p.Description}
}

func projectMemberToProto(roles org.Roles, e store.ProjectEntry) *membershipv1.ProjectMember {
	role, _ := roles.ByID(e.Role)
	return &membershipv1.ProjectMember{
		AccountId: e.Account.String(), DisplayName: e.DisplayName, Role: role.Key, RoleDisplayName: role.DisplayName,
		Guest: e.Guest, JoinTime: timestamppb.New(e.JoinTime),
	}
}

func projectMembershipToEvent(roles org.Roles, m org.ProjectMember) *eventv1.ProjectMembership {
	role, _ := roles.ByID(m.Role)
	return &eventv1.ProjectMembership{ProjectId: m.Project.String(), AccountId: m.Account.String(), Role: role.Key}
}

// parseProject reads what names a project.
func parseProject(req interface {
	GetOrganizationId() string
	GetProjectId() string
}) (key id.Organization, project id.Project, err error) {
	if key, err = id.ParseOrganization(req.GetOrganizationId()); err != nil {
		return key, project, err
	}
	project, err = id.ParseProject(req.GetProjectId())
	return key, project, err
}

// parseProjectMember reads what names a direct member of a project.
func parseProjectMember(req interface {
	GetOrganizationId() string
	GetProjectId() string
	GetAccountId() string
}) (key id.Organization, project id.Project, account id.Account, err error) {
	if key, project, err = parseProject(req); err != nil {
		return key, project, account, err
	}
	account, err = id.ParseAccount(req.GetAccountId())
	return key, project, account, err
}

// readProject reads the named fields of a request.
func readProject(p *org.Project, req interface {
	GetDisplayName() string
	GetDescription() string
}, fields ...string) (err error) {
	for _, field := range fields {
		switch field {
		case "display_name":
			p.DisplayName, err = naming.ParseDisplayName(field, req.GetDisplayName())
		case "description":
			p.Description, err = naming.ParseLine(field, req.GetDescription(), 0, 200)
		default:
			err = fault.Invalid("update_mask", "names "+field+", which cannot be changed")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// getProject reads a project for a caller who may see it.
func (s *Service) getProject(ctx context.Context, key id.Organization, project id.Project) (at store.Standing, found org.Project, err error) {
	me := caller.From(ctx).Account
	err = s.view(ctx, key, func(q store.Queries) (err error) {
		q.Project(key, project, &found)
		at, err = q.Get(ctx, key, me)
		return err
	})
	if err != nil {
		return at, found, err
	}
	actor, err := at.Organization.Admit(at.Members[me])
	if err != nil {
		return at, found, err
	}
	return at, found, actor.In(project).Find(found, org.ReadProjects)
}

// project reads a project that a change is about, and a direct membership in it.
func (in structure) project(ctx context.Context, project id.Project, account id.Account) (p org.Project, m org.ProjectMember, err error) {
	in.Project(in.Organization.ID, project, &p)
	in.ProjectMember(in.Organization.ID, project, account, &m)
	return p, m, in.Fetch(ctx)
}
