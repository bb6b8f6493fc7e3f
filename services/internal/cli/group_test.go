package cli

import (
	"testing"

	"github.com/stretchr/testify/require"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

func TestGroup(t *testing.T) {
	t.Parallel()
	w := signedIn(t)
	group := &membershipv1.Group{
		Id: "grp_1", DisplayName: "Engineering", Opens: []string{"products.use"}, CreateTime: away(-9 * day), Etag: "3",
		Bindings: []*membershipv1.Group_Binding{{Role: "developer"}, {Role: "viewer", ProjectId: "prj_1"}},
	}
	gives(w, &membershipv1.CreateGroupRequest{}, &membershipv1.CreateGroupResponse{Group: group})
	gives(w, &membershipv1.GetGroupRequest{}, &membershipv1.GetGroupResponse{Group: group})
	gives(w, &membershipv1.ListGroupsRequest{}, &membershipv1.ListGroupsResponse{Groups: []*membershipv1.Group{group}})
	gives(w, &membershipv1.UpdateGroupRequest{}, &membershipv1.UpdateGroupResponse{Group: group})
	gives(w, &membershipv1.DeleteGroupRequest{}, &membershipv1.DeleteGroupResponse{})
	gives(w, &membershipv1.AddGroupMemberRequest{}, &membershipv1.AddGroupMemberResponse{})
	gives(w, &membershipv1.RemoveGroupMemberRequest{}, &membershipv1.RemoveGroupMemberResponse{})
	gives(w, &membershipv1.BindGroupRoleRequest{}, &membershipv1.BindGroupRoleResponse{Group: group})
	gives(w, &membershipv1.UnbindGroupRoleRequest{}, &membershipv1.UnbindGroupRoleResponse{Group: group})
	gives(w, &membershipv1.ListGroupMembersRequest{}, &membershipv1.ListGroupMembersResponse{Members: []*membershipv1.Person{
		{AccountId: "acc_2", DisplayName: "Bob", Role: "viewer", State: membershipv1.Person_STATE_ACTIVE}}})

	const shown = `Group:    grp_1
Name:     Engineering
Gives:    developer, viewer in prj_1
Opens:    products.use
Created:  2026-03-01 12:00 UTC (9d ago)
Etag:     3
`
	require.Equal(t, shown, w.ok("group", "create", "Engineering", "--opens", "products.use", "--inside-of", "grp_0"))
	created := w.last().request.(*membershipv1.CreateGroupRequest)
	require.Equal(t, "grp_0", created.GetParentGroupId())
	require.Equal(t, []string{"products.use"}, created.GetOpens())
	require.Equal(t, shown, w.ok("group", "get", "grp_1"))
	require.Contains(t, w.ok("group", "list"), "Engineering")
	require.Equal(t, shown, w.ok("group", "update", "grp_1", "--description", "", "--etag", "3"))
	updated := w.last().request.(*membershipv1.UpdateGroupRequest)
	require.Equal(t, []string{"description"}, updated.GetUpdateMask().GetPaths())
	require.Equal(t, "3", updated.GetEtag())
	require.Equal(t, exitUsage, w.run("group", "update", "grp_1").code)
	require.Equal(t, "acc_2 is in grp_1.\n", w.ok("group", "add", "grp_1", "acc_2"))
	require.Contains(t, w.ok("group", "members", "grp_1"), "acc_2")
	require.Equal(t, "acc_2 is no longer in grp_1.\n", w.ok("group", "remove", "grp_1", "acc_2"))
	require.Equal(t, shown, w.ok("group", "bind", "grp_1", "viewer", "--project", "prj_1"))
	require.Equal(t, "prj_1", w.last().request.(*membershipv1.BindGroupRoleRequest).GetProjectId())
	require.Equal(t, shown, w.ok("group", "unbind", "grp_1", "developer"))
	require.Equal(t, "grp_1 is deleted.\n", w.ok("group", "delete", "grp_1", "--yes"))
}
