package org_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

func TestServiceAccount(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	as := func(t *testing.T, c company, role string) org.Actor {
		actor, err := c.Admit(c.another(role))
		require.NoError(t, err)
		return actor
	}

	t.Run("RB15 It is for what its creator holds, and for nothing that lets people in or widens what they may do", func(t *testing.T) {
		t.Parallel()
		c := open(org.Pipeline)
		made, err := as(t, c, "owner").CreateServiceAccount("Deploy", []string{org.ReadMembers, org.UpdateOrganization}, 99)
		require.NoError(t, err)
		require.Equal(t, org.Set{org.ReadMembers, org.UpdateOrganization}, made.Permissions)
		for _, p := range org.Catalogue() {
			_, err := as(t, c, "owner").CreateServiceAccount("Deploy", []string{p.Name}, 0)
			if p.Dangerous || p.Reserved {
				require.Equal(t, "permissions", reason(t, err, errorv1.Reason_REASON_VALIDATION_FAILED).Fields[0].Name, p.Name)
			}
		}
		_, err = as(t, c, "owner").CreateServiceAccount("Deploy", []string{org.ReadMembers}, 100)
		reason(t, err, errorv1.Reason_REASON_LIMIT_REACHED)
		_, err = as(t, c, "developer").CreateServiceAccount("Deploy", []string{org.ReadMembers}, 0)
		reason(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
	})

	t.Run("RB15 Who changes it gives no more than they hold, and enabling gives all that it is for", func(t *testing.T) {
		t.Parallel()
		c := open(org.Pipeline)
		made, err := as(t, c, "owner").CreateServiceAccount("Deploy", []string{org.ReadMembers, org.ReadAudit}, 0)
		require.NoError(t, err)
		clerk := as(t, c, "owner")
		clerk.Permissions = org.SetOf([]string{org.ManageServiceAccounts, org.ReadMembers})
		change := func(before org.ServiceAccount, disabled *bool, permissions ...string) (org.ServiceAccount, org.Set, error) {
			change := org.ServiceAccountChange{Disabled: disabled}
			if len(permissions) > 0 {
				change.Permissions = &permissions
			}
			return clerk.ChangeServiceAccount(before, change)
		}
		_, given, err := change(made, nil, org.ReadMembers)
		require.NoError(t, err)
		require.Empty(t, given)
		_, _, err = change(made, nil, org.ReadMembers, org.ReadAudit, org.ReadOrganization)
		require.Equal(t, org.ReadOrganization, reason(t, err, errorv1.Reason_REASON_PERMISSION_MISSING).Metadata["missing"])
		stopped, given, err := change(made, new(true))
		require.NoError(t, err)
		require.True(t, stopped.Disabled)
		require.Empty(t, given)
		_, _, err = change(stopped, new(false))
		require.Equal(t, org.ReadAudit, reason(t, err, errorv1.Reason_REASON_PERMISSION_MISSING).Metadata["missing"])
		goes, given, err := change(stopped, new(false), org.ReadMembers)
		require.NoError(t, err)
		require.False(t, goes.Disabled)
		require.Equal(t, org.Set{org.ReadMembers}, given)
		for _, never := range []string{org.DeleteOrganization, org.ManageServiceAccounts, "none.such"} {
			_, _, err = change(made, nil, never)
			require.Contains(t, reason(t, err, errorv1.Reason_REASON_VALIDATION_FAILED).Fields[0].Reason, never)
		}
		_, _, err = clerk.ChangeServiceAccount(made, org.ServiceAccountChange{Permissions: new([]string{})})
		reason(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		_, _, err = as(t, c, "developer").ChangeServiceAccount(made, org.ServiceAccountChange{Disabled: new(true)})
		reason(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
	})

	t.Run("RB15 What is registered it may be for, unless that is dangerous", func(t *testing.T) {
		t.Parallel()
		c := open(org.Pipeline)
		registry, _, err := c.Registry.Replace([]org.Registered{
			{Name: "app:cloud.read", DisplayName: "Read", Description: "Read."}, {Name: "app:cloud.rule", DisplayName: "Rule", Description: "Rule.", Dangerous: true}})
		require.NoError(t, err)
		c.Registry = registry
		for i := range c.Roles {
			c.Roles[i].Permissions = registry.Of(c.Roles[i])
		}
		owner := as(t, c, "owner")
		made, err := owner.CreateServiceAccount("Deploy", []string{"app:cloud.read"}, 0)
		require.NoError(t, err)
		_, err = owner.CreateServiceAccount("Deploy", []string{"app:cloud.rule"}, 0)
		reason(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		require.Equal(t, org.Allowed, c.Decide(made.Acting(registry), "app:cloud.read", id.Project{}).Decision)
		retired, _, err := registry.Replace(nil)
		require.NoError(t, err)
		require.Equal(t, org.NotPermitted, c.Decide(made.Acting(retired), "app:cloud.read", id.Project{}).Decision)
	})

	t.Run("RB15 A key is for no more than the service account is for and its creator holds", func(t *testing.T) {
		t.Parallel()
		c := open(org.Pipeline)
		owner := as(t, c, "owner")
		of := org.ServiceAccount{ID: id.NewServiceAccount(), Permissions: org.Set{org.ReadAudit, org.ReadMembers}}
		key, err := owner.CreateKey(of, "Blue", nil, time.Time{}, now, 19)
		require.NoError(t, err)
		require.Equal(t, of.Permissions, key.Scopes)
		require.Equal(t, now.Add(90*24*time.Hour), key.ExpireTime)
		key, err = owner.CreateKey(of, "Blue", []string{org.ReadMembers}, now.Add(time.Hour), now, 0)
		require.NoError(t, err)
		require.Equal(t, org.Set{org.ReadMembers}, key.Scopes)
		for field, create := range map[string]func() error{
			"scopes": func() error {
				_, err := owner.CreateKey(of, "Blue", []string{org.ReadRoles}, time.Time{}, now, 0)
				return err
			},
			"expire_time":  func() error { _, err := owner.CreateKey(of, "Blue", nil, now, now, 0); return err },
			"display_name": func() error { _, err := owner.CreateKey(of, "", nil, time.Time{}, now, 0); return err },
		} {
			require.Equal(t, field, reason(t, create(), errorv1.Reason_REASON_VALIDATION_FAILED).Fields[0].Name)
		}
		_, err = owner.CreateKey(of, "Blue", nil, now.Add(366*24*time.Hour), now, 0)
		reason(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		_, err = owner.CreateKey(of, "Blue", nil, time.Time{}, now, 20)
		reason(t, err, errorv1.Reason_REASON_LIMIT_REACHED)

		narrow := c
		narrow.UseKey([]string{org.ManageServiceAccounts, org.ReadMembers})
		_, err = as(t, narrow, "admin").CreateKey(of, "Blue", nil, time.Time{}, now, 0)
		require.Equal(t, org.ReadAudit, reason(t, err, errorv1.Reason_REASON_PERMISSION_MISSING).Metadata["missing"])
		_, err = as(t, narrow, "admin").CreateServiceAccount("Deploy", []string{org.ReadAudit}, 0)
		reason(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
	})

	t.Run("RB15 It may what it and its key are for, needs no second factor, and passes no gate", func(t *testing.T) {
		t.Parallel()
		c := open(org.Pipeline)
		c.UseKey([]string{org.ReadMembers, org.ReadRoles})
		c.Policy.MfaRequired = true
		program := org.ServiceAccount{ID: id.NewServiceAccount(), Permissions: org.Set{org.ReadMembers, org.UpdateOrganization}}.Acting(c.Registry)
		actor, err := c.Admit(program)
		require.NoError(t, err)
		require.Equal(t, org.Set{org.ReadMembers}, actor.Permissions)
		require.Equal(t, org.Set{org.ReadMembers}, actor.In(id.NewProject()).Permissions)
		require.Equal(t, org.Allowed, c.DecideSelf(program, org.ReadMembers, id.Project{}).Decision)
		require.Equal(t, org.NotPermitted, c.DecideSelf(program, org.UpdateOrganization, id.Project{}).Decision)
		require.Equal(t, org.ByServiceAccount, c.Sources(program, org.ReadMembers, id.Project{})[0].Source)

		c.Policy.Groups, c.Policy.GatedPermissions = true, org.Set{org.ReadMembers}
		require.Equal(t, org.GateClosed, c.Decide(program, org.ReadMembers, id.Project{}).Decision)
		actor, err = c.Admit(program)
		require.NoError(t, err)
		require.Empty(t, actor.Permissions)
	})
}
