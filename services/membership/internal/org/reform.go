package org

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// Reform is what somebody wants of how an organization works.
type Reform struct {
	Policy Policy            // all of it, as it is to be
	Preset Preset            // the one that it begins with
	Remap  map[string]string // by key or id of a role that goes: the key of the one in its place
	Owner  *Member           // who becomes the owner where there was none
}

// Facts are what an organization has by now, that a policy has to fit.
type Facts struct {
	Held            map[id.Role]Held
	Owners          []id.Account // active or disabled
	Groups          int64
	Projects        int64
	Domains         int64              // verified
	Waiting         int64              // people who wait to join
	Guests          int64              // people who left, or were removed, and are direct members of a project
	WithoutAddress  int64              // pending invitations
	WithoutUsername int64              // pending invitations
	WithoutFactor   int64              // active members; only to tell who is shut out
	Dead            map[string]id.Role // built-in roles of earlier presets

	Lines []Line // of everybody with access; only to tell who loses what
	Tree  Groups // as Lines
}

// Held is who has a role.
type Held struct {
	Use
	Active int64 // of the members
}

// Line is how many members with access have the same role and the same groups.
type Line struct {
	Role    id.Role `db:"role_id"`
	Groups  []id.Group
	Members int64
}

// Reformed is an organization as a reform makes it.
type Reformed struct {
	Organization // with its roles
	Before       Organization
	Replaced     []Replacement // roles that go
	Owner        *Member       // who becomes the owner where there was none
	Obstacles    []Finding     // what is in the way
}

// Replacement is a role that goes and the one in its place, the zero Role if nobody has it.
type Replacement struct {
	Role, By Role
	Held
}

// Finding is one consequence of a reform.
type Finding struct {
	Subject     string
	Count       int64
	Description string
}

// Unchanged tells whether the organization works as before.
func (r Reformed) Unchanged() bool { return r.Version == r.Before.Version }

// Possible refuses what something is in the way of. The fault lists all of it.
func (r Reformed) Possible() error {
	if len(r.Obstacles) == 0 {
		return nil
	}
	f := fault.New(errorv1.Reason_REASON_POLICY_CONFLICT, "The policy does not fit what the organization has by now.")
	for _, o := range r.Obstacles {
		f.Fields = append(f.Fields, fault.Field{Name: o.Subject, Reason: o.Description})
	}
	return f
}

// Reform decides what a change of the policy makes of the organization. Whoever may change the policy holds all that there is to
// give, so nothing is given here that the actor does not hold; a key of theirs gives what it is for.
func (a Actor) Reform(want Reform, has Facts, etag string, at time.Time) (Reformed, error) {
	before := a.organization
	r := Reformed{Organization: before, Before: before, Owner: want.Owner}
	r.Policy, r.Preset = want.Policy, want.Preset
	if err := a.mayReform(before.Policy, want.Policy); err != nil {
		return r, err
	}
	if err := match(etag, before.Version); err != nil {
		return r, err
	}
	if r.Preset == before.Preset && r.crosses() {
		return r, fault.Invalid("policy.ownership", "becomes NONE, or ceases to be, only with another preset, whose roles fit it")
	}
	if err := r.reshape(want, has); err != nil {
		return r, err
	}
	if err := r.Policy.Validate(r.Roles, r.Registry); err != nil {
		return r, err
	}
	if err := a.mayOwn(r); err != nil {
		return r, err
	}
	if before.Key != nil {
		if err := a.holds(r.gives()); err != nil {
			return r, err
		}
	}
	if r.Preset == before.Preset && reflect.DeepEqual(r.Policy.normal(), before.Policy.normal()) && len(r.Replaced) == 0 {
		return r, nil
	}
	r.Version, r.UpdateTime = before.Version+1, at
	r.collide(has)
	return r, nil
}

// mayReform refuses whoever may not change the policy. Who appoints admins, and who joins by themselves, are matters of their own.
func (a Actor) mayReform(before, after Policy) error {
	if err := a.Need(UpdatePolicy); err != nil {
		return err
	}
	if before.AdminAppointment != after.AdminAppointment {
		if err := a.Need(AppointAdmins); err != nil {
			return err
		}
	}
	if before.AutoJoin != after.AutoJoin || before.DefaultJoinRole != after.DefaultJoinRole {
		if err := a.Need(ManageAutoJoin); err != nil {
			return err
		}
	}
	return a.maySecure(before, after)
}

