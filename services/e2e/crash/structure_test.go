package crash

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

// The operations on groups and projects: each is one transaction of membership's.
func init() {
	for name, act := range map[string]func(context.Context, *scene) (proto.Message, error){
		"make a group": func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.owner.CreateGroup(ctx, &membershipv1.CreateGroupRequest{
				OrganizationId: s.org, DisplayName: "Compilers " + s.tag, ParentGroupId: s.group, RequestId: s.request()})
		},
		"change a group": func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.owner.UpdateGroup(ctx, &membershipv1.UpdateGroupRequest{
				OrganizationId: s.org, GroupId: s.group, DisplayName: "Looms " + s.tag, RequestId: s.request()})
		},
		"delete a group": func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.owner.DeleteGroup(ctx, &membershipv1.DeleteGroupRequest{OrganizationId: s.org, GroupId: s.group, RequestId: s.request()})
		},
		"put a member into a group": func(ctx context.Context, s *scene) (proto.Message, error) {
			return enroll(ctx, s, s.group, s.request())
		},
		"take a member out of a group": func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.owner.RemoveGroupMember(ctx, &membershipv1.RemoveGroupMemberRequest{
				OrganizationId: s.org, GroupId: s.full, AccountId: s.account, RequestId: s.request()})
		},
		"bind a role": func(ctx context.Context, s *scene) (proto.Message, error) {
			return bind(ctx, s, "admin", s.request())
		},
		"unbind a role": func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.owner.UnbindGroupRole(ctx, &membershipv1.UnbindGroupRoleRequest{
				OrganizationId: s.org, GroupId: s.group, Role: "member", RequestId: s.request()})
		},
		"make a project": func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.owner.CreateProject(ctx, &membershipv1.CreateProjectRequest{
				OrganizationId: s.org, DisplayName: "Gemini " + s.tag, RequestId: s.request()})
		},
		"change a project": func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.owner.UpdateProject(ctx, &membershipv1.UpdateProjectRequest{
				OrganizationId: s.org, ProjectId: s.project, DisplayName: "Artemis " + s.tag, RequestId: s.request()})
		},
		"delete a project": func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.owner.DeleteProject(ctx, &membershipv1.DeleteProjectRequest{OrganizationId: s.org, ProjectId: s.project, RequestId: s.request()})
		},
		"give a role in a project": func(ctx context.Context, s *scene) (proto.Message, error) {
			return engage(ctx, s, s.project, s.request())
		},
		"take a role in a project away": func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.owner.RemoveProjectMember(ctx, &membershipv1.RemoveProjectMemberRequest{
				OrganizationId: s.org, ProjectId: s.staffed, AccountId: s.account, RequestId: s.request()})
		},
	} {
		operations = append(operations, operation{name: name, arrange: structured, act: act})
	}
}

// structured is an organization with a member, an empty group that gives a role and one that the member is in, an empty project
// and one that the member is in.
func structured(t *testing.T, s *scene) {
	t.Helper()
	member(t, s)
	_, err := s.owner.UpdatePolicy(t.Context(), &membershipv1.UpdatePolicyRequest{
		OrganizationId: s.org, Policy: &membershipv1.OrganizationPolicy{Groups: true, Projects: true}})
	require.NoError(t, err)
	for into, name := range map[*string]string{&s.group: "Engineering ", &s.full: "Users "} {
		made, err := s.owner.CreateGroup(t.Context(), &membershipv1.CreateGroupRequest{OrganizationId: s.org, DisplayName: name + s.tag})
		require.NoError(t, err)
		*into = made.GetGroup().GetId()
	}
	for into, name := range map[*string]string{&s.project: "Apollo ", &s.staffed: "Mercury "} {
		made, err := s.owner.CreateProject(t.Context(), &membershipv1.CreateProjectRequest{OrganizationId: s.org, DisplayName: name + s.tag})
		require.NoError(t, err)
		*into = made.GetProject().GetId()
	}
	_, err = enroll(t.Context(), s, s.full, "")
	require.NoError(t, err)
	_, err = engage(t.Context(), s, s.staffed, "")
	require.NoError(t, err)
	_, err = bind(t.Context(), s, "member", "")
	require.NoError(t, err)
}

func enroll(ctx context.Context, s *scene, group, request string) (proto.Message, error) {
	return s.owner.AddGroupMember(ctx, &membershipv1.AddGroupMemberRequest{
		OrganizationId: s.org, GroupId: group, AccountId: s.account, RequestId: request})
}

func engage(ctx context.Context, s *scene, project, request string) (proto.Message, error) {
	return s.owner.AddProjectMember(ctx, &membershipv1.AddProjectMemberRequest{
		OrganizationId: s.org, ProjectId: project, AccountId: s.account, Role: "member", RequestId: request})
}

func bind(ctx context.Context, s *scene, role, request string) (proto.Message, error) {
	return s.owner.BindGroupRole(ctx, &membershipv1.BindGroupRoleRequest{
		OrganizationId: s.org, GroupId: s.group, Role: role, RequestId: request})
}
