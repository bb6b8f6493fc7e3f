package membership_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// makeRole makes a role of the organization's own, which allows to see the organization and what is named.
func (o organization) makeRole(actor id.Account, name string, permissions ...string) (*membershipv1.Role, error) {
	answer, err := o.roles.CreateRole(o.as(actor), &membershipv1.CreateRoleRequest{
		OrganizationId: o.id.String(), DisplayName: name, Permissions: append(permissions, "org.read", "roles.read")})
	return answer.GetRole(), err
}

func (o organization) role(actor id.Account, name string, permissions ...string) *membershipv1.Role {
	o.Helper()
	role, err := o.makeRole(actor, name, permissions...)
	require.NoError(o, err)
	return role
}

// TestStepUp is about what asks for a proof of who is there.
func TestStepUp(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	const again = errorv1.Reason_REASON_STEP_UP_REQUIRED

	t.Run("RB16 deleting an organization", func(t *testing.T) {
		t.Parallel()
		o := h.create(membershipv1.Preset_PRESET_PORTAL)
		_, err := o.organizations.DeleteOrganization(o.stale(o.creator), &membershipv1.DeleteOrganizationRequest{OrganizationId: o.id.String()})
		refused(t, err, again)
		require.NotContains(t, o.types(), "organization.deleted")
	})
	t.Run("RB16 offering the ownership", func(t *testing.T) {
		t.Parallel()
		o := h.create(membershipv1.Preset_PRESET_PORTAL)
		_, err := o.ownership.OfferTransfer(o.stale(o.creator), &membershipv1.OfferTransferRequest{
			OrganizationId: o.id.String(), AccountId: o.add("admin").String()})
		refused(t, err, again)
	})
	t.Run("RB9 RB16 giving a role power over people, and nothing else of a role", func(t *testing.T) {
		t.Parallel()
		o := h.create(membershipv1.Preset_PRESET_RBAC)
		create := func(permissions ...string) (*membershipv1.CreateRoleResponse, error) {
			return o.roles.CreateRole(o.stale(o.creator), &membershipv1.CreateRoleRequest{
				OrganizationId: o.id.String(), DisplayName: "Support", Permissions: permissions})
		}
		_, err := create("members.read", "members.create")
		refused(t, err, again)
		plain, err := create("members.read")
		require.NoError(t, err)
		update := func(ctx context.Context, name string, permissions ...string) error {
			_, err := o.roles.UpdateRole(ctx, &membershipv1.UpdateRoleRequest{
				OrganizationId: o.id.String(), RoleId: plain.GetRole().GetId(), DisplayName: name, Permissions: permissions})
			return err
		}
		refused(t, update(o.stale(o.creator), "", "members.read", "members.create"), again)
		require.NoError(t, update(o.as(o.creator), "", "members.read", "members.create"))
		require.NoError(t, update(o.stale(o.creator), "Helpers", "members.read", "members.create"), "it has the power already")
		require.NoError(t, update(o.stale(o.creator), "", "members.read"), "less power")
	})
}

// TestStepUpRegistered is TestStepUp about what products register, which is for every organization of a deployment.
func TestStepUpRegistered(t *testing.T) {
	t.Parallel()
	t.Run("RB16 what a product calls dangerous asks for a proof as well", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(membershipv1.Preset_PRESET_RBAC)
		risky := product("app:crm.impersonate")
		risky.Dangerous = true
		o.register(risky, product("app:crm.read"))
		create := func(permission string) error {
			_, err := o.roles.CreateRole(o.stale(o.creator), &membershipv1.CreateRoleRequest{
				OrganizationId: o.id.String(), DisplayName: permission[len("app:crm."):], Permissions: []string{permission}})
			return err
		}
		refused(t, create("app:crm.impersonate"), errorv1.Reason_REASON_STEP_UP_REQUIRED)
		require.NoError(t, create("app:crm.read"))
	})
}

func (o organization) listRoles(actor id.Account) map[string]*membershipv1.Role {
	o.Helper()
	answer, err := o.roles.ListRoles(o.as(actor), &membershipv1.ListRolesRequest{OrganizationId: o.id.String()})
	require.NoError(o, err)
	roles := make(map[string]*membershipv1.Role)
	for _, role := range answer.GetRoles() {
		roles[role.GetKey()] = role
	}
	return roles
}

