package org

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// Limits of an organization.
const (
	maxGroups   = 200
	maxDepth    = 5
	maxBindings = 100 // of one group
)

// Faults about groups.
var (
	ErrNoGroup        = fault.New(errorv1.Reason_REASON_GROUP_NOT_FOUND, "There is no such group in this organization.")
	ErrGroupNameTaken = fault.New(errorv1.Reason_REASON_NAME_TAKEN, "Another group of this organization has this name.")
)

// Group is a set of members. What it gives, it gives to its members and to those of all groups inside it.
type Group struct {
	ID id.Group `db:"group_id"`
	GroupWords
	Path       []id.Group // from the top down to itself
	Version    int64
	CreateTime time.Time

	Bindings []Binding `db:"-"`
}

// GroupWords are what a group is made of by those who manage groups.
type GroupWords struct {
	DisplayName string
	Description string
	Parent      id.Group `db:"parent_id"` // zero: none
	Opens       Set      // of the permissions that the policy gates
}

// Same tells whether nothing of the group's row differs.
func (g Group) Same(other Group) bool {
	return g.ID == other.ID && g.Version == other.Version && slices.Equal(g.Path, other.Path)
}

// Binding is a role that a group gives, in the whole organization or in a project.
type Binding struct {
	Group   id.Group   `db:"group_id"`
	Role    id.Role    `db:"role_id"`
	Project id.Project `db:"project_id"` // zero: the whole organization
}

// Groups are all groups of an organization.
type Groups []Group

// ByID returns a group.
func (gs Groups) ByID(key id.Group) (Group, error) {
	if i := gs.index(key); i >= 0 {
		return gs[i], nil
	}
	return Group{}, ErrNoGroup
}

// Inside returns a group and all those inside of it.
func (gs Groups) Inside(key id.Group) (inside []id.Group, err error) {
	for _, g := range gs {
		if slices.Contains(g.Path, key) {
			inside = append(inside, g.ID)
		}
	}
	if len(inside) == 0 {
		return nil, ErrNoGroup
	}
	return inside, nil
}

// grants are what whoever is in a group has of it, and of the groups that it is inside of.
func (gs Groups) grants(g Group, roles Roles) (grants []Grant) {
	for _, key := range g.Path {
		of := gs[gs.index(key)]
		grants = append(grants, Grant{Source: ByOpening, Group: of.ID, Name: of.DisplayName, Permissions: of.Opens})
		for _, b := range of.Bindings {
			role, _ := roles.ByID(b.Role)
			grants = append(grants, Grant{Source: ByGroup, Group: of.ID, Project: b.Project, Name: of.DisplayName, Role: role.Key, Permissions: role.Permissions})
		}
	}
	return grants
}

func (gs Groups) index(key id.Group) int {
	return slices.IndexFunc(gs, func(g Group) bool { return g.ID == key })
}

// with returns the groups with one that is new or changed.
func (gs Groups) with(g Group) Groups {
	if i := gs.index(g.ID); i >= 0 {
		gs = slices.Clone(gs)
		gs[i] = g
		return gs
	}
	return slices.Concat(gs, Groups{g})
}

// placed returns the groups with the path of each as the parents say.
func (gs Groups) placed() (Groups, error) {
	placed := slices.Clone(gs)
	for i, g := range placed {
		path := []id.Group{g.ID}
		for parent := g.Parent; !parent.IsZero(); {
			above, err := gs.ByID(parent)
			switch {
			case err != nil:
				return nil, err
			case slices.Contains(path, parent):
				return nil, fault.Invalid("parent_group_id", "would put a group inside of itself")
			case len(path) == maxDepth:
				return nil, fault.Invalid("parent_group_id", "would make more than "+strconv.Itoa(maxDepth)+" groups inside of one another")
			}
			path = slices.Insert(path, 0, parent)
			parent = above.Parent
		}
		placed[i].Path = path
	}
	return placed, nil
}

// AddGroup returns the groups with a new one, if the actor may make it.
func (a Actor) AddGroup(groups Groups, g Group) (Groups, error) {
	if err := a.UseGroups(ManageGroups); err != nil {
		return nil, err
	}
	if len(groups) >= maxGroups {
		return nil, limitReached("groups", maxGroups)
	}
	g.Version = 1
	after, err := groups.with(g).placed()
	if err != nil {
		return nil, err
	}
	return after, a.reshape(groups, after, g.ID)
}