// crosses tells whether the organization gets owners, or has none any more.
func (r Reformed) crosses() bool {
	return (r.Policy.Ownership == None) != (r.Before.Policy.Ownership == None)
}

// normal is the policy with one spelling of nothing.
func (p Policy) normal() Policy {
	if len(p.GatedPermissions) == 0 {
		p.GatedPermissions = nil
	}
	return p
}

// reshape makes the roles: those that the preset has, and the organization's own where the policy has such. A built-in role of the
// same key stays the same role, whatever it allows.
func (r *Reformed) reshape(want Reform, has Facts) error {
	old := r.Before.Roles
	named := make(map[id.Role]string, len(want.Remap))
	for _, from := range slices.Sorted(maps.Keys(want.Remap)) {
		role, known := old.named(from)
		if !known {
			return fault.Invalid("role_remap", "names "+quote(from)+", which is no role of the organization")
		}
		named[role.ID] = want.Remap[from]
	}
	r.Roles = r.builtIn(has)
	for _, role := range old {
		if _, replaced := named[role.ID]; !role.BuiltIn && r.Policy.CustomRoles && (r.Preset == r.Before.Preset || !replaced) {
			role.Rank = len(r.Roles)
			r.Roles = append(r.Roles, role)
		}
	}
	for _, role := range old {
		var by Role
		key, replaced := named[role.ID]
		if replaced {
			var known bool
			if by, known = r.Roles.named(key); !known || by.Owner {
				return fault.Invalid("role_remap", "gives "+quote(key)+" in place of "+role.Key+". Choose one of: "+r.Roles.givableKeys())
			}
		}
		stays, kept := r.Roles.ByID(role.ID)
		switch use := has.Held[role.ID]; {
		case kept && replaced && by.ID != role.ID:
			return fault.Invalid("role_remap", "replaces "+role.Key+", which stays: give its members another role one by one")
		case kept && !replaced && r.crosses() && stays.BuiltIn && use.Use != (Use{}):
			r.obstacle(use.all(), "role_remap."+role.Key, use.said()+"; it means something else in the other preset: name it, as "+role.Key+"="+role.Key)
		case kept:
		case !replaced && (use.Use != (Use{}) || !role.BuiltIn):
			r.obstacle(use.all(), "role_remap."+role.Key, use.said()+"; this policy has no such role: name the one in its place")
		default:
			r.Replaced = append(r.Replaced, Replacement{role, by, use})
			r.Policy.follow(role.Key, by.Key)
		}
	}
	return nil
}

// builtIn are the built-in roles that there are from now on.
func (r Reformed) builtIn(has Facts) (roles Roles) {
	if r.Preset == r.Before.Preset {
		for _, role := range r.Before.Roles {
			if role.Key == "admin" && role.BuiltIn && r.Policy.AdminsManagedBy != r.Before.Policy.AdminsManagedBy {
				role.Permissions = role.Permissions.Without(Set{ManageAdmins})
				if r.Policy.AdminsManagedBy == ByAdmins {
					role.Permissions = role.Permissions.Union(Set{ManageAdmins})
				}
				role.Version++
			}
			if role.BuiltIn {
				roles = append(roles, role)
			}
		}
		return roles
	}
	for _, role := range r.Preset.rolesUnder(r.Policy) {
		role.Permissions = r.Registry.Of(role)
		was, known := r.Before.Roles.ByKey(role.Key)
		dead, died := has.Dead[role.Key]
		switch {
		case known:
			role.ID, role.Version = was.ID, was.Version
			if !role.Same(was) {
				role.Version++
			}
		case died:
			role.ID = dead
		default:
			role.ID = id.NewRole()
		}
		roles = append(roles, role)
	}
	return roles
}

// Same tells whether nothing differs that the role says or allows.
func (r Role) Same(other Role) bool {
	return r.ID == other.ID && r.DisplayName == other.DisplayName && r.Description == other.Description && r.Color == other.Color &&
		slices.Equal(r.Permissions, other.Permissions)
}

// named returns a role by its key or id.
func (r Roles) named(text string) (Role, bool) {
	if key, err := id.ParseRole(text); err == nil {
		return r.ByID(key)
	}
	return r.ByKey(text)
}