func (o organization) deleteRole(actor id.Account, role, replacement string) (*membershipv1.DeleteRoleResponse, error) {
	return o.roles.DeleteRole(o.as(actor), &membershipv1.DeleteRoleRequest{
		OrganizationId: o.id.String(), RoleId: role, Replacement: replacement})
}

func TestCreateRole(t *testing.T) {
	t.Parallel()
	h := newHarness(t)

	t.Run("S2-27 S2-28 a role of one's own is shown, can be given, and tells what it allows", func(t *testing.T) {
		t.Parallel()
		o := h.create(membershipv1.Preset_PRESET_RBAC)
		answer, err := o.roles.CreateRole(o.as(o.creator), &membershipv1.CreateRoleRequest{
			OrganizationId: o.id.String(), DisplayName: " Customer  Support ", Description: "Answers customers.", Color: "#AABBCC",
			Permissions: []string{"org.read", "members.read", "members.read"}})
		require.NoError(t, err)
		require.NotEmpty(t, answer.GetToken())
		role := answer.GetRole()
		require.Equal(t, []string{"customer-support", "Customer  Support", "Answers customers.", "#aabbcc"},
			[]string{role.GetKey(), role.GetDisplayName(), role.GetDescription(), role.GetColor()})
		require.Equal(t, []string{"members.read", "org.read"}, role.GetPermissions())
		require.True(t, role.GetAssignable())
		require.False(t, role.GetBuiltIn())
		listed := o.listRoles(o.creator)
		require.Len(t, listed, 4)
		require.Equal(t, role.String(), listed["customer-support"].String())
		require.True(t, listed["owner"].GetReserved())
		require.True(t, listed["admin"].GetBuiltIn())
		member := o.add("customer-support")
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_ALLOWED, o.decision(member, "members.read"))
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_PERMISSION_MISSING, o.decision(member, "products.use"))
		require.Equal(t, 1, strings.Count(strings.Join(o.types(), " "), "role.created"))
	})

	t.Run("RB25 an organization has fifty roles of its own and no more", func(t *testing.T) {
		t.Parallel()
		o := h.create(membershipv1.Preset_PRESET_RBAC)
		for i := range 50 {
			o.role(o.creator, fmt.Sprintf("Role %d", i))
		}
		_, err := o.makeRole(o.creator, "One more")
		require.Equal(t, "50", refused(t, err, errorv1.Reason_REASON_LIMIT_REACHED).Metadata["limit"])
		_, err = o.deleteRole(o.creator, o.listRoles(o.creator)["role-7"].GetId(), "")
		require.NoError(t, err)
		o.role(o.creator, "One more")
	})

	t.Run("C1 where the policy has no roles of one's own there are none", func(t *testing.T) {
		t.Parallel()
		o := h.create(membershipv1.Preset_PRESET_PORTAL)
		_, err := o.makeRole(o.creator, "Support")
		require.Equal(t, "custom_roles", refused(t, err, errorv1.Reason_REASON_FEATURE_OFF).Metadata["policy"])
		_, err = o.makeRole(o.add("member"), "Support")
		refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
	})

	t.Run("The same request makes one role", func(t *testing.T) {
		t.Parallel()
		o := h.create(membershipv1.Preset_PRESET_RBAC)
		req := &membershipv1.CreateRoleRequest{OrganizationId: o.id.String(), DisplayName: "Support", RequestId: "once"}
		first, err := o.roles.CreateRole(o.as(o.creator), req)
		require.NoError(t, err)
		again, err := o.roles.CreateRole(o.as(o.creator), req)
		require.NoError(t, err)
		require.Equal(t, first.String(), again.String())
		require.Len(t, o.listRoles(o.creator), 4)
	})
}

