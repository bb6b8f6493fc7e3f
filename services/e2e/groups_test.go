package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

// group makes a group.
func (o *organization) group(t *testing.T, name string, opens ...string) *membershipv1.Group {
	t.Helper()
	made, err := o.owner.CreateGroup(t.Context(), &membershipv1.CreateGroupRequest{OrganizationId: o.ID, DisplayName: name, Opens: opens})
	require.NoError(t, err)
	require.NotEmpty(t, made.GetToken())
	return made.GetGroup()
}

// enroll puts somebody into a group.
func (o *organization) enroll(t *testing.T, group *membershipv1.Group, who *person) {
	t.Helper()
	_, err := o.owner.AddGroupMember(t.Context(), &membershipv1.AddGroupMemberRequest{OrganizationId: o.ID, GroupId: group.GetId(), AccountId: who.ID})
	require.NoError(t, err)
}

// withdraw takes somebody out of a group.
func (o *organization) withdraw(t *testing.T, group *membershipv1.Group, who *person) {
	t.Helper()
	_, err := o.owner.RemoveGroupMember(t.Context(), &membershipv1.RemoveGroupMemberRequest{OrganizationId: o.ID, GroupId: group.GetId(), AccountId: who.ID})
	require.NoError(t, err)
}

// bind makes a group give a role.
func (o *organization) bind(t *testing.T, group *membershipv1.Group, role string) {
	t.Helper()
	_, err := o.owner.BindGroupRole(t.Context(), &membershipv1.BindGroupRoleRequest{OrganizationId: o.ID, GroupId: group.GetId(), Role: role})
	require.NoError(t, err)
}

// amend changes fields of the policy, given as JSON.
func (o *organization) amend(t *testing.T, fields string) {
	t.Helper()
	_, err := suite.owners["membership"].Exec(t.Context(), `UPDATE organizations SET policy = policy || $2 WHERE organization_id = $1`, uuidOf(t, o.ID), fields)
	require.NoError(t, err)
}

// decides tells what decides whether somebody may do something here.
func (o *organization) decides(t *testing.T, who *person, permission string) membershipv1.CheckAccessResponse_Decision {
	t.Helper()
	answer, err := o.owner.CheckAccess(t.Context(), &membershipv1.CheckAccessRequest{OrganizationId: o.ID, AccountId: who.ID, Permission: permission})
	require.NoError(t, err)
	return answer.GetDecision()
}

// TestGroups holds what groups give and take.
func TestGroups(t *testing.T) {
	t.Parallel()

	scenario(t, "S0-30 access is role and groups", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		member := org.join(t, "viewer")
		outer := org.group(t, "Engineering")
		inner, err := org.owner.CreateGroup(t.Context(), &membershipv1.CreateGroupRequest{
			OrganizationId: org.ID, DisplayName: "Compilers", ParentGroupId: outer.GetId()})
		require.NoError(t, err)
		org.enroll(t, inner.GetGroup(), member)
		require.False(t, org.can(t, member, "resources.write"))
		org.bind(t, outer, "developer")
		require.True(t, org.can(t, member, "resources.write"))
		shown, err := member.GetOrganization(t.Context(), &membershipv1.GetOrganizationRequest{OrganizationId: org.ID})
		require.NoError(t, err)
		require.Contains(t, shown.GetOrganization().GetMyPermissions(), "resources.write")
		org.withdraw(t, inner.GetGroup(), member)
		require.False(t, org.can(t, member, "resources.write"))
		require.Equal(t, 1, org.events(t, "membership", "group.member_removed"))
	})

	scenario(t, "C23 S0-31 a gate is passed through a group, and without gates groups restrict nothing", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		member := org.join(t, "developer")
		users := org.group(t, "Users", "products.use")
		require.True(t, org.can(t, member, "products.use"), "nothing is gated")
		org.amend(t, `{"gated_permissions": ["products.use"]}`)
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_GATE_CLOSED, org.decides(t, member, "products.use"))
		require.True(t, org.can(t, member, "resources.write"))
		org.enroll(t, users, org.owner)
		org.enroll(t, users, member)
		require.True(t, org.can(t, member, "products.use"))
		org.withdraw(t, users, member)
		require.False(t, org.can(t, member, "products.use"))
		org.amend(t, `{"groups": false}`)
		require.True(t, org.can(t, member, "products.use"))
		_, err := org.owner.ListGroups(t.Context(), &membershipv1.ListGroupsRequest{OrganizationId: org.ID})
		refused(t, err, errorv1.Reason_REASON_FEATURE_OFF)
	})

	scenario(t, "RB12 a group gives nothing that whoever fills it does not hold", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		admin, viewer := org.join(t, "admin"), org.join(t, "viewer")
		group := org.group(t, "Engineering")
		bind := func(by *person, role string) error {
			_, err := by.BindGroupRole(t.Context(), &membershipv1.BindGroupRoleRequest{OrganizationId: org.ID, GroupId: group.GetId(), Role: role})
			return err
		}
		refused(t, bind(admin, "owner"), errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE)
		refused(t, bind(viewer, "viewer"), errorv1.Reason_REASON_PERMISSION_MISSING)
		require.NoError(t, bind(admin, "developer"))
		_, err := admin.AddGroupMember(t.Context(), &membershipv1.AddGroupMemberRequest{OrganizationId: org.ID, GroupId: group.GetId(), AccountId: admin.ID})
		refused(t, err, errorv1.Reason_REASON_SELF_ACTION)
		_, err = admin.AddGroupMember(t.Context(), &membershipv1.AddGroupMemberRequest{OrganizationId: org.ID, GroupId: group.GetId(), AccountId: org.owner.ID})
		refused(t, err, errorv1.Reason_REASON_OWNER_PROTECTED)
		_, err = admin.UpdateGroup(t.Context(), &membershipv1.UpdateGroupRequest{
			OrganizationId: org.ID, GroupId: group.GetId(), ParentGroupId: group.GetId()})
		refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		_, err = admin.UpdateGroup(t.Context(), &membershipv1.UpdateGroupRequest{
			OrganizationId: org.ID, GroupId: group.GetId(), Opens: []string{"billing.manage"}})
		refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
		require.Equal(t, 1, org.events(t, "membership", "group.role_bound"))
		require.Zero(t, org.events(t, "membership", "group.updated")+org.events(t, "membership", "group.member_added"))
	})

	scenario(t, "RB23 who is added again is in none of the groups from before", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		member := org.join(t, "viewer")
		group := org.group(t, "Engineering")
		org.bind(t, group, "developer")
		org.enroll(t, group, member)
		require.True(t, org.can(t, member, "resources.write"))
		org.remove(t, member)
		require.False(t, org.can(t, member, "resources.write"))
		first := mailLink(t, member.Email, "/invite/")
		org.invite(t, member.Email, "viewer")
		_, err := member.AcceptInvitation(t.Context(), &invitationv1.AcceptInvitationRequest{LinkToken: newLink(t, member.Email, first)})
		require.NoError(t, err)
		require.True(t, org.can(t, member, "resources.read"))
		require.False(t, org.can(t, member, "resources.write"))
		listed, err := org.owner.ListGroupMembers(t.Context(), &membershipv1.ListGroupMembersRequest{OrganizationId: org.ID, GroupId: group.GetId()})
		require.NoError(t, err)
		require.Empty(t, listed.GetMembers())
	})
}