// follow names the role that came in place of another.
func (p *Policy) follow(from, to string) {
	for _, key := range []*string{&p.DefaultInviteRole, &p.DefaultJoinRole} {
		if *key == from && to != "" {
			*key = to
		}
	}
}

// mayOwn refuses an owner who did not agree to be one, or whom nobody needs.
func (a Actor) mayOwn(r Reformed) error {
	switch {
	case r.Owner == nil:
		return nil
	case !r.Owner.Belongs():
		return ErrNoMember
	case !r.crosses() || r.Policy.Ownership == None:
		return fault.Invalid("owner_account_id", "must be empty where there is an owner, or none is to be: ownership is offered and accepted")
	case r.Owner.Account != a.Account:
		return fault.Invalid("owner_account_id", "must be your own: own the organization first, then offer it to somebody, who accepts it")
	}
	return nil
}

// gives is what roles allow that they, or those in whose place they come, did not allow before, what is gated no more, and what
// people have by now who join by themselves.
func (r Reformed) gives() (all Set) {
	is, was := r.Policy, r.Before.Policy
	for _, role := range r.Before.Roles {
		all = all.Union(r.Becomes(role.ID).Permissions.Without(role.Permissions))
	}
	all = all.Union(r.Before.gates().Without(r.gates()))
	if r.Owner != nil {
		owner, _ := r.Roles.OwnerRole()
		all = all.Union(owner.Permissions)
	}
	if is.AutoJoin && (!was.AutoJoin || is.DefaultJoinRole != was.DefaultJoinRole) {
		joins, _ := r.Roles.ByKey(is.DefaultJoinRole)
		all = all.Union(joins.Permissions)
	}
	return all
}

// collide notes what of the organization is in the way.
func (r *Reformed) collide(has Facts) {
	is, was := r.Policy, r.Before.Policy
	when := func(holds bool, count int64, field, description string) {
		if holds {
			r.obstacle(count, field, description)
		}
	}
	owners := int64(len(has.Owners))
	switch {
	case is.Ownership == None:
		when(r.full(has) == 0, 0, "policy.ownership", "no active member could do everything")
	case r.crosses():
		when(r.Owner == nil, 0, "owner_account_id", "nobody owns the organization: name yourself")
	case is.Ownership == Single:
		when(owners > 1, owners-1, "policy.ownership", several(owners-1, "owner")+" too many: let them step down, or give them another role")
	}
	when(!is.Groups && has.Groups > 0, has.Groups, "policy.groups", several(has.Groups, "group")+" there: delete them first")
	when(!is.Projects && has.Projects > 0, has.Projects, "policy.projects", several(has.Projects, "project")+" there: delete them first")
	open := several(has.WithoutAddress, "pending invitation") + " without an address: revoke them first"
	when(is.Email == Required && was.Email != Required && has.WithoutAddress > 0, has.WithoutAddress, "policy.email", open)
	when(!is.LinkInvites && was.LinkInvites && has.WithoutAddress > 0, has.WithoutAddress, "policy.link_invites", open)
	slices.SortFunc(r.Obstacles, func(a, b Finding) int { return strings.Compare(a.Subject, b.Subject) })
}

func (r *Reformed) obstacle(count int64, subject, description string) {
	r.Obstacles = append(r.Obstacles, Finding{subject, count, description})
}

// full is how many active members can do everything then.
func (r Reformed) full(has Facts) (members int64) {
	roles := r.standIns()
	for key, use := range has.Held {
		if role, _ := roles.ByID(key); role.full() {
			members += use.Active
		}
	}
	return members
}

// standIns are the roles, with those that go as what comes in their place.
func (r Reformed) standIns() Roles {
	roles := slices.Clone(r.Roles)
	for _, gone := range r.Replaced {
		by := gone.By
		by.ID = gone.Role.ID
		roles = append(roles, by)
	}
	return roles
}

// Becomes is the role that comes in place of a role: itself, if it stays.
func (r Reformed) Becomes(role id.Role) (becomes Role) {
	for _, gone := range r.Replaced {
		if gone.Role.ID == role {
			return gone.By
		}
	}
	becomes, _ = r.Roles.ByID(role)
	return becomes
}

// OwnerRole is the owner's role, where there is one.
func (r Roles) OwnerRole() (Role, bool) {
	return r.find(func(role Role) bool { return role.Owner })
}