// ChangeGroup returns the groups with one changed, if the actor may change it so.
func (a Actor) ChangeGroup(groups Groups, g Group, etag string) (Groups, error) {
	if err := a.UseGroups(ManageGroups); err != nil {
		return nil, err
	}
	if err := match(etag, g.Version); err != nil {
		return nil, err
	}
	g.Version++
	after, err := groups.with(g).placed()
	if err != nil {
		return nil, err
	}
	return after, a.reshape(groups, after, g.ID)
}

// DeleteGroup returns the group that is to be deleted, if the actor may and nothing is inside of it.
func (a Actor) DeleteGroup(groups Groups, key id.Group, etag string) (Group, error) {
	if err := a.UseGroups(ManageGroups); err != nil {
		return Group{}, err
	}
	g, err := groups.ByID(key)
	if err != nil {
		return g, err
	}
	if err := match(etag, g.Version); err != nil {
		return g, err
	}
	if i := slices.IndexFunc(groups, func(other Group) bool { return other.Parent == key }); i >= 0 {
		return g, fault.New(errorv1.Reason_REASON_STATE_CONFLICT,
			"The group "+quote(groups[i].DisplayName)+" is inside of this one. Move or delete it first.").With("groupId", groups[i].ID.String())
	}
	return g, a.reshape(groups, nil, key)
}

// BindRole returns a group before and after it gives a role, and the binding.
func (a Actor) BindRole(groups Groups, b Binding, key string) (before, after Group, bound Binding, err error) {
	if err := a.UseGroups(ManageGroups); err != nil {
		return before, after, b, err
	}
	if before, err = groups.ByID(b.Group); err != nil {
		return before, after, b, err
	}
	role, err := a.Give(key)
	if err != nil {
		return before, after, b, err
	}
	b.Role, after = role.ID, before
	switch {
	case slices.Contains(before.Bindings, b):
		return before, after, b, fault.New(errorv1.Reason_REASON_STATE_CONFLICT, "The group gives this role already.")
	case len(before.Bindings) >= maxBindings:
		return before, after, b, limitReached("group_bindings", maxBindings)
	}
	after.Bindings = append(slices.Clone(before.Bindings), b)
	after.Version++
	return before, after, b, a.reshape(groups, groups.with(after), b.Group)
}

// UnbindRole returns a group before and after it no longer gives a role, and the binding.
func (a Actor) UnbindRole(groups Groups, b Binding, key string) (before, after Group, bound Binding, err error) {
	if err := a.UseGroups(ManageGroups); err != nil {
		return before, after, b, err
	}
	if before, err = groups.ByID(b.Group); err != nil {
		return before, after, b, err
	}
	role, err := a.organization.Roles.Givable(key)
	if err != nil {
		return before, after, b, err
	}
	b.Role, after = role.ID, before
	i := slices.Index(before.Bindings, b)
	if i < 0 {
		return before, after, b, fault.New(errorv1.Reason_REASON_STATE_CONFLICT, "The group does not give this role.")
	}
	after.Bindings = slices.Delete(slices.Clone(before.Bindings), i, i+1)
	after.Version++
	return before, after, b, a.reshape(groups, groups.with(after), b.Group)
}

// limitReached is the fault about one more than there may be.
func limitReached(what string, limit int) *fault.Fault {
	return fault.New(errorv1.Reason_REASON_LIMIT_REACHED, "There are as many as there can be: "+strconv.Itoa(limit)+".").
		With("limit", what).With("maximum", strconv.Itoa(limit))
}

// gift is what comes with being in a group.
type gift struct {
	permissions Set // of the roles that are bound to it and to those that it is inside of, wherever they count
	opens       Set
	admin       bool
}

