package org_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

func TestUseKey(t *testing.T) {
	t.Parallel()
	keyed := func(scopes ...string) company {
		c := open(org.Pipeline)
		c.UseKey(scopes)
		return c
	}

	t.Run("RB15 A key gives what it is for of what its owner holds", func(t *testing.T) {
		t.Parallel()
		c := keyed(org.RemoveMembers, org.ReadMembers, "app:no.such")
		admin, err := c.Admit(c.another("admin"))
		require.NoError(t, err)
		require.Equal(t, org.Set{org.ReadMembers, org.RemoveMembers}, admin.Permissions)
		developer, err := c.Admit(c.another("developer"))
		require.NoError(t, err)
		require.Equal(t, org.Set{org.ReadMembers}, developer.Permissions)
		require.Equal(t, org.Set{org.ReadMembers}, developer.In(id.NewProject()).Permissions)
	})

	t.Run("RB15 A key is worth nothing where its owner may have none", func(t *testing.T) {
		t.Parallel()
		c := keyed(org.ReadMembers)
		viewer := c.another("viewer")
		_, err := c.Admit(viewer)
		require.Equal(t, org.CreateOwnKeys, reason(t, err, errorv1.Reason_REASON_PERMISSION_MISSING).Metadata["permission"])
		require.Equal(t, org.NotPermitted, c.DecideSelf(viewer, org.ReadMembers, id.Project{}).Decision)
		require.Empty(t, c.Keyed(viewer, org.Set{org.ReadMembers}))
		reason(t, c.MayAsk(viewer), errorv1.Reason_REASON_PERMISSION_MISSING)

		c.Policy.GatedPermissions = org.Set{org.CreateOwnKeys}
		_, err = c.Admit(c.another("developer"))
		reason(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
		_, err = c.Admit(org.Member{})
		reason(t, err, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
	})

	t.Run("RB15 What it gives to others it must be for", func(t *testing.T) {
		t.Parallel()
		c := keyed(org.Invite, org.AssignRole)
		admin, err := c.Admit(c.another("admin"))
		require.NoError(t, err)
		_, err = admin.Give("viewer")
		reason(t, err, errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE)
		whole := open(org.Pipeline)
		role, _ := whole.Roles.ByKey("viewer")
		c = keyed(append(org.Set{org.Invite}, role.Permissions...)...)
		admin, err = c.Admit(c.another("admin"))
		require.NoError(t, err)
		_, err = admin.Give("viewer")
		require.NoError(t, err)
	})

	t.Run("RB15 About oneself it is asked by the key, about others as ever", func(t *testing.T) {
		t.Parallel()
		c := keyed(org.ReadMembers)
		m := c.another("developer")
		require.Equal(t, org.Allowed, c.DecideSelf(m, org.ReadMembers, id.Project{}).Decision)
		require.Equal(t, org.NotPermitted, c.DecideSelf(m, org.ReadOrganization, id.Project{}).Decision)
		require.Equal(t, org.Allowed, c.Decide(m, org.ReadOrganization, id.Project{}).Decision)
	})

	t.Run("Without a key nothing is left out", func(t *testing.T) {
		t.Parallel()
		c := keyed()
		admin, err := c.Admit(c.another("admin"))
		require.NoError(t, err)
		require.Equal(t, c.Permissions(c.another("admin"), id.Project{}), admin.Permissions)
		require.Equal(t, org.Allowed, c.DecideSelf(c.another("viewer"), org.ReadOrganization, id.Project{}).Decision)
	})

	t.Run("RB2 RB15 What a change of the policy gives to anybody it must be for", func(t *testing.T) {
		t.Parallel()
		c := open(org.Pipeline)
		gated := c.Policy
		gated.GatedPermissions = org.Set{"products.use"}
		lifted, joins, labelled, alone, flat := c.Policy, c.Policy, gated, gated, org.Flat.Policy()
		joins.AutoJoin = true
		labelled.MemberLabel = "colleague"
		alone.AdminsManagedBy = org.ByOwner
		for name, change := range map[string]struct {
			to      org.Policy
			preset  org.Preset
			from    org.Policy
			missing string
		}{
			"more for a role":         {flat, org.Flat, gated, "admins.manage"},
			"no gate any more":        {lifted, org.Pipeline, gated, "products.use"},
			"a role for who joins":    {joins, org.Pipeline, lifted, "groups.read"},
			"nothing for anybody":     {labelled, org.Pipeline, gated, ""},
			"less than there was":     {alone, org.Pipeline, gated, ""},
			"another gate than first": {gated, org.Pipeline, lifted, ""},
		} {
			c := open(org.Pipeline)
			c.Policy = change.from
			want := org.Reform{Policy: change.to, Preset: change.preset, Remap: map[string]string{}}
			if change.preset == org.Flat {
				want.Remap = map[string]string{"owner": "member", "admin": "member", "developer": "member", "viewer": "member"}
			}
			_, err := c.reform(t, c.holding(), want)
			require.NoError(t, err, "whoever is here themselves: %s", name)
			c.UseKey([]string{org.UpdatePolicy, org.AppointAdmins, org.ManageAutoJoin})
			_, err = c.reform(t, c.holding(), want)
			if change.missing == "" {
				require.NoError(t, err, name)
				continue
			}
			require.Equal(t, change.missing, reason(t, err, errorv1.Reason_REASON_PERMISSION_MISSING).Metadata["permission"], name)
		}
	})
}
