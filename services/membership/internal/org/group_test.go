package org_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// group makes one in a company, as the owner.
func (c company) group(t *testing.T, groups *org.Groups, name string, inside id.Group, opens ...string) id.Group {
	t.Helper()
	key := id.NewGroup()
	after, err := c.actor(t, "owner").AddGroup(*groups, org.Group{ID: key, GroupWords: org.GroupWords{DisplayName: name, Parent: inside, Opens: opens}})
	require.NoError(t, err)
	*groups = after
	return key
}

// bind makes a group give a role, as the owner.
func (c company) bind(t *testing.T, groups org.Groups, key id.Group, role string) {
	t.Helper()
	_, after, _, err := c.actor(t, "owner").BindRole(groups, org.Binding{Group: key}, role)
	require.NoError(t, err)
	for i, g := range groups {
		if g.ID == key {
			groups[i] = after
		}
	}
}

// admits returns a member as an actor.
func (c company) admits(t *testing.T, m org.Member) org.Actor {
	t.Helper()
	actor, err := c.Admit(m)
	require.NoError(t, err)
	return actor
}

func TestGroups(t *testing.T) {
	t.Parallel()

	t.Run("RB12 Groups are never inside of themselves, and at most five deep", func(t *testing.T) {
		t.Parallel()
		c := open(org.Pipeline)
		owner := c.actor(t, "owner")
		var groups org.Groups
		var keys []id.Group
		for depth := range 5 {
			var inside id.Group
			if depth > 0 {
				inside = keys[depth-1]
			}
			keys = append(keys, c.group(t, &groups, fmt.Sprint(depth), inside))
		}
		last, err := groups.ByID(keys[4])
		require.NoError(t, err)
		require.Equal(t, keys, last.Path)

		_, err = owner.AddGroup(groups, org.Group{ID: id.NewGroup(), GroupWords: org.GroupWords{Parent: keys[4]}})
		reason(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		_, err = owner.AddGroup(groups, org.Group{ID: id.NewGroup(), GroupWords: org.GroupWords{Parent: id.NewGroup()}})
		reason(t, err, errorv1.Reason_REASON_GROUP_NOT_FOUND)
		move := func(key, inside id.Group) (org.Groups, error) {
			g, err := groups.ByID(key)
			require.NoError(t, err)
			g.Parent = inside
			return owner.ChangeGroup(groups, g, "")
		}
		for _, inside := range []id.Group{keys[0], keys[3]} {
			_, err = move(keys[0], inside)
			reason(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		}
		top := c.group(t, &groups, "top", id.Group{})
		_, err = move(keys[0], top)
		reason(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		moved, err := move(keys[1], top)
		require.NoError(t, err)
		last, err = moved.ByID(keys[4])
		require.NoError(t, err)
		require.Equal(t, []id.Group{top, keys[1], keys[2], keys[3], keys[4]}, last.Path, "what is inside goes along")
		_, err = owner.DeleteGroup(groups, keys[0], "")
		reason(t, err, errorv1.Reason_REASON_STATE_CONFLICT)
		_, err = owner.DeleteGroup(groups, keys[4], "2")
		reason(t, err, errorv1.Reason_REASON_ETAG_MISMATCH)
		_, err = owner.DeleteGroup(groups, keys[4], "1")
		require.NoError(t, err)
	})

	t.Run("RB25 There are 200 groups at most", func(t *testing.T) {
		t.Parallel()
		c := open(org.Pipeline)
		var groups org.Groups
		for i := range 200 {
			groups = append(groups, org.Group{ID: id.NewGroup(), GroupWords: org.GroupWords{DisplayName: fmt.Sprint(i)}})
		}
		_, err := c.actor(t, "owner").AddGroup(groups, org.Group{ID: id.NewGroup()})
		f := reason(t, err, errorv1.Reason_REASON_LIMIT_REACHED)
		require.Equal(t, "200", f.Metadata["maximum"])
	})

	t.Run("RB12 A role is bound, and a member put in, only by who holds what comes of it", func(t *testing.T) {
		t.Parallel()
		c := open(org.Pipeline)
		var groups org.Groups
		plain, billing := c.group(t, &groups, "plain", id.Group{}), c.group(t, &groups, "billing", id.Group{})
		inside := c.group(t, &groups, "inside", billing)
		c.Roles = append(c.Roles, org.Role{ID: id.NewRole(), Key: "bills", Permissions: org.Set{"billing.manage"}})
		c.bind(t, groups, billing, "bills")
		admin := c.actor(t, "admin")
		viewer := c.another("viewer")

		_, _, _, err := admin.BindRole(groups, org.Binding{Group: plain}, "bills")
		reason(t, err, errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE)
		_, _, _, err = admin.BindRole(groups, org.Binding{Group: plain}, "owner")
		reason(t, err, errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE)
		_, _, _, err = admin.BindRole(groups, org.Binding{Group: plain}, "developer")
		require.NoError(t, err)
		_, _, _, err = admin.BindRole(groups, org.Binding{Group: billing}, "developer")
		f := reason(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
		require.Equal(t, "billing.manage", f.Metadata["missing"], "what it gave before counts too")
		_, _, _, err = admin.UnbindRole(groups, org.Binding{Group: billing}, "bills")
		require.NoError(t, err, "to take power away needs none")

		require.NoError(t, admin.Enroll(viewer, groups, plain))
		for _, key := range []id.Group{billing, inside} {
			reason(t, admin.Enroll(viewer, groups, key), errorv1.Reason_REASON_PERMISSION_MISSING)
		}
		require.NoError(t, c.actor(t, "owner").Enroll(viewer, groups, inside))
		move := func(key, to id.Group) error {
			g, err := groups.ByID(key)
			require.NoError(t, err)
			g.Parent = to
			_, err = admin.ChangeGroup(groups, g, "")
			return err
		}
		reason(t, move(plain, billing), errorv1.Reason_REASON_PERMISSION_MISSING)
		require.NoError(t, move(inside, id.Group{}), "to move out gives nothing")
		require.NoError(t, move(inside, plain))
		c.bind(t, groups, plain, "developer")
		reason(t, move(inside, plain), errorv1.Reason_REASON_PERMISSION_MISSING)
	})

	t.Run("RB2 RB3 What groups give counts for the actor and for the target", func(t *testing.T) {
		t.Parallel()
		c := open(org.Pipeline)
		grant := func(project id.Project, permissions ...string) org.Grant {
			return org.Grant{Source: org.ByGroup, Group: id.NewGroup(), Project: project, Role: "x", Permissions: permissions}
		}
		viewer := c.with("viewer", grant(id.Project{}, "members.assign_role", "members.contact.read", "products.use", "resources.write"))
		actor := c.admits(t, viewer)
		_, err := actor.Give("viewer")
		require.NoError(t, err)
		_, err = actor.Give("developer")
		f := reason(t, err, errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE)
		require.NotContains(t, f.Metadata["missing"], "resources.write")
		require.Contains(t, f.Metadata["missing"], "webhooks.read")

		admin := c.actor(t, "admin")
		require.NoError(t, admin.Empower(c.another("viewer"), org.EnableMembers))
		reason(t, admin.Empower(c.with("viewer", grant(id.Project{}, "billing.manage")), org.EnableMembers), errorv1.Reason_REASON_PERMISSION_MISSING)
		require.NoError(t, admin.Manage(c.with("viewer", grant(id.Project{}, "billing.manage")), org.RemoveMembers))
		inProject := c.with("viewer", grant(id.NewProject(), "billing.manage"))
		require.NoError(t, admin.Empower(inProject, org.EnableMembers), "there are no projects")
		c = c.but(func(p *org.Policy) { p.Projects = true })
		reason(t, c.actor(t, "admin").Empower(inProject, org.EnableMembers), errorv1.Reason_REASON_PERMISSION_MISSING)

		portal := open(org.Portal).but(func(p *org.Policy) { p.Groups = true })
		made := portal.with("member", grant(id.Project{}, "groups.manage"))
		reason(t, portal.actor(t, "admin").Manage(made, org.RemoveMembers), errorv1.Reason_REASON_PERMISSION_MISSING)
		require.NoError(t, portal.actor(t, "owner").Manage(made, org.RemoveMembers))
	})

	t.Run("RB2 Behind a closed gate nobody gives what is behind it", func(t *testing.T) {
		t.Parallel()
		c := open(org.Pipeline).but(func(p *org.Policy) { p.GatedPermissions = org.Set{"products.use"} })
		_, err := c.actor(t, "admin").Give("developer")
		reason(t, err, errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE)
		opening := org.Grant{Source: org.ByOpening, Group: id.NewGroup(), Permissions: org.Set{"products.use"}}
		_, err = c.admits(t, c.with("admin", opening)).Give("developer")
		require.NoError(t, err)
	})

	t.Run("RB8 A group that makes admins is the owner's where only the owner appoints them", func(t *testing.T) {
		t.Parallel()
		c := open(org.Portal).but(func(p *org.Policy) { p.Groups = true })
		var groups org.Groups
		key := c.group(t, &groups, "admins", id.Group{})
		_, _, _, err := c.actor(t, "admin").BindRole(groups, org.Binding{Group: key}, "admin")
		reason(t, err, errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE)
		c.bind(t, groups, key, "admin")
		reason(t, c.actor(t, "admin").Enroll(c.another("member"), groups, key), errorv1.Reason_REASON_PERMISSION_MISSING)
		require.NoError(t, c.actor(t, "owner").Enroll(c.another("member"), groups, key))
		_, _, _, err = c.actor(t, "admin").UnbindRole(groups, org.Binding{Group: key}, "admin")
		reason(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
		_, err = c.actor(t, "admin").DeleteGroup(groups, key, "")
		reason(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
	})

	t.Run("RB7 Nobody opens a gate to themselves but the owner", func(t *testing.T) {
		t.Parallel()
		c := open(org.Pipeline).but(func(p *org.Policy) { p.GatedPermissions = org.Set{"audit.read", "products.use"} })
		var groups org.Groups
		key := c.group(t, &groups, "users", id.Group{})
		opening := func(permissions ...string) org.Grant {
			return org.Grant{Source: org.ByOpening, Group: key, Permissions: permissions}
		}
		open := func(actor org.Actor, permission string) error {
			g, err := groups.ByID(key)
			require.NoError(t, err)
			g.Opens = org.Set{permission}
			_, err = actor.ChangeGroup(groups, g, "")
			return err
		}
		require.NoError(t, open(c.actor(t, "admin"), "products.use"), "from outside, who holds it but for the gate")
		reason(t, open(c.admits(t, c.with("admin", opening())), "products.use"), errorv1.Reason_REASON_SELF_ACTION)
		require.NoError(t, open(c.admits(t, c.with("owner", opening())), "products.use"))
		reason(t, open(c.actor(t, "admin"), "billing.manage"), errorv1.Reason_REASON_PERMISSION_MISSING)
		admin, owner := c.another("admin"), c.members["owner"]
		reason(t, c.admits(t, admin).Enroll(admin, groups, key), errorv1.Reason_REASON_SELF_ACTION)
		reason(t, c.admits(t, admin).Withdraw(admin, groups, key), errorv1.Reason_REASON_SELF_ACTION)
		reason(t, c.admits(t, admin).Enroll(owner, groups, key), errorv1.Reason_REASON_OWNER_PROTECTED)
		require.NoError(t, c.admits(t, owner).Enroll(owner, groups, key))
		require.NoError(t, c.admits(t, owner).Withdraw(owner, groups, key))
	})

	t.Run("S0-31 Where there are no groups they are refused by name", func(t *testing.T) {
		t.Parallel()
		c := open(org.RBAC)
		_, err := c.actor(t, "owner").AddGroup(nil, org.Group{ID: id.NewGroup()})
		f := reason(t, err, errorv1.Reason_REASON_FEATURE_OFF)
		require.Equal(t, "groups", f.Metadata["policy"])
		_, err = c.actor(t, "member").AddGroup(nil, org.Group{ID: id.NewGroup()})
		reason(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
	})

	t.Run("RB1 What a group opens is in the catalogue", func(t *testing.T) {
		t.Parallel()
		opens, err := org.Opening([]string{"products.use", "audit.read", "products.use"})
		require.NoError(t, err)
		require.Equal(t, org.Set{"audit.read", "products.use"}, opens)
		_, err = org.Opening([]string{"products.*"})
		reason(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
	})
}