func TestUpdateRole(t *testing.T) {
	t.Parallel()
	h := newHarness(t)

	t.Run("RB18 a role that changes changes for its holders with the next question", func(t *testing.T) {
		t.Parallel()
		o := h.create(membershipv1.Preset_PRESET_RBAC)
		role := o.role(o.creator, "Support")
		holder := o.add(role.GetKey())
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_PERMISSION_MISSING, o.decision(holder, "members.read"))
		answer, err := o.roles.UpdateRole(o.as(o.creator), &membershipv1.UpdateRoleRequest{
			OrganizationId: o.id.String(), RoleId: role.GetId(), Permissions: []string{"members.read"}, Etag: role.GetEtag()})
		require.NoError(t, err)
		require.Equal(t, int64(1), answer.GetMembers())
		require.Equal(t, []string{"members.read"}, answer.GetRole().GetPermissions())
		require.Equal(t, "Support", answer.GetRole().GetDisplayName(), "what is not given stays")
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_ALLOWED, o.decision(holder, "members.read"))
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_PERMISSION_MISSING, o.decision(holder, "org.read"))
		_, err = o.roles.UpdateRole(o.as(o.creator), &membershipv1.UpdateRoleRequest{
			OrganizationId: o.id.String(), RoleId: role.GetId(), Permissions: []string{"org.read"}, Etag: role.GetEtag()})
		refused(t, err, errorv1.Reason_REASON_ETAG_MISMATCH)
	})

	t.Run("A mask empties what it names and nothing else", func(t *testing.T) {
		t.Parallel()
		o := h.create(membershipv1.Preset_PRESET_RBAC)
		role := o.role(o.creator, "Support", "members.read")
		answer, err := o.roles.UpdateRole(o.as(o.creator), &membershipv1.UpdateRoleRequest{
			OrganizationId: o.id.String(), RoleId: role.GetId(), DisplayName: "Ignored",
			UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"permissions"}}})
		require.NoError(t, err)
		require.Empty(t, answer.GetRole().GetPermissions())
		require.Equal(t, "Support", answer.GetRole().GetDisplayName())
		_, err = o.roles.UpdateRole(o.as(o.creator), &membershipv1.UpdateRoleRequest{
			OrganizationId: o.id.String(), RoleId: role.GetId(), UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"etag"}}})
		refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
	})

	t.Run("RB9 nobody gives what they do not hold by changing a role", func(t *testing.T) {
		t.Parallel()
		o := h.create(membershipv1.Preset_PRESET_RBAC)
		admin := o.add("admin")
		billing := o.role(o.creator, "Billing", "billing.manage")
		update := func(actor id.Account, permissions ...string) error {
			_, err := o.roles.UpdateRole(o.as(actor), &membershipv1.UpdateRoleRequest{
				OrganizationId: o.id.String(), RoleId: billing.GetId(), Permissions: permissions})
			return err
		}
		before := len(o.history())
		require.Equal(t, "billing.manage", refused(t, update(admin, "org.read"), errorv1.Reason_REASON_PERMISSION_MISSING).Metadata["permission"],
			"neither take away")
		support := o.role(admin, "Support")
		_, err := o.roles.UpdateRole(o.as(admin), &membershipv1.UpdateRoleRequest{
			OrganizationId: o.id.String(), RoleId: support.GetId(), Permissions: []string{"billing.manage"}})
		refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
		_, err = o.makeRole(admin, "Cashier", "billing.manage")
		refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
		require.Len(t, o.history(), before+1)
	})

	t.Run("RB4 RB10 built-in roles and those of others are not there to be changed", func(t *testing.T) {
		t.Parallel()
		o, other := h.create(membershipv1.Preset_PRESET_RBAC), h.create(membershipv1.Preset_PRESET_RBAC)
		theirs := other.role(other.creator, "Support")
		before, theirBefore := len(o.history()), len(other.history())
		for role, want := range map[string]errorv1.Reason{
			theirs.GetId():                                 errorv1.Reason_REASON_ROLE_NOT_FOUND,
			id.NewRole().String():                          errorv1.Reason_REASON_ROLE_NOT_FOUND,
			o.listRoles(o.creator)["owner"].GetId():        errorv1.Reason_REASON_STATE_CONFLICT,
			o.listRoles(o.creator)["member"].GetId():       errorv1.Reason_REASON_STATE_CONFLICT,
			other.listRoles(other.creator)["admin"].Id:     errorv1.Reason_REASON_ROLE_NOT_FOUND,
			strings.Replace(theirs.GetId(), "l_", "L_", 1): errorv1.Reason_REASON_VALIDATION_FAILED,
		} {
			_, err := o.roles.UpdateRole(o.as(o.creator), &membershipv1.UpdateRoleRequest{
				OrganizationId: o.id.String(), RoleId: role, DisplayName: "Mine"})
			refused(t, err, want)
			_, err = o.deleteRole(o.creator, role, "member")
			refused(t, err, want)
		}
		require.Len(t, o.history(), before)
		require.Len(t, other.history(), theirBefore)
	})
}

