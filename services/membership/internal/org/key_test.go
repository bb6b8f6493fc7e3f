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
		viewer, err := c.Admit(c.another("viewer"))
		require.NoError(t, err)
		require.Equal(t, org.Set{org.ReadMembers}, viewer.Permissions)
		require.Equal(t, org.Set{org.ReadMembers}, viewer.In(id.NewProject()).Permissions)
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
		m := c.another("viewer")
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
}
