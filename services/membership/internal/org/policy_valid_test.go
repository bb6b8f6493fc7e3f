package org_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/membership/internal/org"
)

func TestValidatePolicy(t *testing.T) {
	t.Parallel()

	t.Run("Every preset fits its own roles", func(t *testing.T) {
		t.Parallel()
		for _, preset := range presets {
			require.NoError(t, preset.Policy().Validate(preset.Roles(), org.Registry{}), preset)
		}
	})

	t.Run("Combinations that are refused, by the field that is told", func(t *testing.T) {
		t.Parallel()
		for _, row := range []struct {
			preset org.Preset
			change func(*org.Policy)
			field  string // empty: it is fine
		}{
			{org.RBAC, func(p *org.Policy) { p.Ownership = "" }, "ownership"},
			{org.RBAC, func(p *org.Policy) { p.Ownership = org.Multiple }, ""},
			{org.RBAC, func(p *org.Policy) { p.Ownership = org.None }, "admin_appointment"},
			{org.RBAC, func(p *org.Policy) { p.AdminsManagedBy = "" }, "admins_managed_by"},
			{org.Flat, func(p *org.Policy) { p.AdminAppointment = org.ByOwner }, "admin_appointment"},
			{org.RBAC, func(p *org.Policy) { p.CreatorRole = "nobody" }, "creator_role"},
			{org.RBAC, func(p *org.Policy) { p.CreatorRole = "admin" }, "creator_role"},
			{org.RBAC, func(p *org.Policy) { p.DefaultInviteRole = "admin" }, ""},
			{org.RBAC, func(p *org.Policy) { p.DefaultInviteRole = "owner" }, "default_invite_role"},
			{org.RBAC, func(p *org.Policy) { p.DefaultInviteRole = "viewer" }, "default_invite_role"},
			{org.RBAC, func(p *org.Policy) { p.DefaultJoinRole = "owner" }, "default_join_role"},
			{org.RBAC, func(p *org.Policy) { p.AutoJoin = true }, ""},
			{org.RBAC, func(p *org.Policy) { p.AutoJoin, p.DefaultJoinRole = true, "admin" }, "default_join_role"},
			{org.RBAC, func(p *org.Policy) { p.AutoJoin, p.DefaultJoinRole = true, "" }, "default_join_role"},
			{org.Pipeline, func(p *org.Policy) { p.AutoJoin, p.DefaultJoinRole = true, "developer" }, "default_join_role"},
			{org.Flat, func(p *org.Policy) { p.AutoJoin, p.DefaultJoinRole = true, "member" }, "auto_join"},
			{org.RBAC, func(p *org.Policy) { p.InviteTTL = time.Hour }, ""},
			{org.RBAC, func(p *org.Policy) { p.InviteTTL = time.Hour - 1 }, "invite_ttl"},
			{org.RBAC, func(p *org.Policy) { p.InviteTTL = 30 * 24 * time.Hour }, ""},
			{org.RBAC, func(p *org.Policy) { p.InviteTTL = 30*24*time.Hour + 1 }, "invite_ttl"},
			{org.RBAC, func(p *org.Policy) { p.Email = org.Off }, "email"},
			{org.RBAC, func(p *org.Policy) { p.Email, p.Username, p.LinkInvites = org.Optional, org.Required, true }, ""},
			{org.RBAC, func(p *org.Policy) { p.Email, p.Username = org.Optional, org.Required }, "link_invites"},
			{org.RBAC, func(p *org.Policy) { p.Email, p.LinkInvites = org.Optional, true }, "username"},
			{org.RBAC, func(p *org.Policy) { p.ProjectGuests = true }, "project_guests"},
			{org.RBAC, func(p *org.Policy) { p.GatedPermissions = org.Set{"products.use"} }, "gated_permissions"},
			{org.Pipeline, func(p *org.Policy) { p.GatedPermissions = org.Set{"products.use"} }, ""},
			{org.Pipeline, func(p *org.Policy) { p.GatedPermissions = org.Set{"products.fly"} }, "gated_permissions"},
			{org.Pipeline, func(p *org.Policy) { p.GatedPermissions = org.Set{"members.remove", "resources.write"} }, ""},
			{org.Pipeline, func(p *org.Policy) { p.GatedPermissions = org.Set{"policy.update"} }, "gated_permissions"},
			{org.Pipeline, func(p *org.Policy) { p.GatedPermissions = org.Set{"policy.read"} }, "gated_permissions"},
			{org.Pipeline, func(p *org.Policy) { p.GatedPermissions = org.Set{"groups.members.manage"} }, "gated_permissions"},
			{org.Pipeline, func(p *org.Policy) { p.GatedPermissions = org.Set{"roles.update"} }, "gated_permissions"},
			{org.Pipeline, func(p *org.Policy) { p.GatedPermissions = org.Set{"org.delete"} }, "gated_permissions"},
			{org.RBAC, func(p *org.Policy) { p.MemberLabel = "" }, "member_label"},
			{org.RBAC, func(p *org.Policy) { p.DisabledLabel = strings.Repeat("x", 51) }, "disabled_label"},
			{org.RBAC, func(p *org.Policy) { p.ExistingUserAdd = "" }, "existing_user_add"},
			{org.RBAC, func(p *org.Policy) { p.PasswordReset = "" }, "password_reset"},
			{org.RBAC, func(p *org.Policy) { p.PeopleLayout = "" }, "people_layout"},
		} {
			policy := row.preset.Policy()
			row.change(&policy)
			err := policy.Validate(row.preset.Roles(), org.Registry{})
			if row.field == "" {
				require.NoError(t, err)
				continue
			}
			require.Equal(t, "policy."+row.field, reason(t, err, errorv1.Reason_REASON_VALIDATION_FAILED).Fields[0].Name)
		}
	})
}