func TestDeleteRole(t *testing.T) {
	t.Parallel()
	h := newHarness(t)

	t.Run("RB10 a role that somebody has goes only with a replacement", func(t *testing.T) {
		t.Parallel()
		o := h.create(membershipv1.Preset_PRESET_RBAC)
		role := o.role(o.creator, "Support", "members.read")
		active, disabled, gone, other := o.add("support"), o.add("support"), o.add("support"), o.add("member")
		_, err := o.disable(o.creator, disabled)
		require.NoError(t, err)
		_, err = o.remove(o.creator, gone)
		require.NoError(t, err)
		_, err = o.deleteRole(o.creator, role.GetId(), "")
		require.Equal(t, map[string]string{"members": "2"}, refused(t, err, errorv1.Reason_REASON_ROLE_IN_USE).Metadata)
		_, err = o.deleteRole(o.creator, role.GetId(), "owner")
		refused(t, err, errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE)
		_, err = o.deleteRole(o.creator, role.GetId(), "support")
		refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		before := len(o.history())

		would, err := o.roles.DeleteRole(o.as(o.creator), &membershipv1.DeleteRoleRequest{
			OrganizationId: o.id.String(), RoleId: role.GetId(), Replacement: "member", ValidateOnly: true})
		require.NoError(t, err)
		require.Equal(t, int64(2), would.GetMembers())
		require.Len(t, o.history(), before)

		did, err := o.deleteRole(o.creator, role.GetId(), "member")
		require.NoError(t, err)
		require.Equal(t, int64(2), did.GetMembers())
		for _, account := range []id.Account{active, disabled, other} {
			member, err := o.get(o.creator, account)
			require.NoError(t, err)
			require.Equal(t, "member", member.GetRole())
		}
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_ALLOWED, o.decision(active, "products.use"))
		for _, p := range o.list(o.creator, nil).GetPeople() {
			require.NotEqual(t, "support", p.GetRole())
		}
		require.Len(t, o.listRoles(o.creator), 3)
		log := o.history()[before:]
		require.Len(t, log, 1, "one event, however many there are")
		require.Equal(t, "role.deleted", log[0].Type)
		require.Contains(t, log[0].Data, `"replacement":"member"`)
		_, err = o.deleteRole(o.creator, role.GetId(), "member")
		refused(t, err, errorv1.Reason_REASON_ROLE_NOT_FOUND)
		require.NoError(t, o.addAs(gone, id.NewSeat(), "member"), "who comes back does not come back with it")
	})

	t.Run("RB10 the replacement is a grant, and nobody takes their own role away", func(t *testing.T) {
		t.Parallel()
		o := h.create(membershipv1.Preset_PRESET_RBAC)
		admin := o.add("admin")
		o.role(o.creator, "Billing", "billing.manage")
		support := o.role(admin, "Support")
		o.add("support")
		_, err := o.deleteRole(admin, support.GetId(), "billing")
		require.Equal(t, "billing.manage", refused(t, err, errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE).Metadata["missing"])
		helper := o.role(o.creator, "Helper", "roles.delete", "members.assign_role", "members.read")
		mine := o.add(helper.GetKey())
		_, err = o.deleteRole(mine, helper.GetId(), "support")
		refused(t, err, errorv1.Reason_REASON_SELF_ACTION)
		_, err = o.deleteRole(o.add("member"), support.GetId(), "member")
		refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
	})

	t.Run("Who comes with the key of a deleted role gets the one that replaced it, and the key is nobody else's", func(t *testing.T) {
		t.Parallel()
		o := h.create(membershipv1.Preset_PRESET_RBAC)
		first := o.role(o.creator, "Support", "members.read")
		second := o.role(o.creator, "Second", "members.read")
		_, err := o.deleteRole(o.creator, first.GetId(), "second")
		require.NoError(t, err)
		again := o.role(o.creator, "Support")
		require.Regexp(t, `^support-[0-9a-z]{8}$`, again.GetKey())
		_, err = o.roles.CreateRole(o.as(o.creator), &membershipv1.CreateRoleRequest{OrganizationId: o.id.String(), DisplayName: "Third", Key: "support"})
		refused(t, err, errorv1.Reason_REASON_NAME_TAKEN)
		late := o.add("support")
		member, err := o.get(o.creator, late)
		require.NoError(t, err)
		require.Equal(t, "second", member.GetRole())
		_, err = o.deleteRole(o.creator, second.GetId(), "member")
		require.NoError(t, err)
		member, err = o.get(o.creator, o.add("support"))
		require.NoError(t, err)
		require.Equal(t, "member", member.GetRole(), "the replacement was replaced")
		granted, err := o.admission.AuthorizeInvitation(o.Context(), &membershipv1.AuthorizeInvitationRequest{
			OrganizationId: o.id.String(), ActorAccountId: o.creator.String(), Permission: "invitations.create", GrantsRole: true, Role: "support"})
		require.NoError(t, err)
		require.Equal(t, "member", granted.GetRole())
	})

	t.Run("Groups and projects give the replacement", func(t *testing.T) {
		t.Parallel()
		o := h.create(membershipv1.Preset_PRESET_RBAC)
		role := o.role(o.creator, "Support")
		guest := o.add("member")
		owner := o.owner()
		for _, statement := range []string{
			`INSERT INTO groups SELECT $1, $2, 'G', 'g', '', NULL, ARRAY[$2::uuid], '{}', 1, now()`,
			`INSERT INTO projects SELECT $1, $2, 'P', 'p', '', 1, now()`,
			`INSERT INTO project_members SELECT $1, account_id, $2, r.role_id, now() FROM members m, roles r WHERE m.organization_id = $1 AND r.organization_id = $1 AND r.key = 'support'
			 AND m.role_id <> r.role_id ORDER BY m.join_time DESC LIMIT 1`,
			`INSERT INTO group_bindings SELECT $1, $2, role_id FROM roles WHERE organization_id = $1 AND key IN ('support', 'member')`,
		} {
			_, err := owner.Exec(t.Context(), statement, o.id, guest)
			require.NoError(t, err)
		}
		_, err := o.deleteRole(o.creator, role.GetId(), "")
		require.Equal(t, "2", refused(t, err, errorv1.Reason_REASON_ROLE_IN_USE).Metadata["grants"])
		_, err = o.deleteRole(o.creator, role.GetId(), "member")
		require.NoError(t, err)
		var keys []string
		rows, err := owner.Query(t.Context(), `
			SELECT r.key FROM (SELECT role_id FROM group_bindings WHERE organization_id = $1 UNION ALL SELECT role_id FROM project_members WHERE organization_id = $1) g
			JOIN roles r USING (role_id)`, o.id)
		require.NoError(t, err)
		for rows.Next() {
			var key string
			require.NoError(t, rows.Scan(&key))
			keys = append(keys, key)
		}
		require.Equal(t, []string{"member", "member"}, keys)
	})

	t.Run("A role that the policy gives stays", func(t *testing.T) {
		t.Parallel()
		o := h.create(membershipv1.Preset_PRESET_RBAC)
		role := o.role(o.creator, "Support")
		_, err := o.owner().Exec(t.Context(), `UPDATE organizations SET policy = policy || '{"default_invite_role": "support"}' WHERE organization_id = $1`, o.id)
		require.NoError(t, err)
		_, err = o.deleteRole(o.creator, role.GetId(), "member")
		require.Equal(t, "default_invite_role", refused(t, err, errorv1.Reason_REASON_ROLE_IN_USE).Metadata["policy"])
	})
}
