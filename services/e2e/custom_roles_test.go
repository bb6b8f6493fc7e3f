package e2e

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

// role is the organization's role of that key.
func (o *organization) role(t *testing.T, key string) *membershipv1.Role {
	t.Helper()
	roles, err := o.owner.ListRoles(t.Context(), &membershipv1.ListRolesRequest{OrganizationId: o.ID})
	require.NoError(t, err)
	for _, role := range roles.GetRoles() {
		if role.GetKey() == key {
			return role
		}
	}
	require.Fail(t, "no role "+key)
	return nil
}

// shape makes a role of the organization's own.
func (o *organization) shape(t *testing.T, name string, permissions ...string) *membershipv1.Role {
	t.Helper()
	made, err := o.owner.CreateRole(t.Context(), &membershipv1.CreateRoleRequest{OrganizationId: o.ID, DisplayName: name, Permissions: permissions})
	require.NoError(t, err)
	return made.GetRole()
}

// TestCustomRoles holds what organizations do with roles of their own.
func TestCustomRoles(t *testing.T) {
	t.Parallel()

	scenario(t, "S2-27 S2-28 S2-29 roles are owner, admin, member and one's own, with colour and description", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		made, err := org.owner.CreateRole(t.Context(), &membershipv1.CreateRoleRequest{
			OrganizationId: org.ID, DisplayName: "Support", Description: "Answers customers.", Color: "#00FF00", Permissions: []string{"members.read", "org.read"}})
		require.NoError(t, err)
		require.NotEmpty(t, made.GetToken())
		roles, err := org.owner.ListRoles(t.Context(), &membershipv1.ListRolesRequest{OrganizationId: org.ID})
		require.NoError(t, err)
		var keys []string
		for _, role := range roles.GetRoles() {
			keys = append(keys, role.GetKey())
			require.Equal(t, role.GetKey() != "support", role.GetBuiltIn())
			require.Equal(t, role.GetKey() != "owner", role.GetAssignable())
			require.NotEmpty(t, role.GetColor())
			require.NotEmpty(t, role.GetDescription())
			require.NotEmpty(t, role.GetEtag())
		}
		require.Equal(t, []string{"owner", "admin", "member", "support"}, keys)
		require.Equal(t, []string{"#00ff00", "Answers customers."}, []string{org.role(t, "support").GetColor(), org.role(t, "support").GetDescription()})
		helper := org.join(t, "support")
		require.True(t, org.can(t, helper, "members.read"))
		require.False(t, org.can(t, helper, "products.use"))
		require.Equal(t, "Support", org.row(t, helper.ID).GetRoleDisplayName())
	})

	scenario(t, "S1-56 a role of one's own may create resources, the portal's member may not", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		org.shape(t, "Builder", "resources.read", "resources.write")
		require.True(t, org.can(t, org.join(t, "builder"), "resources.write"))
		other := create(t, over, portal)
		require.False(t, other.can(t, other.join(t, "member"), "resources.write"))
		_, err := other.owner.CreateRole(t.Context(), &membershipv1.CreateRoleRequest{OrganizationId: other.ID, DisplayName: "Builder"})
		require.Equal(t, "custom_roles", refused(t, err, errorv1.Reason_REASON_FEATURE_OFF).Metadata["policy"])
	})

	scenario(t, "RB1 RB2 a role allows what there is, what is not reserved, and what its maker holds", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		admin, member := org.join(t, "admin"), org.join(t, "member")
		make := func(who *person, permission string) error {
			_, err := who.CreateRole(t.Context(), &membershipv1.CreateRoleRequest{OrganizationId: org.ID, DisplayName: unique("r"), Permissions: []string{permission}})
			return err
		}
		before := org.revision(t, "membership")
		for _, permission := range []string{"*", "members.*", "members.fly", "org.delete", "org.transfer_ownership", "admins.manage"} {
			refused(t, make(org.owner, permission), errorv1.Reason_REASON_VALIDATION_FAILED)
		}
		require.Equal(t, "billing.manage", refused(t, make(admin, "billing.manage"), errorv1.Reason_REASON_PERMISSION_MISSING).Metadata["permission"])
		refused(t, make(member, "org.read"), errorv1.Reason_REASON_PERMISSION_MISSING)
		require.Equal(t, before, org.revision(t, "membership"))
		org.shape(t, "Billing", "billing.manage")
		_, err := admin.ChangeMemberRole(t.Context(), &membershipv1.ChangeMemberRoleRequest{OrganizationId: org.ID, AccountId: member.ID, Role: "billing"})
		require.Equal(t, "billing.manage", refused(t, err, errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE).Metadata["missing"])
		req := org.invitation(t, unique("x")+"@example.com")
		req.Role = "billing"
		_, err = admin.CreateInvitation(t.Context(), req)
		refused(t, err, errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE)
	})

	scenario(t, "RB4 RB10 built-in roles and those of others are neither changed nor deleted", func(t *testing.T, over string) {
		org, other := create(t, over, rbac), create(t, over, rbac)
		theirs := other.shape(t, "Support")
		before, theirBefore := org.revision(t, "membership"), other.revision(t, "membership")
		for role, reason := range map[string]errorv1.Reason{
			theirs.GetId(): errorv1.Reason_REASON_ROLE_NOT_FOUND, org.role(t, "owner").GetId(): errorv1.Reason_REASON_STATE_CONFLICT,
			org.role(t, "member").GetId(): errorv1.Reason_REASON_STATE_CONFLICT,
		} {
			_, err := org.owner.UpdateRole(t.Context(), &membershipv1.UpdateRoleRequest{OrganizationId: org.ID, RoleId: role, DisplayName: "Mine"})
			refused(t, err, reason)
			_, err = org.owner.DeleteRole(t.Context(), &membershipv1.DeleteRoleRequest{OrganizationId: org.ID, RoleId: role, Replacement: "admin"})
			refused(t, err, reason)
		}
		require.Equal(t, before, org.revision(t, "membership"))
		require.Equal(t, theirBefore, other.revision(t, "membership"))
	})

	scenario(t, "RB9 RB18 a role is changed for its holders at once, by somebody who holds all of it and not the role", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		role := org.shape(t, "Support", "roles.update", "roles.read", "members.read")
		holder, admin := org.join(t, "support"), org.join(t, "admin")
		update := func(who *person, etag string, permissions ...string) error {
			_, err := who.UpdateRole(t.Context(), &membershipv1.UpdateRoleRequest{
				OrganizationId: org.ID, RoleId: role.GetId(), Permissions: permissions, Etag: etag})
			return err
		}
		refused(t, update(holder, "", "roles.update"), errorv1.Reason_REASON_SELF_ACTION)
		refused(t, update(admin, "", "billing.manage"), errorv1.Reason_REASON_PERMISSION_MISSING)
		require.NoError(t, update(admin, role.GetEtag(), "members.remove"))
		require.True(t, org.can(t, holder, "members.remove"))
		require.False(t, org.can(t, holder, "members.read"))
		refused(t, update(admin, role.GetEtag(), "org.read"), errorv1.Reason_REASON_ETAG_MISMATCH)
	})

	scenario(t, "RB10 a deleted role is replaced for members, for invitations, and for whoever still comes with it", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		role := org.shape(t, "Support", "members.read")
		holder := org.join(t, "support")
		invited := unique("grace") + "@example.com"
		made := org.invite(t, invited, "support")
		org.pending(t, made.GetToken())
		remove := &membershipv1.DeleteRoleRequest{OrganizationId: org.ID, RoleId: role.GetId()}
		_, err := org.owner.DeleteRole(t.Context(), remove)
		f := refused(t, err, errorv1.Reason_REASON_ROLE_IN_USE)
		require.Equal(t, []string{"1", "1"}, []string{f.Metadata["members"], f.Metadata["invitations"]})
		remove.Replacement, remove.ValidateOnly = "member", true
		would, err := org.owner.DeleteRole(t.Context(), remove)
		require.NoError(t, err)
		require.Equal(t, []int64{1, 1}, []int64{would.GetMembers(), would.GetInvitations()})
		require.Equal(t, "support", org.row(t, holder.ID).GetRole())

		remove.ValidateOnly = false
		_, err = org.owner.DeleteRole(t.Context(), remove)
		require.NoError(t, err)
		require.Equal(t, "member", org.row(t, holder.ID).GetRole())
		require.True(t, org.can(t, holder, "products.use"))
		eventually(t, func() bool {
			found, err := org.owner.GetInvitation(t.Context(), &invitationv1.GetInvitationRequest{OrganizationId: org.ID, InvitationId: made.GetInvitation().GetId()})
			return err == nil && found.GetInvitation().GetRole() == "member" && org.pending(t, "")[0].GetRole() == "member"
		}, "the invitation follows")
		late := org.accept(t, mailLink(t, invited, "/invite/"))
		require.Equal(t, "member", org.row(t, late.ID).GetRole())
		require.Equal(t, 1, org.events(t, "membership", "role.deleted"))
		require.Equal(t, 1, org.events(t, "invitation", "invitation.role_changed"))
	})

	scenario(t, "RB25 an organization makes fifty roles and no more", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		for range 50 {
			org.shape(t, unique("role"))
		}
		_, err := org.owner.CreateRole(t.Context(), &membershipv1.CreateRoleRequest{OrganizationId: org.ID, DisplayName: "One more"})
		require.Equal(t, "50", refused(t, err, errorv1.Reason_REASON_LIMIT_REACHED).Metadata["limit"])
	})

	scenario(t, "RB25 an organization makes two hundred groups and no more", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		for range 200 {
			org.group(t, unique("group"))
		}
		_, err := org.owner.CreateGroup(t.Context(), &membershipv1.CreateGroupRequest{OrganizationId: org.ID, DisplayName: "One more"})
		require.Equal(t, "200", refused(t, err, errorv1.Reason_REASON_LIMIT_REACHED).Metadata["maximum"])
	})

	scenario(t, "S1-26 the portal's matrix of nine rows", func(t *testing.T, over string) {
		org := create(t, over, portal)
		holders := map[string]*person{"owner": org.owner, "admin": org.join(t, "admin"), "member": org.join(t, "member")}
		for _, row := range []struct{ what, permissions, held string }{
			{"delete organization", "org.delete", "owner"},
			{"manage owner", "org.transfer_ownership", "owner"},
			{"manage admins", "admins.manage", "owner"},
			{"manage members", "members.remove invitations.create", "owner admin"},
			{"create OAuth clients", "oauth_clients.manage", "owner admin"},
			{"create API keys", "api_keys.create_own", "owner admin"},
			{"create webhooks", "webhooks.manage", "owner admin"},
			{"view audit logs", "audit.read", "owner admin"},
			{"use products", "products.use", "owner admin member"},
		} {
			for role, who := range holders {
				for permission := range strings.FieldsSeq(row.permissions) {
					require.Equal(t, strings.Contains(row.held, role), org.can(t, who, permission), "%s: %s", row.what, role)
				}
			}
		}
	})

	scenario(t, "S1-49 S1-50 S1-54 admins change members' roles, and only the owner those of admins", func(t *testing.T, over string) {
		org := create(t, over, portal)
		admin, second, member := org.join(t, "admin"), org.join(t, "admin"), org.join(t, "member")
		change := func(who, whom *person, role string) error {
			_, err := who.ChangeMemberRole(t.Context(), &membershipv1.ChangeMemberRoleRequest{OrganizationId: org.ID, AccountId: whom.ID, Role: role})
			return err
		}
		f := refused(t, change(admin, second, "member"), errorv1.Reason_REASON_PERMISSION_MISSING)
		require.Contains(t, f.Message, "Contact the organization owner")
		f = refused(t, change(admin, member, "admin"), errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE)
		require.Contains(t, f.Message, "Contact the organization owner")
		require.NoError(t, change(org.owner, second, "member"))
		require.NoError(t, change(org.owner, member, "admin"))

		support := create(t, over, rbac) // the portal has one role below admin: to change between two there must be another
		support.shape(t, "Support", "org.read")
		manager, plain := support.join(t, "admin"), support.join(t, "member")
		_, err := manager.ChangeMemberRole(t.Context(), &membershipv1.ChangeMemberRoleRequest{OrganizationId: support.ID, AccountId: plain.ID, Role: "support"})
		require.NoError(t, err)
	})
}
