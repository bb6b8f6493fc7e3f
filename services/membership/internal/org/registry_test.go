package org_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// registry is what a product registers.
func registry(t *testing.T, file ...org.Registered) org.Registry {
	t.Helper()
	after, _, err := org.Registry{}.Replace(file)
	require.NoError(t, err)
	return after
}

func refusedAs(t *testing.T, err error, reason errorv1.Reason) *fault.Fault {
	t.Helper()
	require.Equal(t, reason, fault.ReasonOf(err))
	return fault.From(err)
}

func registered(name string, heldBy ...string) org.Registered {
	return org.Registered{Name: name, DisplayName: "Name", HeldBy: heldBy}
}

func dangerous(name string) org.Registered {
	p := registered(name)
	p.Dangerous = true
	return p
}

func TestReplace(t *testing.T) {
	t.Parallel()

	t.Run("RB1 Names are app:<service>.<verb>, and nothing else", func(t *testing.T) {
		t.Parallel()
		for _, name := range []string{"app:a.b", "app:billing.refund", "app:crm2.read_all"} {
			_, _, err := org.Registry{}.Replace([]org.Registered{registered(name)})
			require.NoError(t, err, name)
		}
		for _, name := range []string{"", "org.read", "app:", "app:billing", "app:.refund", "app:billing.", "app:billing.refund.all", "app:Billing.refund",
			"app:billing.*", "app:billing.re-fund", "app:2.x", "app:b.2", " app:a.b", "app:a.b\n", "APP:a.b", "app:a.b;", "app:ä.b", "app:a." + strings.Repeat("b", 95)} {
			_, _, err := org.Registry{}.Replace([]org.Registered{registered(name)})
			f := refusedAs(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
			require.Equal(t, "permissions[0].name", f.Fields[0].Name, name)
		}
	})

	t.Run("RB14 What is dangerous is in no built-in role below admin, and roles are those that there are", func(t *testing.T) {
		t.Parallel()
		bad := dangerous("app:a.b")
		bad.HeldBy = []string{"member"}
		for _, p := range []org.Registered{bad, registered("app:a.b", "owner"), registered("app:a.b", "admin"), registered("app:a.b", "x"), {Name: "app:a.b"}} {
			_, _, err := org.Registry{}.Replace([]org.Registered{p})
			refusedAs(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		}
		_, _, err := org.Registry{}.Replace([]org.Registered{registered("app:a.b"), registered("app:a.b")})
		refusedAs(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
	})

	t.Run("A file says all: what it lacks is retired, what comes back is as new, and the same again changes nothing", func(t *testing.T) {
		t.Parallel()
		one, change, err := org.Registry{}.Replace([]org.Registered{registered("app:b.x", "viewer", "member", "viewer"), registered("app:a.x")})
		require.NoError(t, err)
		require.Equal(t, org.Change{Added: []string{"app:a.x", "app:b.x"}}, change)
		require.Equal(t, []string{"member", "viewer"}, one.Permissions[1].HeldBy)
		_, change, err = one.Replace([]org.Registered{registered("app:a.x"), registered("app:b.x", "member", "viewer")})
		require.NoError(t, err)
		require.True(t, change.Empty())
		two, change, err := one.Replace([]org.Registered{registered("app:b.x"), registered("app:c.x")})
		require.NoError(t, err)
		require.Equal(t, org.Change{Added: []string{"app:c.x"}, Changed: []string{"app:b.x"}, Retired: []string{"app:a.x"}}, change)
		require.NoError(t, two.Known("app:a.x"), "it is retired, not unknown")
		refusedAs(t, two.Known("app:d.x"), errorv1.Reason_REASON_VALIDATION_FAILED)
		_, change, err = two.Replace([]org.Registered{registered("app:a.x"), registered("app:b.x"), registered("app:c.x")})
		require.NoError(t, err)
		require.Equal(t, org.Change{Added: []string{"app:a.x"}}, change)
		none, change, err := two.Replace(nil)
		require.NoError(t, err)
		require.Equal(t, org.Change{Retired: []string{"app:b.x", "app:c.x"}}, change)
		require.Len(t, none.Catalogue(), len(org.Catalogue()))
		_, change, err = none.Replace(nil)
		require.NoError(t, err)
		require.True(t, change.Empty())
		var many []org.Registered
		for i := range 498 {
			many = append(many, registered(fmt.Sprint("app:many.x", i)))
		}
		_, _, err = none.Replace(many)
		refusedAs(t, err, errorv1.Reason_REASON_LIMIT_REACHED)
	})
}

func TestRegistryOf(t *testing.T) {
	t.Parallel()
	file := registry(t, registered("app:crm.read", "developer", "member", "viewer"), registered("app:crm.write", "developer", "member"), dangerous("app:crm.wipe"))

	t.Run("RB2 Owner and admin hold all, others what is registered for them, and the one role of a flat organization all", func(t *testing.T) {
		t.Parallel()
		for preset, want := range map[org.Preset]map[string]string{
			org.Pipeline: {"owner": "read wipe write", "admin": "read wipe write", "developer": "read write", "viewer": "read"},
			org.Portal:   {"owner": "read wipe write", "admin": "read wipe write", "member": "read write"},
			org.RBAC:     {"owner": "read wipe write", "admin": "read wipe write", "member": "read write"},
			org.Flat:     {"member": "read wipe write"},
		} {
			for _, role := range preset.Roles() {
				with := file.Of(role)
				var verbs []string
				for _, name := range with.Without(role.Permissions) {
					verbs = append(verbs, strings.TrimPrefix(name, "app:crm."))
				}
				require.Equal(t, want[role.Key], strings.Join(verbs, " "), "%s of %s", role.Key, preset)
				require.Empty(t, role.Permissions.Without(with))
				require.IsNonDecreasing(t, []string(with))
				require.Equal(t, with, file.Of(org.Role{Key: role.Key, BuiltIn: true, Permissions: with}), "what is there already stays the same")
			}
		}
	})

	t.Run("A role of one's own has what it was given, as long as that is not retired", func(t *testing.T) {
		t.Parallel()
		role := org.Role{Key: "support", Permissions: org.Set{"api_keys.read", "app:crm.wipe", "app:crm.write", "audit.read"}}
		require.Equal(t, role.Permissions, file.Of(role))
		after, _, err := file.Replace([]org.Registered{registered("app:crm.write")})
		require.NoError(t, err)
		require.Equal(t, org.Set{"api_keys.read", "app:crm.write", "audit.read"}, after.Of(role))
		require.Equal(t, org.Set{"api_keys.read", "audit.read"}, org.Registry{}.Of(role), "nothing is registered")
		again, _, err := after.Replace([]org.Registered{registered("app:crm.write"), dangerous("app:crm.wipe")})
		require.NoError(t, err)
		require.Equal(t, role.Permissions, again.Of(role), "what comes back means what it meant")
		require.NotContains(t, after.Of(org.Pipeline.Roles()[0]), "app:crm.wipe", "not even the owner's")
	})
}

func TestRegisteredInRules(t *testing.T) {
	t.Parallel()
	file := registry(t, registered("app:crm.read", "member", "developer", "viewer"), registered("app:crm.write"), dangerous("app:crm.wipe"), registered("app:crm.gone"))
	file, _, err := file.Replace([]org.Registered{registered("app:crm.read", "member", "developer", "viewer"), registered("app:crm.write"), dangerous("app:crm.wipe")})
	require.NoError(t, err)
	with := func(preset org.Preset) company {
		c := open(preset)
		c.Registry = file
		for i, role := range c.Roles {
			c.Roles[i].Permissions = file.Of(role)
		}
		return c
	}

	t.Run("RB1 A role is made of what is registered, not of what is not, nor of what is retired", func(t *testing.T) {
		t.Parallel()
		c := with(org.RBAC)
		made, err := c.actor(t, "owner").CreateRole(org.Words{DisplayName: "Support", Permissions: []string{"app:crm.wipe", "app:crm.read", "org.read"}}, "", false)
		require.NoError(t, err)
		require.Equal(t, org.Set{"app:crm.read", "app:crm.wipe", "org.read"}, made.Permissions)
		for _, name := range []string{"app:crm.gone", "app:crm.fly", "app:crm.*"} {
			_, err := c.actor(t, "owner").CreateRole(org.Words{DisplayName: "Support", Permissions: []string{name}}, "", false)
			refusedAs(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		}
	})

	t.Run("RB2 Nobody gives what they do not hold", func(t *testing.T) {
		t.Parallel()
		c := with(org.RBAC)
		maker := org.Role{ID: id.NewRole(), Key: "maker", Permissions: org.Set{"app:crm.read", "members.read", "roles.create", "roles.read"}}
		c.Roles = append(c.Roles, maker)
		m := c.another("member")
		m.Role = maker.ID
		_, err := c.admits(t, m).CreateRole(org.Words{DisplayName: "Support", Permissions: []string{"app:crm.read", "app:crm.wipe"}}, "", false)
		f := refusedAs(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
		require.Equal(t, "app:crm.wipe", f.Metadata["missing"])
		_, err = c.admits(t, m).CreateRole(org.Words{DisplayName: "Support", Permissions: []string{"app:crm.read"}}, "", false)
		require.NoError(t, err)
	})

	t.Run("RB14 Who joins by themselves gets what is registered for members, and nothing beyond", func(t *testing.T) {
		t.Parallel()
		c := with(org.Portal)
		_, err := c.JoinRole()
		require.NoError(t, err)
		for _, extra := range []string{"app:crm.wipe", "app:crm.write"} {
			c := with(org.Portal)
			for i, role := range c.Roles {
				if role.Key == "member" {
					c.Roles[i].Permissions = role.Permissions.Union(org.Set{extra})
				}
			}
			_, err := c.JoinRole()
			f := refusedAs(t, err, errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE)
			require.Equal(t, extra, f.Metadata["missing"])
		}
	})

	t.Run("C23 A group opens what is registered", func(t *testing.T) {
		t.Parallel()
		c := with(org.Pipeline)
		for name, reason := range map[string]errorv1.Reason{
			"app:crm.read": errorv1.Reason_REASON_UNSPECIFIED, "app:crm.fly": errorv1.Reason_REASON_VALIDATION_FAILED, "app:crm.gone": errorv1.Reason_REASON_PERMISSION_MISSING,
		} {
			opens, err := org.Opening([]string{name})
			require.NoError(t, err)
			_, err = c.actor(t, "owner").AddGroup(nil, org.Group{ID: id.NewGroup(), GroupWords: org.GroupWords{DisplayName: "CRM", Opens: opens}})
			if reason == errorv1.Reason_REASON_UNSPECIFIED {
				require.NoError(t, err)
			} else {
				refusedAs(t, err, reason)
			}
		}
	})
}