// Effects are what follows beside what is in the way: which roles are replaced, and how many members lose or gain which permission
// in the whole organization.
func (r Reformed) Effects(a Actor, has Facts) (all []Finding) {
	for _, gone := range r.Replaced {
		if gone.Use != (Use{}) {
			all = append(all, Finding{"role." + gone.Role.Key, gone.all(), gone.said() + "; they get " + gone.By.Key})
		}
	}
	note := func(holds bool, count int64, subject, description string) {
		if holds && count > 0 {
			all = append(all, Finding{subject, count, several(count, description)})
		}
	}
	is, was := r.Policy, r.Before.Policy
	note(was.AutoJoin && !is.AutoJoin, has.Domains, "policy.auto_join", "verified domain lets nobody join any more/verified domains let nobody join any more")
	note(was.AutoJoin && !is.AutoJoin, has.Waiting, "policy.auto_join", "person goes on waiting to join/people go on waiting to join")
	note(was.ProjectGuests && !is.ProjectGuests, has.Guests, "policy.project_guests", "guest of projects loses access/guests of projects lose access")
	note(is.ProjectGuests && !was.ProjectGuests, has.Guests, "policy.project_guests",
		"person who was removed has access to projects again/people who were removed have access to projects again")
	note(is.MfaRequired && !was.MfaRequired, has.WithoutFactor, "policy.mfa_required",
		"member has no second factor, and no access until they set one up/members have no second factor, and no access until they set one up")
	note(is.Username == Required && was.Username != Required, has.WithoutUsername, "policy.username",
		"pending invitation without a username stays/pending invitations without a username stay")
	loses, gains := make(map[string]int64), make(map[string]int64)
	for _, change := range r.shifts(a, has) {
		for _, permission := range change.before.Without(change.after) {
			loses[permission] += change.members
		}
		for _, permission := range change.after.Without(change.before) {
			gains[permission] += change.members
		}
	}
	for _, permission := range slices.Sorted(maps.Keys(loses)) {
		note(true, loses[permission], permission, "member loses "+permission+"/members lose "+permission)
	}
	for _, permission := range slices.Sorted(maps.Keys(gains)) {
		note(true, gains[permission], permission, "member gains "+permission+"/members gain "+permission)
	}
	return all
}

// shift is what some members may do before and after.
type shift struct {
	before, after Set
	members       int64
}

func (r Reformed) shifts(a Actor, has Facts) (all []shift) {
	roles := r.standIns()
	compare := func(role id.Role, groups []id.Group) shift {
		var was, is []Grant
		for _, key := range groups {
			if g, err := has.Tree.ByID(key); err == nil {
				was, is = append(was, has.Tree.grants(g, r.Before.Roles)...), append(is, has.Tree.grants(g, roles)...)
			}
		}
		before, _ := r.Before.Roles.ByID(role)
		after, _ := roles.ByID(role)
		return shift{before: r.Before.effective(before, was, id.Project{}), after: r.effective(after, is, id.Project{})}
	}
	for _, line := range has.Lines {
		s := compare(line.Role, line.Groups)
		s.members = line.Members
		all = append(all, s)
	}
	if r.Owner != nil { // one of them gets another role than the others
		var groups []id.Group
		for _, g := range a.member.Grants {
			groups = append(groups, g.Group)
		}
		s := compare(a.Role.ID, groups)
		owner, _ := r.Roles.OwnerRole()
		all = append(all, shift{s.before, s.after, -1}, shift{s.before, r.effective(owner, nil, id.Project{}), 1})
	}
	return all
}

func (h Held) all() int64 { return h.Members + h.Invitations + h.Grants }

// said tells who has the role.
func (h Held) said() string {
	var said []string
	for _, of := range []struct {
		count int64
		what  string
	}{{h.Members, "member"}, {h.Invitations, "pending invitation"}, {h.Grants, "grant by a group or in a project/grants by groups or in projects"}} {
		if of.count > 0 {
			said = append(said, several(of.count, of.what))
		}
	}
	if len(said) == 0 {
		return "held by nobody"
	}
	return "held by " + strings.Join(said, ", ")
}

// several says how many of something there are: "member", or "person/people" where the plural is another word.
func several(count int64, what string) string {
	one, many, irregular := strings.Cut(what, "/")
	switch {
	case count == 1:
		return "1 " + one
	case !irregular:
		many = one + "s"
	}
	return strconv.FormatInt(count, 10) + " " + many
}
