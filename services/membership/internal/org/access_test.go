package org_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// with returns a member of a role with grants.
func (c company) with(role string, grants ...org.Grant) org.Member {
	m := c.another(role)
	m.Grants = grants
	return m
}

func TestDecide(t *testing.T) {
	t.Parallel()
	none := id.Project{}

	t.Run("States come first", func(t *testing.T) {
		t.Parallel()
		c := open(org.Pipeline)
		for state, want := range map[org.MemberState]org.Decision{
			"": org.NotAMember, org.MemberRemoved: org.NotAMember, org.MemberDisabled: org.MembershipStopped, org.MemberActive: org.Allowed,
		} {
			m := c.another("viewer")
			m.State = state
			require.Equal(t, want, c.Decide(m, org.ReadMembers, none).Decision)
		}
		require.Equal(t, org.NotPermitted, c.Decide(c.another("viewer"), org.RemoveMembers, none).Decision)
		asks := func(role string, state org.MemberState) error {
			m := c.another(role)
			m.State = state
			return c.MayAsk(m)
		}
		require.NoError(t, asks("viewer", org.MemberActive))
		reason(t, asks("viewer", org.MemberDisabled), errorv1.Reason_REASON_MEMBER_DISABLED)
		reason(t, asks("viewer", org.MemberRemoved), errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
		reason(t, asks("viewer", ""), errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
	})

	t.Run("C23 Role and groups, through the gate, and what the project itself gives", func(t *testing.T) {
		t.Parallel()
		c := open(org.Pipeline)
		c.Policy.Projects, c.Policy.ProjectGuests = true, true
		c.Policy.GatedPermissions = org.Set{"products.use", "resources.write"}
		here, there := id.NewProject(), id.NewProject()
		const gated, open = "products.use", "resources.read"
		group := id.NewGroup()
		role := org.Grant{Source: org.ByGroup, Group: group, Name: "Engineering", Role: "developer", Permissions: org.Set{gated, open, "webhooks.read"}}
		inProject := role
		inProject.Project = here
		opening := org.Grant{Source: org.ByOpening, Group: group, Name: "Engineering", Permissions: org.Set{gated}}
		direct := org.Grant{Source: org.ByProject, Project: here, Name: "Apollo", Role: "developer", Permissions: org.Set{gated, "webhooks.read"}}
		for name, c := range map[string]struct {
			of         company
			role       string
			state      org.MemberState
			grants     []org.Grant
			permission string
			project    id.Project
			want       org.Decision
			by         org.Source
		}{
			"the role":                          {c, "viewer", org.MemberActive, nil, open, none, org.Allowed, org.ByRole},
			"the role, in a project":            {c, "viewer", org.MemberActive, nil, open, here, org.Allowed, org.ByRole},
			"a closed gate":                     {c, "developer", org.MemberActive, nil, gated, none, org.GateClosed, org.ByRole},
			"an opened gate":                    {c, "developer", org.MemberActive, []org.Grant{opening}, gated, none, org.Allowed, org.ByRole},
			"an opening gives nothing":          {c, "viewer", org.MemberActive, []org.Grant{opening}, gated, none, org.NotPermitted, ""},
			"a group":                           {c, "viewer", org.MemberActive, []org.Grant{role}, "webhooks.read", none, org.Allowed, org.ByGroup},
			"a group behind the gate":           {c, "viewer", org.MemberActive, []org.Grant{role}, gated, none, org.GateClosed, org.ByGroup},
			"a group through the gate":          {c, "viewer", org.MemberActive, []org.Grant{opening, role}, gated, none, org.Allowed, org.ByGroup},
			"a group in a project":              {c, "viewer", org.MemberActive, []org.Grant{inProject}, "webhooks.read", here, org.Allowed, org.ByGroup},
			"a group in another project":        {c, "viewer", org.MemberActive, []org.Grant{inProject}, "webhooks.read", there, org.NotPermitted, ""},
			"a group in a project, outside":     {c, "viewer", org.MemberActive, []org.Grant{inProject}, "webhooks.read", none, org.NotPermitted, ""},
			"a project knows no gates":          {c, "viewer", org.MemberActive, []org.Grant{direct}, gated, here, org.Allowed, org.ByProject},
			"a project, elsewhere":              {c, "viewer", org.MemberActive, []org.Grant{direct}, "webhooks.read", there, org.NotPermitted, ""},
			"disabled is empty everywhere":      {c, "viewer", org.MemberDisabled, []org.Grant{direct, role}, gated, here, org.MembershipStopped, ""},
			"a guest in the project":            {c, "owner", org.MemberRemoved, []org.Grant{direct}, gated, here, org.Allowed, org.ByProject},
			"a guest has no role":               {c, "owner", org.MemberRemoved, []org.Grant{direct}, "org.delete", here, org.NotPermitted, ""},
			"a guest in another project":        {c, "owner", org.MemberRemoved, []org.Grant{direct}, gated, there, org.NotAMember, ""},
			"a guest in the organization":       {c, "owner", org.MemberRemoved, []org.Grant{direct}, gated, none, org.NotAMember, ""},
			"a group of who was removed":        {c, "owner", org.MemberRemoved, []org.Grant{role, inProject}, open, here, org.NotAMember, ""},
			"no guests":                         {c.but(func(p *org.Policy) { p.ProjectGuests = false }), "owner", org.MemberRemoved, []org.Grant{direct}, gated, here, org.NotAMember, ""},
			"no projects":                       {c.but(func(p *org.Policy) { p.Projects = false }), "viewer", org.MemberActive, []org.Grant{direct, inProject}, "webhooks.read", here, org.NotPermitted, ""},
			"S0-31 without groups, no gates":    {c.but(func(p *org.Policy) { p.Groups = false }), "developer", org.MemberActive, nil, gated, none, org.Allowed, org.ByRole},
			"without groups they give nothing":  {c.but(func(p *org.Policy) { p.Groups = false }), "viewer", org.MemberActive, []org.Grant{role}, "webhooks.read", none, org.NotPermitted, ""},
			"S0-31 nothing is gated by default": {c.but(func(p *org.Policy) { p.GatedPermissions = nil }), "developer", org.MemberActive, nil, gated, none, org.Allowed, org.ByRole},
		} {
			m := c.of.with(c.role, c.grants...)
			m.State = c.state
			verdict := c.of.Decide(m, c.permission, c.project)
			require.Equal(t, c.want, verdict.Decision, name)
			require.Equal(t, c.by, verdict.By.Source, name)
			if c.state == org.MemberActive {
				require.Equal(t, c.want == org.Allowed, c.of.Permissions(m, c.project).Has(c.permission), name)
			}
		}
	})
}

// but is the company with another policy.
func (c company) but(change func(*org.Policy)) company {
	change(&c.Policy)
	return c
}

func TestSpareAndGates(t *testing.T) {
	t.Parallel()

	t.Run("RB21 Whoever is left with full rights by their role can lift every gate, whatever is gated", func(t *testing.T) {
		t.Parallel()
		for _, preset := range []org.Preset{org.Flat, org.Pipeline} {
			c := open(preset).but(func(p *org.Policy) { p.Groups, p.GatedPermissions = true, org.Everything() })
			left := c.another(c.Policy.CreatorRole)
			require.Equal(t, org.Set{org.UpdatePolicy}, c.Allowed(left, id.Project{}).Without(org.Set{org.TransferOwnership}), "all the rest is gated")
			c.Policy.GatedPermissions = nil
			require.Subset(t, c.Allowed(left, id.Project{}), org.Everything(), "and comes back")
		}
	})
}
