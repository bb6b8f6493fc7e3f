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

const (
	ok      = errorv1.Reason_REASON_UNSPECIFIED
	lacks   = errorv1.Reason_REASON_PERMISSION_MISSING
	invalid = errorv1.Reason_REASON_VALIDATION_FAILED
)

// making gives the organization another role, and a member who has it.
func (c *company) making(key string, permissions ...string) org.Role {
	role := org.Role{ID: id.NewRole(), Key: key, DisplayName: key, Permissions: org.Set(permissions), Version: 1}
	c.Roles = append(c.Roles, role)
	m := c.another("member")
	m.Role = role.ID
	c.members[key] = m
	return role
}

func TestCreateRole(t *testing.T) {
	t.Parallel()

	t.Run("RB1 RB2 What a role may allow", func(t *testing.T) {
		t.Parallel()
		c := open(org.RBAC)
		for _, row := range []struct {
			actor       string
			permissions []string
			want        errorv1.Reason
		}{
			{"owner", nil, ok},
			{"owner", []string{"billing.manage", "members.remove"}, ok},
			{"admin", []string{"members.remove"}, ok},
			{"admin", []string{"billing.manage"}, lacks},
			{"member", []string{"org.read"}, lacks},
			{"owner", []string{"org.delete"}, invalid},
			{"owner", []string{"admins.manage"}, invalid},
			{"owner", []string{"policy.update"}, invalid},
			{"owner", []string{"members.*"}, invalid},
			{"owner", []string{"*"}, invalid},
			{"owner", []string{"members.fly"}, invalid},
			{"owner", []string{""}, invalid},
		} {
			_, err := c.actor(t, row.actor).CreateRole(org.Words{DisplayName: "Support", Permissions: row.permissions}, "", false)
			require.Equal(t, row.want, fault.ReasonOf(err), "%+v", row)
		}
		for _, p := range org.Catalogue() {
			_, err := c.actor(t, "owner").CreateRole(org.Words{DisplayName: "Support", Permissions: []string{p.Name}}, "", false)
			require.Equal(t, p.Reserved, err != nil, p.Name)
		}
	})

	t.Run("What a role may be called", func(t *testing.T) {
		t.Parallel()
		c := open(org.RBAC)
		c.making("Billing")
		for name, want := range map[string]errorv1.Reason{
			"Support": ok, "  Support ": ok, strings.Repeat("é", 50): ok, "サポート": ok,
			strings.Repeat("x", 51): invalid, "": invalid, " ": invalid, "a\nb": invalid, "a\u202eb": invalid,
			"Owner": invalid, "ADMIN": invalid, "member": invalid, "Viewer": invalid, "developer": invalid,
			"billing": errorv1.Reason_REASON_NAME_TAKEN, "BILLING": errorv1.Reason_REASON_NAME_TAKEN,
		} {
			_, err := c.actor(t, "owner").CreateRole(org.Words{DisplayName: name}, "", false)
			require.Equal(t, want, fault.ReasonOf(err), "%q", name)
		}
		c.making("Ré")
		_, err := c.actor(t, "owner").CreateRole(org.Words{DisplayName: "RE\u0301"}, "", false)
		reason(t, err, errorv1.Reason_REASON_NAME_TAKEN)
		_, err = c.actor(t, "owner").CreateRole(org.Words{DisplayName: "Support", Description: strings.Repeat("x", 201)}, "", false)
		reason(t, err, invalid)
		_, err = c.actor(t, "owner").CreateRole(org.Words{DisplayName: "Support"}, "admin", false)
		reason(t, err, invalid)
	})

	t.Run("Keys follow from names, and never come again", func(t *testing.T) {
		t.Parallel()
		for name, want := range map[string]string{
			"Customer Support": "customer-support", "  Tier--2 / EU ": "tier-2-eu", "2nd line": "role-2nd-line", "サポート": "role", "Own er": "own-er",
			"owner!": "role-owner", "Cafe\u0301": "caf",
		} {
			require.Equal(t, want, org.KeyFor(name), "%q", name)
		}
		c := open(org.RBAC)
		c.making("support")
		owner := c.actor(t, "owner")
		for _, gone := range []bool{false, true} {
			role, err := owner.CreateRole(org.Words{DisplayName: "Support!"}, "", gone)
			require.NoError(t, err)
			require.Regexp(t, `^support-[0-9a-z]{8}$`, role.Key)
		}
		_, err := owner.CreateRole(org.Words{DisplayName: "Other"}, "support", false)
		reason(t, err, errorv1.Reason_REASON_NAME_TAKEN)
		_, err = owner.CreateRole(org.Words{DisplayName: "Other"}, "other", true)
		reason(t, err, errorv1.Reason_REASON_NAME_TAKEN)
		role, err := owner.CreateRole(org.Words{DisplayName: "Other"}, "mine", false)
		require.NoError(t, err)
		require.Equal(t, "mine", role.Key)
	})

	t.Run("RB25 Fifty are enough", func(t *testing.T) {
		t.Parallel()
		c := open(org.RBAC)
		for i := range 50 {
			_, err := c.actor(t, "owner").CreateRole(org.Words{DisplayName: "Support"}, "", false)
			require.NoError(t, err)
			c.making(fmt.Sprint("role ", i))
		}
		_, err := c.actor(t, "owner").CreateRole(org.Words{DisplayName: "Support"}, "", false)
		require.Equal(t, "50", reason(t, err, errorv1.Reason_REASON_LIMIT_REACHED).Metadata["limit"])
	})
}

