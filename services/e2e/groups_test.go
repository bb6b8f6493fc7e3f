package e2e

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
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

// amend changes fields of the policy, given as JSON by their names in the proto.
func (o *organization) amend(t *testing.T, fields string) {
	t.Helper()
	_, err := o.owner.UpdatePolicy(t.Context(), o.amendment(t, fields))
	require.NoError(t, err)
}

// amendment is the request to change fields of the policy.
func (o *organization) amendment(t *testing.T, fields string) *membershipv1.UpdatePolicyRequest {
	t.Helper()
	req := &membershipv1.UpdatePolicyRequest{OrganizationId: o.ID, Policy: &membershipv1.OrganizationPolicy{}, UpdateMask: &fieldmaskpb.FieldMask{}}
	require.NoError(t, protojson.Unmarshal([]byte(fields), req.GetPolicy()))
	var named map[string]any
	require.NoError(t, json.Unmarshal([]byte(fields), &named))
	req.UpdateMask.Paths = slices.Sorted(maps.Keys(named))
	return req
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
		_, err := org.owner.UpdatePolicy(t.Context(), org.amendment(t, `{"groups": false, "gated_permissions": []}`))
		refused(t, err, errorv1.Reason_REASON_POLICY_CONFLICT)
		_, err = org.owner.DeleteGroup(t.Context(), &membershipv1.DeleteGroupRequest{OrganizationId: org.ID, GroupId: users.GetId()})
		require.NoError(t, err)
		require.False(t, org.can(t, member, "products.use"), "the gate is there still")
		org.amend(t, `{"groups": false, "gated_permissions": []}`)
		require.True(t, org.can(t, member, "products.use"))
		_, err = org.owner.ListGroups(t.Context(), &membershipv1.ListGroupsRequest{OrganizationId: org.ID})
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

	scenario(t, "C24 a group narrows the list, with who is in groups inside of it, together with everything else", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		outer := org.group(t, "Engineering")
		made, err := org.owner.CreateGroup(t.Context(), &membershipv1.CreateGroupRequest{
			OrganizationId: org.ID, DisplayName: "Compilers", ParentGroupId: outer.GetId()})
		require.NoError(t, err)
		inner := made.GetGroup()
		lead, deep, both, outside := org.join(t, "developer"), org.join(t, "viewer"), org.join(t, "viewer"), org.join(t, "viewer")
		org.enroll(t, outer, lead)
		org.enroll(t, inner, deep)
		for _, group := range []*membershipv1.Group{outer, inner} {
			org.enroll(t, group, both)
		}
		org.invite(t, unique("later")+"@example.com", "viewer")
		in := func(group *membershipv1.Group, narrow ...func(*membershipv1.ListPeopleRequest)) []string {
			return accounts(org.people(t, outside, append(narrow, func(r *membershipv1.ListPeopleRequest) { r.GroupId, r.PageSize = group.GetId(), 1 })...))
		}
		require.ElementsMatch(t, []string{lead.ID, deep.ID, both.ID}, in(outer))
		require.ElementsMatch(t, []string{deep.ID, both.ID}, in(inner))
		require.ElementsMatch(t, []string{deep.ID, both.ID}, in(outer, func(r *membershipv1.ListPeopleRequest) {
			r.Roles, r.OrderBy = []string{"viewer"}, membershipv1.ListPeopleRequest_ORDER_JOIN_TIME_DESC
		}))
		require.Len(t, in(outer, func(r *membershipv1.ListPeopleRequest) { r.Query = "grace" }), 3)
		require.Empty(t, in(outer, func(r *membershipv1.ListPeopleRequest) { r.View = membershipv1.ListPeopleRequest_VIEW_INVITATIONS }))
		org.disable(t, deep)
		require.Equal(t, []string{deep.ID}, in(inner, func(r *membershipv1.ListPeopleRequest) {
			r.States = []membershipv1.Person_State{membershipv1.Person_STATE_DISABLED}
		}))
		org.remove(t, both)
		require.ElementsMatch(t, []string{lead.ID, deep.ID}, in(outer))
		for _, group := range []*membershipv1.Group{inner, outer} {
			_, err = org.owner.DeleteGroup(t.Context(), &membershipv1.DeleteGroupRequest{OrganizationId: org.ID, GroupId: group.GetId()})
			require.NoError(t, err)
		}
		org.amend(t, `{"groups": false}`)
		_, err = org.owner.ListPeople(t.Context(), &membershipv1.ListPeopleRequest{OrganizationId: org.ID, GroupId: outer.GetId()})
		refused(t, err, errorv1.Reason_REASON_FEATURE_OFF)
	})

	scenario(t, "R77 the list knows no group and no project of others", func(t *testing.T, over string) {
		org, other := create(t, over, pipeline), create(t, over, pipeline)
		for _, o := range []*organization{org, other} {
			o.amend(t, `{"projects": true}`)
		}
		for _, group := range []string{other.group(t, "Theirs").GetId(), id.NewGroup().String()} {
			_, err := org.owner.ListPeople(t.Context(), &membershipv1.ListPeopleRequest{OrganizationId: org.ID, GroupId: group})
			refused(t, err, errorv1.Reason_REASON_GROUP_NOT_FOUND)
		}
		for _, project := range []string{other.project(t, "Theirs").GetId(), id.NewProject().String()} {
			_, err := org.owner.ListPeople(t.Context(), &membershipv1.ListPeopleRequest{OrganizationId: org.ID, ProjectId: project})
			refused(t, err, errorv1.Reason_REASON_PROJECT_NOT_FOUND)
		}
		_, err := org.owner.ListPeople(t.Context(), &membershipv1.ListPeopleRequest{OrganizationId: org.ID, GroupId: org.ID})
		refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
	})

	scenario(t, "RB19 who may not see groups and projects narrows the list by none, whether there is one or not", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		org.amend(t, `{"groups": true, "projects": true}`)
		clerk := org.join(t, org.shape(t, "Clerk", "members.read").GetKey())
		group, project := org.group(t, "Engineering"), org.project(t, "Apollo")
		org.enroll(t, group, clerk)
		list := func(req *membershipv1.ListPeopleRequest) error {
			req.OrganizationId = org.ID
			_, err := clerk.ListPeople(t.Context(), req)
			return err
		}
		require.NoError(t, list(&membershipv1.ListPeopleRequest{}))
		for _, key := range []string{group.GetId(), id.NewGroup().String()} {
			refused(t, list(&membershipv1.ListPeopleRequest{GroupId: key}), errorv1.Reason_REASON_PERMISSION_MISSING)
		}
		for _, key := range []string{project.GetId(), id.NewProject().String()} {
			refused(t, list(&membershipv1.ListPeopleRequest{ProjectId: key}), errorv1.Reason_REASON_PERMISSION_MISSING)
		}
		refused(t, list(&membershipv1.ListPeopleRequest{OrderBy: membershipv1.ListPeopleRequest_ORDER_LAST_ACTIVITY_TIME}), errorv1.Reason_REASON_PERMISSION_MISSING)
	})
}

// accounts are the members among people, in their order.
func accounts(people []*membershipv1.Person) (ids []string) {
	for _, p := range people {
		ids = append(ids, p.GetAccountId())
	}
	return ids
}
