package cli

import (
	"testing"

	"github.com/stretchr/testify/require"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

func TestProject(t *testing.T) {
	t.Parallel()
	w := signedIn(t)
	project := &membershipv1.Project{Id: "prj_1", DisplayName: "Apollo", Description: "To the moon", CreateTime: away(-9 * day), Etag: "3"}
	lead := &membershipv1.ProjectMember{AccountId: "acc_2", DisplayName: "Bob", Role: "developer", JoinTime: away(-day)}
	gives(w, &membershipv1.CreateProjectRequest{}, &membershipv1.CreateProjectResponse{Project: project})
	gives(w, &membershipv1.GetProjectRequest{}, &membershipv1.GetProjectResponse{Project: project})
	gives(w, &membershipv1.ListProjectsRequest{}, &membershipv1.ListProjectsResponse{Projects: []*membershipv1.Project{project}})
	gives(w, &membershipv1.UpdateProjectRequest{}, &membershipv1.UpdateProjectResponse{Project: project})
	gives(w, &membershipv1.DeleteProjectRequest{}, &membershipv1.DeleteProjectResponse{})
	gives(w, &membershipv1.AddProjectMemberRequest{}, &membershipv1.AddProjectMemberResponse{Member: lead})
	gives(w, &membershipv1.RemoveProjectMemberRequest{}, &membershipv1.RemoveProjectMemberResponse{})
	gives(w, &membershipv1.ListProjectMembersRequest{}, &membershipv1.ListProjectMembersResponse{Members: []*membershipv1.ProjectMember{
		lead, {AccountId: "acc_3", Role: "viewer", Guest: true, JoinTime: away(-day)}}})
	gives(w, &membershipv1.RemoveMemberRequest{}, &membershipv1.RemoveMemberResponse{Member: bob})

	const shown = `Project:      prj_1
Name:         Apollo
Description:  To the moon
Created:      2026-03-01 12:00 UTC (9d ago)
Etag:         3
`
	require.Equal(t, shown, w.ok("project", "create", "Apollo", "--description", "To the moon"))
	require.Equal(t, shown, w.ok("project", "get", "prj_1"))
	require.Contains(t, w.ok("project", "list"), "Apollo")
	require.Equal(t, shown, w.ok("project", "update", "prj_1", "--name", "Artemis", "--etag", "2"))
	require.Equal(t, []string{"display_name"}, w.last().request.(*membershipv1.UpdateProjectRequest).GetUpdateMask().GetPaths())
	require.Equal(t, exitUsage, w.run("project", "update", "prj_1").code)
	require.Equal(t, "acc_2 is developer in prj_1.\n", w.ok("project", "add", "prj_1", "acc_2", "developer"))
	require.Contains(t, w.ok("project", "members", "prj_1"), "acc_3")
	require.Equal(t, "acc_2 is no longer in prj_1.\n", w.ok("project", "remove", "prj_1", "acc_2"))
	require.Equal(t, "prj_1 is deleted.\n", w.ok("project", "delete", "prj_1", "--yes"))
	w.ok("member", "remove", "acc_2", "--yes", "--from-projects")
	require.True(t, w.last().request.(*membershipv1.RemoveMemberRequest).GetRemoveProjectMemberships())
}