func TestEditRole(t *testing.T) {
	t.Parallel()
	c := open(org.RBAC)
	plain, billing := c.making("plain", "org.read"), c.making("billing", "billing.manage")
	helper := c.making("helper", "members.reset_mfa", "org.read", "roles.delete", "roles.update")

	c.members["grouped"] = c.with("admin", org.Grant{Source: org.ByGroup, Role: "helper"})

	t.Run("RB9 RB10 Who edits what", func(t *testing.T) {
		t.Parallel()
		member, _ := c.Roles.ByKey("member")
		for _, row := range []struct {
			actor       string
			role        org.Role
			permissions []string
			want        errorv1.Reason
		}{
			{"owner", plain, []string{"billing.manage"}, ok},
			{"admin", plain, []string{"members.remove"}, ok},
			{"admin", plain, []string{"billing.manage"}, lacks},
			{"admin", billing, []string{"org.read"}, lacks},
			{"admin", helper, []string{"org.read"}, ok},
			{"owner", member, []string{"org.read"}, errorv1.Reason_REASON_STATE_CONFLICT},
			{"member", plain, []string{"org.read"}, lacks},
			{"helper", helper, []string{"org.read"}, errorv1.Reason_REASON_SELF_ACTION},
			{"grouped", helper, []string{"org.read"}, errorv1.Reason_REASON_SELF_ACTION},
			{"helper", plain, []string{"org.read"}, ok},
			{"helper", plain, []string{"members.remove"}, lacks},
		} {
			words := row.role.Words()
			words.Permissions = row.permissions
			after, err := c.actor(t, row.actor).EditRole(row.role, words, "1")
			require.Equal(t, row.want, fault.ReasonOf(err), "%s %s %v", row.actor, row.role.Key, row.permissions)
			if err == nil {
				require.Equal(t, int64(2), after.Version)
				require.Equal(t, row.role.ID, after.ID)
			}
		}
		_, err := c.actor(t, "owner").EditRole(plain, plain.Words(), "7")
		reason(t, err, errorv1.Reason_REASON_ETAG_MISMATCH)
		words := plain.Words()
		words.DisplayName = "PLAIN"
		after, err := c.actor(t, "owner").EditRole(plain, words, "")
		require.NoError(t, err)
		require.Equal(t, plain.Key, after.Key, "the name is not the key")
	})

	t.Run("RB3 RB8 A role of admins is the owner's affair where admins are", func(t *testing.T) {
		t.Parallel()
		c := open(org.Portal)
		c.Policy.CustomRoles = true
		plain, helper := c.making("plain", "org.read"), c.making("helper", "members.reset_mfa")
		admin, owner := c.actor(t, "admin"), c.actor(t, "owner")
		words := plain.Words()
		words.Permissions = []string{"members.reset_mfa"}
		_, err := admin.EditRole(plain, words, "")
		reason(t, err, errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE)
		_, err = admin.EditRole(helper, plain.Words(), "")
		reason(t, err, lacks)
		_, err = admin.DeleteRole(helper, org.Use{Members: 1}, "plain", "")
		reason(t, err, lacks)
		_, err = owner.EditRole(plain, words, "")
		require.NoError(t, err)
		_, err = owner.DeleteRole(helper, org.Use{Members: 1}, "plain", "")
		require.NoError(t, err)
	})
}

func TestDeleteRole(t *testing.T) {
	t.Parallel()
	c := open(org.RBAC)
	plain, _ := c.making("plain", "org.read"), c.making("billing", "billing.manage")
	helper := c.making("helper", "org.read", "roles.delete")
	member, _ := c.Roles.ByKey("member")
	used := org.Use{Members: 3, Invitations: 1}
	for _, row := range []struct {
		name        string
		actor       string
		role        org.Role
		use         org.Use
		replacement string
		want        errorv1.Reason
	}{
		{"nobody has it", "admin", plain, org.Use{}, "", ok},
		{"somebody has it", "admin", plain, used, "", errorv1.Reason_REASON_ROLE_IN_USE},
		{"a group gives it", "admin", plain, org.Use{Grants: 1}, "", errorv1.Reason_REASON_ROLE_IN_USE},
		{"an invitation gives it", "admin", plain, org.Use{Invitations: 1}, "", errorv1.Reason_REASON_ROLE_IN_USE},
		{"they get another", "admin", plain, used, "member", ok},
		{"RB2 beyond the actor", "admin", plain, used, "billing", errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE},
		{"RB4 the owner's", "owner", plain, used, "owner", errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE},
		{"unknown", "owner", plain, used, "nobody", errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE},
		{"itself", "owner", plain, used, "plain", invalid},
		{"built in", "owner", member, org.Use{}, "plain", errorv1.Reason_REASON_STATE_CONFLICT},
		{"the actor's own", "helper", helper, org.Use{Members: 1}, "plain", errorv1.Reason_REASON_SELF_ACTION},
		{"without the right", "member", plain, org.Use{}, "", lacks},
	} {
		replacement, err := c.actor(t, row.actor).DeleteRole(row.role, row.use, row.replacement, "")
		require.Equal(t, row.want, fault.ReasonOf(err), row.name)
		if err == nil {
			require.Equal(t, row.replacement, replacement.Key)
		}
	}
}
