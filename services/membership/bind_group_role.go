package membership

import (
	"context"

	"google.golang.org/protobuf/proto"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// BindGroupRole makes a group give a role to everybody in it.
func (s *Service) BindGroupRole(ctx context.Context, req *membershipv1.BindGroupRoleRequest) (*membershipv1.BindGroupRoleResponse, error) {
	key, binding, err := parseBinding(req)
	if err != nil {
		return nil, err
	}
	answer, token, err := restructure(ctx, s, key, id.Project{}, org.ManageGroups, "BindGroupRole", req, nil,
		func(in structure) (*membershipv1.BindGroupRoleResponse, proto.Message, error) {
			if err := in.findProject(ctx, binding.Project); err != nil {
				return nil, nil, err
			}
			before, after, bound, err := in.actor.BindRole(in.groups, binding, req.GetRole())
			if err != nil {
				return nil, nil, err
			}
			in.SaveGroup(key, after)
			in.InsertBinding(key, bound)
			return &membershipv1.BindGroupRoleResponse{Group: groupToProto(in.Organization, after)},
				&eventv1.GroupRoleBound{Context: in.because, Before: groupToEvent(in.Organization, before), After: groupToEvent(in.Organization, after)}, nil
		})
	if err != nil {
		return nil, err
	}
	answer.Token = token
	return answer, nil
}

// UnbindGroupRole ends what BindGroupRole began.
func (s *Service) UnbindGroupRole(ctx context.Context, req *membershipv1.UnbindGroupRoleRequest) (*membershipv1.UnbindGroupRoleResponse, error) {
	key, binding, err := parseBinding(req)
	if err != nil {
		return nil, err
	}
	answer, token, err := restructure(ctx, s, key, id.Project{}, org.ManageGroups, "UnbindGroupRole", req, nil,
		func(in structure) (*membershipv1.UnbindGroupRoleResponse, proto.Message, error) {
			if err := in.findProject(ctx, binding.Project); err != nil {
				return nil, nil, err
			}
			before, after, unbound, err := in.actor.UnbindRole(in.groups, binding, req.GetRole())
			if err != nil {
				return nil, nil, err
			}
			in.SaveGroup(key, after)
			in.DeleteBinding(key, unbound)
			return &membershipv1.UnbindGroupRoleResponse{Group: groupToProto(in.Organization, after)},
				&eventv1.GroupRoleUnbound{Context: in.because, Before: groupToEvent(in.Organization, before), After: groupToEvent(in.Organization, after)}, nil
		})
	if err != nil {
		return nil, err
	}
	answer.Token = token
	return answer, nil
}

// parseBinding reads what names a binding, all but the role.
func parseBinding(req interface {
	GetOrganizationId() string
	GetGroupId() string
	GetProjectId() string
}) (key id.Organization, b org.Binding, err error) {
	if key, b.Group, err = parseGroup(req); err != nil {
		return key, b, err
	}
	if req.GetProjectId() != "" {
		b.Project, err = id.ParseProject(req.GetProjectId())
	}
	return key, b, err
}

// findProject refuses a project that the organization does not have. The zero one is the whole organization.
func (in structure) findProject(ctx context.Context, project id.Project) error {
	if project.IsZero() {
		return nil
	}
	found, _, err := in.project(ctx, project, id.Account{})
	if err != nil {
		return err
	}
	return in.actor.Find(found, org.ManageGroups)
}
