package org

import (
	"slices"

	"github.com/rosterhq/roster/services/internal/id"
)

// Decision is the answer to a question about access, and why.
type Decision string

// Decisions.
const (
	Allowed           Decision = "ALLOWED"
	NotAMember        Decision = "NOT_A_MEMBER"
	MembershipStopped Decision = "MEMBER_DISABLED"
	NotPermitted      Decision = "PERMISSION_MISSING"
	FactorMissing     Decision = "MFA_REQUIRED"
	GateClosed        Decision = "GATE_CLOSED" // it is given, and counts only if a group of the member's opens it
)

// Verdict is a decision with the line that made it.
type Verdict struct {
	Decision Decision
	By       Grant // what allows it, or would if the gate were open; zero where nothing does
}

// Decide says whether a member may do something, in a project if one is given.
func (o Organization) Decide(m Member, permission string, project id.Project) Verdict {
	switch {
	case m.State == MemberDisabled:
		return Verdict{Decision: MembershipStopped}
	case m.State == MemberActive, m.State == NoMember:
	case !o.guest(m, project):
		return Verdict{Decision: NotAMember}
	}
	if o.shut(m) {
		return Verdict{Decision: FactorMissing}
	}
	closed := Verdict{Decision: NotPermitted}
	for _, g := range o.lines(m) {
		switch {
		case !g.Permissions.Has(permission) || !o.counts(g, project):
		case !o.passes(m, g, permission):
			if closed.Decision == NotPermitted {
				closed = Verdict{GateClosed, g}
			}
		default:
			return Verdict{Allowed, g}
		}
	}
	return closed
}

// passes tells whether no gate stands before what a line gives a member. There is none before what a project itself gives.
func (o Organization) passes(m Member, g Grant, permission string) bool {
	return g.Source == ByProject || !o.gates().Has(permission) || o.opened(m.Grants, permission)
}

// Sources is everything that allows something to a member, in a project if one is given: the role first.
func (o Organization) Sources(m Member, permission string, project id.Project) (by []Grant) {
	if o.Decide(m, permission, project).Decision != Allowed {
		return nil
	}
	for _, g := range o.lines(m) {
		same := func(other Grant) bool {
			return other.Source == g.Source && other.Group == g.Group && other.Role == g.Role
		}
		if g.Permissions.Has(permission) && o.counts(g, project) && o.passes(m, g, permission) && !slices.ContainsFunc(by, same) {
			by = append(by, g)
		}
	}
	return by
}

// Allowed is everything that a member may do, in a project if one is given.
func (o Organization) Allowed(m Member, project id.Project) (all Set) {
	for _, g := range o.lines(m) {
		all = all.Union(g.Permissions)
	}
	return slices.DeleteFunc(slices.Clone(all), func(permission string) bool {
		return o.Decide(m, permission, project).Decision != Allowed
	})
}

// Visit refuses whoever may not know of the organization, nor as a guest of the project, and whose membership is disabled.
func (o Organization) Visit(m Member, project id.Project) error {
	if o.State == Active && o.guest(m, project) {
		return o.pass(m)
	}
	_, err := o.Admit(m)
	return err
}

// Holders are where to look for those who may do something: whoever may has one of the roles, is in one of the groups or a
// direct member of the project. Not everybody there may.
type Holders struct {
	Roles   []id.Role
	Groups  []id.Group
	Project id.Project // zero: no project gives it
}

// Holders says where to look for those who may do something, in a project if one is given. Of what is gated those have passed
// the gate whom a group lets in, whatever their role is.
func (o Organization) Holders(groups Groups, permission string, project id.Project) (h Holders) {
	if o.Policy.Projects {
		h.Project = project
	}
	gated := o.gates().Has(permission)
	for _, role := range o.Roles {
		if !gated && role.Permissions.Has(permission) {
			h.Roles = append(h.Roles, role.ID)
		}
	}
	for _, g := range groups {
		if slices.ContainsFunc(groups.grants(g, o.Roles), func(gives Grant) bool {
			return (gives.Source == ByOpening) == gated && gives.Permissions.Has(permission) && o.counts(gives, project)
		}) {
			h.Groups = append(h.Groups, g.ID)
		}
	}
	return h
}

// lines are what gives a member something: the role first.
func (o Organization) lines(m Member) []Grant {
	given := slices.DeleteFunc(slices.Clone(m.Grants), func(g Grant) bool { return g.Source == ByOpening })
	switch m.State {
	case MemberActive:
	case NoMember:
		return given
	default: // a guest
		return slices.DeleteFunc(given, func(g Grant) bool { return g.Source != ByProject })
	}
	role, _ := o.Roles.ByID(m.Role)
	return slices.Insert(given, 0, Grant{Source: ByRole, Name: role.DisplayName, Role: role.Key, Permissions: role.Permissions})
}

// Knows tells whether somebody belongs to the organization, or as a guest to the project, and so may know of it.
func (o Organization) Knows(m Member, project id.Project) bool {
	return m.Belongs() || m.State == NoMember || o.guest(m, project)
}

// guest tells whether somebody who was removed still belongs to the project.
func (o Organization) guest(m Member, project id.Project) bool {
	return m.State == MemberRemoved && o.Policy.Projects && o.Policy.ProjectGuests &&
		slices.ContainsFunc(m.Grants, func(g Grant) bool { return g.Source == ByProject && g.Project == project })
}

// MayAsk refuses those who may not know what others may do.
func (o Organization) MayAsk(asker Member) error {
	actor, err := o.Admit(asker)
	if err != nil {
		return err
	}
	return actor.Need(ReadMembers)
}

// Sees is what gives somebody else something, as the actor may see it: who sees no groups is not told which one it is, nor what a
// project is called.
func (a Actor) Sees(g Grant) Grant {
	switch {
	case g.Source == ByGroup && !a.May(ReadGroups):
		g.Group, g.Name = id.Group{}, ""
	case g.Source == ByProject && !a.In(g.Project).May(ReadProjects):
		g.Name = ""
	}
	return g
}

// Remedies are what would allow it to a member: the roles and the groups of which one would do. The owner's role is given to
// nobody.
func (o Organization) Remedies(m Member, groups Groups, permission string, project id.Project) (roles Roles, joined Groups) {
	allows := func(m Member) bool { return o.Decide(m, permission, project).Decision == Allowed }
	for _, role := range o.Roles {
		with := m
		with.Role = role.ID
		if !role.Owner && allows(with) {
			roles = append(roles, role)
		}
	}
	if !o.Policy.Groups {
		return roles, nil
	}
	for _, g := range groups {
		inside := m
		inside.Grants = slices.Concat(m.Grants, groups.grants(g, o.Roles))
		if allows(inside) {
			joined = append(joined, g)
		}
	}
	return roles, joined
}
