package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/devmail"
)

// project makes a project.
func (o *organization) project(t *testing.T, name string) *membershipv1.Project {
	t.Helper()
	made, err := o.owner.CreateProject(t.Context(), &membershipv1.CreateProjectRequest{OrganizationId: o.ID, DisplayName: name})
	require.NoError(t, err)
	return made.GetProject()
}

// engage gives somebody a role in a project.
func (o *organization) engage(t *testing.T, project *membershipv1.Project, who *person, role string) {
	t.Helper()
	_, err := o.owner.AddProjectMember(t.Context(), &membershipv1.AddProjectMemberRequest{
		OrganizationId: o.ID, ProjectId: project.GetId(), AccountId: who.ID, Role: role})
	require.NoError(t, err)
}

// canIn tells whether somebody may do something in a project, as they are told themselves.
func (o *organization) canIn(t *testing.T, project *membershipv1.Project, who *person, permission string) bool {
	t.Helper()
	answer, err := who.CheckAccess(t.Context(), &membershipv1.CheckAccessRequest{
		OrganizationId: o.ID, ProjectId: project.GetId(), Permission: permission})
	require.NoError(t, err)
	return answer.GetAllowed()
}

// TestProjects holds what memberships in projects are.
func TestProjects(t *testing.T) {
	t.Parallel()

	scenario(t, "S3-02 S3-21 members manage all projects, and a project has members of its own", func(t *testing.T, over string) {
		org := create(t, over, flat)
		member := org.join(t, "")
		made, err := member.CreateProject(t.Context(), &membershipv1.CreateProjectRequest{OrganizationId: org.ID, DisplayName: "Apollo"})
		require.NoError(t, err)
		project := made.GetProject()
		for _, who := range []*person{org.owner, member} {
			require.True(t, org.canIn(t, project, who, "resources.write"))
			require.True(t, org.canIn(t, project, who, "projects.manage"))
		}
		org.engage(t, project, member, "member")
		listed, err := org.owner.ListProjectMembers(t.Context(), &membershipv1.ListProjectMembersRequest{OrganizationId: org.ID, ProjectId: project.GetId()})
		require.NoError(t, err)
		require.Len(t, listed.GetMembers(), 1)
		require.Equal(t, member.ID, listed.GetMembers()[0].GetAccountId())
		all, err := member.ListProjects(t.Context(), &membershipv1.ListProjectsRequest{OrganizationId: org.ID})
		require.NoError(t, err)
		require.Len(t, all.GetProjects(), 1)
		_, err = member.UpdateProject(t.Context(), &membershipv1.UpdateProjectRequest{OrganizationId: org.ID, ProjectId: project.GetId(), DisplayName: "Artemis"})
		require.NoError(t, err)
		_, err = member.DeleteProject(t.Context(), &membershipv1.DeleteProjectRequest{OrganizationId: org.ID, ProjectId: project.GetId()})
		require.NoError(t, err)
		require.Equal(t, 1, org.events(t, "membership", "project.deleted"))
	})

	scenario(t, "S3-20 RB23 removal ends all access but that of direct memberships, on which nobody sits", func(t *testing.T, over string) {
		org := create(t, over, flat)
		member := org.join(t, "")
		direct, other := org.project(t, "Apollo"), org.project(t, "Gemini")
		org.engage(t, direct, member, "member")
		require.True(t, org.canIn(t, other, member, "resources.read"))
		org.remove(t, member)
		require.True(t, org.canIn(t, direct, member, "resources.write"))
		require.False(t, org.canIn(t, other, member, "resources.read"))
		require.False(t, org.can(t, member, "org.read"))
		_, err := member.GetOrganization(t.Context(), &membershipv1.GetOrganizationRequest{OrganizationId: org.ID})
		refused(t, err, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
		require.Len(t, org.people(t, org.owner), 1)
		require.EqualValues(t, 1, org.seats(t).GetUsed())
		guests, err := org.owner.ListProjectMembers(t.Context(), &membershipv1.ListProjectMembersRequest{OrganizationId: org.ID, ProjectId: direct.GetId()})
		require.NoError(t, err)
		require.Equal(t, member.Name, guests.GetMembers()[0].GetDisplayName())
		require.True(t, guests.GetMembers()[0].GetGuest())
		_, err = org.owner.RemoveProjectMember(t.Context(), &membershipv1.RemoveProjectMemberRequest{
			OrganizationId: org.ID, ProjectId: direct.GetId(), AccountId: member.ID})
		require.NoError(t, err)
		require.False(t, org.canIn(t, direct, member, "resources.read"))
	})

	scenario(t, "S3-17 S3-19 removal ends the memberships in projects too if it is asked to, and the mail names them", func(t *testing.T, over string) {
		org := create(t, over, flat)
		member := org.join(t, "")
		name := unique("Apollo")
		project := org.project(t, name)
		org.engage(t, project, member, "member")
		_, err := org.owner.RemoveMember(t.Context(), &membershipv1.RemoveMemberRequest{
			OrganizationId: org.ID, AccountId: member.ID, RemoveProjectMemberships: true})
		require.NoError(t, err)
		require.False(t, org.canIn(t, project, member, "resources.read"))
		mail := mailTo(t, member.Email, func(m devmail.Received) bool { return linkWith(m, "/invite/") == "" })
		require.Contains(t, mail.Subject, org.Name)
		require.Contains(t, mail.Text, name)
	})

	scenario(t, "C23 a role in a project counts there, for members and through groups", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		org.amend(t, `{"projects": true}`)
		direct, grouped := org.join(t, "viewer"), org.join(t, "viewer")
		here, there := org.project(t, "Apollo"), org.project(t, "Gemini")
		org.engage(t, here, direct, "developer")
		group := org.group(t, "Engineering")
		org.enroll(t, group, grouped)
		_, err := org.owner.BindGroupRole(t.Context(), &membershipv1.BindGroupRoleRequest{
			OrganizationId: org.ID, GroupId: group.GetId(), Role: "developer", ProjectId: here.GetId()})
		require.NoError(t, err)
		for _, who := range []*person{direct, grouped} {
			require.True(t, org.canIn(t, here, who, "resources.write"))
			require.False(t, org.canIn(t, there, who, "resources.write"))
			require.False(t, org.can(t, who, "resources.write"))
		}
		org.disable(t, direct)
		require.False(t, org.canIn(t, here, direct, "resources.read"), "disabled is empty everywhere")
	})

	scenario(t, "C24 a project narrows the list to its direct members who belong here", func(t *testing.T, over string) {
		org := create(t, over, flat)
		direct, gone, outside := org.join(t, ""), org.join(t, ""), org.join(t, "")
		project, empty := org.project(t, "Apollo"), org.project(t, "Gemini")
		org.engage(t, project, direct, "member")
		org.engage(t, project, gone, "member")
		in := func(project *membershipv1.Project) []string {
			return accounts(org.people(t, outside, func(r *membershipv1.ListPeopleRequest) { r.ProjectId, r.PageSize = project.GetId(), 1 }))
		}
		require.ElementsMatch(t, []string{direct.ID, gone.ID}, in(project))
		org.remove(t, gone)
		require.Equal(t, []string{direct.ID}, in(project), "a guest is no member")
		require.Empty(t, in(empty))
		without := create(t, over, pipeline)
		_, err := without.owner.ListPeople(t.Context(), &membershipv1.ListPeopleRequest{OrganizationId: without.ID, ProjectId: project.GetId()})
		refused(t, err, errorv1.Reason_REASON_PROJECT_NOT_FOUND)
	})
}
