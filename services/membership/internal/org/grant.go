package org

import (
	"slices"

	"github.com/rosterhq/roster/services/internal/id"
)

// Source is where a permission comes from.
type Source string

// Sources.
const (
	ByRole           Source = "ROLE"            // the member's role
	ByGroup          Source = "GROUP"           // a role that is bound to a group of the member's
	ByProject        Source = "PROJECT"         // a direct membership in a project
	ByServiceAccount Source = "SERVICE_ACCOUNT" // what a service account is for
	ByOpening        Source = "OPENING"         // a group of the member's opens what the policy gates; it gives nothing by itself
)

// Grant is what a member has beside, or without, a role in the organization: of a group, or of a project.
type Grant struct {
	Source      Source
	Group       id.Group   // of a group's
	Project     id.Project // zero: it counts in the whole organization
	Name        string     // of the group, or of the project
	Role        string     // the key of the role that it gives
	Permissions Set        // what it gives, or opens
}

// Permissions are what a member may do in the organization, and if a project is given, there:
// (role and what groups give) where no gate is closed, and what the project itself gives. It does not look at the member's
// state: who is disabled would have them.
func (o Organization) Permissions(m Member, project id.Project) Set {
	role, _ := o.Roles.ByID(m.Role)
	return o.effective(role, m.Grants, project)
}

func (o Organization) effective(role Role, grants []Grant, project id.Project) Set {
	held := o.held(role, grants, project)
	for _, permission := range o.gates() {
		if !o.opened(grants, permission) {
			held = held.Without(Set{permission})
		}
	}
	for _, g := range grants {
		if g.Source == ByProject && o.counts(g, project) {
			held = held.Union(g.Permissions)
		}
	}
	return held
}

// held is what the role and groups give, before gates.
func (o Organization) held(role Role, grants []Grant, project id.Project) Set {
	held := role.Permissions
	for _, g := range grants {
		if g.Source == ByServiceAccount || g.Source == ByGroup && o.counts(g, project) {
			held = held.Union(g.Permissions)
		}
	}
	return held
}

// reach is everything that a member may do anywhere in the organization, in any project: what whoever takes the member's
// place could do.
func (o Organization) reach(m Member) Set {
	reach := o.Permissions(m, id.Project{})
	for _, g := range m.Grants {
		if !g.Project.IsZero() && o.counts(g, g.Project) {
			reach = reach.Union(g.Permissions)
		}
	}
	return reach
}

// counts tells whether a grant counts in the organization, and in the project, the zero one for none.
func (o Organization) counts(g Grant, project id.Project) bool {
	if g.Source == ByGroup && !o.Policy.Groups {
		return false
	}
	return g.Project.IsZero() || g.Project == project && o.Policy.Projects
}

// gates are the permissions that count only if a group opens them. Where there are no groups nothing is gated. Before the policy
// itself there is never a gate: who holds everything by their role, or owns the organization, can lift every other, so that
// an organization that keeps one of them can always do everything.
func (o Organization) gates() Set {
	switch {
	case !o.Policy.Groups:
		return nil
	case o.Policy.GatedPermissions.Has(UpdatePolicy):
		return o.Policy.GatedPermissions.Without(Set{UpdatePolicy})
	}
	return o.Policy.GatedPermissions
}

func (o Organization) opened(grants []Grant, permission string) bool {
	return slices.ContainsFunc(grants, func(g Grant) bool { return g.Source == ByOpening && g.Permissions.Has(permission) })
}

// adminClass tells whether a member has power over other people here.
func (o Organization) adminClass(m Member) bool {
	role, _ := o.Roles.ByID(m.Role)
	return role.AdminClass() || slices.ContainsFunc(powers, o.Permissions(m, id.Project{}).Has)
}