func (a Actor) giftOf(groups Groups, key id.Group) (all gift) {
	g, _ := groups.ByID(key)
	for _, on := range g.Path {
		above, _ := groups.ByID(on)
		all.opens = all.opens.Union(above.Opens)
		for _, b := range above.Bindings {
			role, _ := a.organization.Roles.ByID(b.Role)
			all.permissions = all.permissions.Union(role.Permissions)
			all.admin = all.admin || role.AdminClass()
		}
	}
	all.admin = all.admin || slices.ContainsFunc(powers, all.opens.Has)
	return all
}

// UseGroups refuses where the policy has no use for groups, and an actor who may not.
func (a Actor) UseGroups(permission string) error {
	if err := a.Need(permission); err != nil {
		return err
	}
	if !a.organization.Policy.Groups {
		return SwitchedOff("groups")
	}
	return nil
}

// reshape refuses an actor who may not make a group what it becomes. To change what a group gives is to give it to everybody in
// it: the actor must hold all that it gives, before and after.
func (a Actor) reshape(before, after Groups, key id.Group) error {
	had, has := a.giftOf(before, key), a.giftOf(after, key)
	if had.admin && !a.May(ManageAdmins) {
		return missing(ManageAdmins, "This group makes admins. Only who manages admins changes it. Contact the organization owner.")
	}
	opened := has.opens.Without(had.opens)
	if len(has.permissions.Without(had.permissions)) == 0 && len(opened) == 0 {
		return nil // it gives nothing new
	}
	for _, permission := range opened {
		if err := a.organization.Registry.Known(permission); err != nil {
			return fault.Invalid("opens", quote(permission)+" is not in the catalogue, see ListPermissions")
		}
	}
	if err := a.grant(gift{had.permissions.Union(has.permissions), had.opens.Union(has.opens), has.admin}); err != nil {
		return err
	}
	inside := slices.ContainsFunc(a.member.Grants, func(g Grant) bool { return g.Group == key })
	if gain := opened.Without(a.Permissions); inside && len(gain) > 0 && !a.Role.Owner {
		return fault.New(errorv1.Reason_REASON_SELF_ACTION,
			"You are in this group yourself, and would open to yourself: "+strings.Join(gain, ", ")+". Ask another admin.")
	}
	return nil
}

// Enroll refuses an actor who may not put the target into a group. The owner may do it for themselves: nobody else may, and
// there is nothing that an owner could not have.
func (a Actor) Enroll(target Member, groups Groups, key id.Group) error {
	if err := a.handle(target, groups, key, a.Empower); err != nil {
		return err
	}
	return a.grant(a.giftOf(groups, key))
}

// Withdraw refuses an actor who may not take the target out of a group.
func (a Actor) Withdraw(target Member, groups Groups, key id.Group) error {
	return a.handle(target, groups, key, a.Manage)
}

func (a Actor) handle(target Member, groups Groups, key id.Group, check func(Member, string) error) error {
	if err := a.UseGroups(ManageGroupMembers); err != nil {
		return err
	}
	if _, err := groups.ByID(key); err != nil {
		return err
	}
	if target.Account == a.Account && a.Role.Owner {
		return nil
	}
	return check(target, ManageGroupMembers)
}

// grant refuses to give what the actor does not hold. A gated permission is opened by whoever holds it, on whichever side of
// the gate they are: otherwise nobody could open a gate that nobody has passed.
func (a Actor) grant(all gift) error {
	if all.admin && !a.appoints() {
		return missing(ManageAdmins, "Only the organization owner appoints admins. Contact the organization owner.")
	}
	beyond := all.permissions.Without(a.Permissions).Union(all.opens.Without(a.organization.Keyed(a.member, a.organization.held(a.Role, a.member.Grants, id.Project{}))))
	if len(beyond) > 0 {
		return missing(beyond[0], "This group gives more than you hold: "+strings.Join(beyond, ", ")+". You can give only what you hold.").
			With("missing", strings.Join(beyond, ","))
	}
	return nil
}

// Opening reads the permissions that a group is to open. Whether those of products are registered is decided with the group.
func Opening(permissions []string) (Set, error) {
	opens := slices.Compact(slices.Sorted(slices.Values(permissions)))
	for _, permission := range opens {
		if Known(permission) != nil && !Named(permission) {
			return nil, fault.Invalid("opens", quote(permission)+" is not in the catalogue, see ListPermissions")
		}
	}
	return append(Set{}, opens...), nil
}
