package org

import (
	"slices"
	"strconv"
	"strings"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/naming"
)

// Role is a named set of permissions.
type Role struct {
	ID          id.Role `db:"role_id"`
	Key         string
	DisplayName string
	Description string
	Color       string
	Rank        int  // for display only
	Owner       bool // reserved; never given
	BuiltIn     bool // comes with the policy; neither changed nor deleted
	Permissions Set
	Version     int64
}

// AdminClass tells whether holders of the role have power over other people here.
func (r Role) AdminClass() bool {
	return r.Owner || r.Key == "admin" || slices.ContainsFunc(powers, r.Permissions.Has)
}

// FullAccess tells whether the role allows everything that can be given.
func (r Role) FullAccess() bool { return len(givable.Without(r.Permissions)) == 0 }

// full tells whether the role allows everything that can be done where there is no owner.
func (r Role) full() bool { return len(everything.Without(r.Permissions)) == 0 }

// Raises tells whether it allows something that another role does not, whatever else that one allows: rank is for display only.
func (r Role) Raises(other Role) bool { return len(r.Permissions.Without(other.Permissions)) > 0 }

// Roles of one organization, in display order.
type Roles []Role

// ByID returns a role.
func (r Roles) ByID(key id.Role) (Role, bool) {
	return r.find(func(role Role) bool { return role.ID == key })
}

// ByKey returns a role.
func (r Roles) ByKey(key string) (Role, bool) {
	return r.find(func(role Role) bool { return role.Key == key })
}

// Holding returns the keys of the roles that hold a permission.
func (r Roles) Holding(permission string) (keys []string) {
	for _, role := range r {
		if role.Permissions.Has(permission) {
			keys = append(keys, role.Key)
		}
	}
	return keys
}

func (r Roles) find(is func(Role) bool) (Role, bool) {
	i := slices.IndexFunc(r, is)
	if i < 0 {
		return Role{}, false
	}
	return r[i], true
}

// notGivable is the fault about a role that does not exist here or is the owner's, which nobody gives.
func (r Roles) notGivable(key string) *fault.Fault {
	if role, ok := r.ByKey(key); ok && role.Owner {
		return roleFault(key, "Owner is reserved and cannot be assigned. Choose one of: "+r.givableKeys()+".")
	}
	return roleFault(key, "There is no role "+quote(key)+" here. Choose one of: "+r.givableKeys()+".")
}

func (r Roles) givableKeys() string {
	var keys []string
	for _, role := range r {
		if !role.Owner {
			keys = append(keys, role.Key)
		}
	}
	return strings.Join(keys, ", ")
}

// Givable returns the role of that key, unless nobody can be given it.
func (r Roles) Givable(key string) (Role, error) {
	role, ok := r.ByKey(key)
	if !ok || role.Owner {
		return Role{}, r.notGivable(key)
	}
	return role, nil
}

func roleFault(key, message string) *fault.Fault {
	return fault.New(errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE, message).With("role", key)
}

// Limits of the roles that an organization makes for itself.
const (
	maxRoles       = 50
	maxRoleName    = 50
	maxDescription = 200
)

// grey is the colour of a role that was given none.
const grey = "#6b7280"

// ErrNoRole is the answer about roles that the organization does not have, whoever has them.
var ErrNoRole = fault.New(errorv1.Reason_REASON_ROLE_NOT_FOUND, "There is no such role in this organization.")

// Words are what a role of the organization's own is to be.
type Words struct {
	DisplayName string
	Description string
	Color       string
	Permissions []string
}

// Words returns what the role is now.
func (r Role) Words() Words { return Words{r.DisplayName, r.Description, r.Color, r.Permissions} }

// NameKey is the name as it is compared: no two roles of an organization have the same.
func (r Role) NameKey() string { return foldName(r.DisplayName) }

func foldName(name string) string { return strings.ToLower(strings.ToUpper(name)) }

// parse makes the words the role's, if a role may have them.
func (r *Role) parse(w Words, registry Registry) (err error) {
	if r.DisplayName, err = naming.ParseLine("display_name", w.DisplayName, 1, maxRoleName); err != nil {
		return err
	}
	if reserved(foldName(r.DisplayName)) {
		return fault.Invalid("display_name", "is reserved for a built-in role")
	}
	if r.Description, err = naming.ParseLine("description", w.Description, 0, maxDescription); err != nil {
		return err
	}
	if r.Color = strings.ToLower(w.Color); r.Color == "" {
		r.Color = grey
	}
	r.Permissions, err = registry.parse(w.Permissions)
	return err
}

// reserved tells whether only a built-in role is called this, in small letters.
func reserved(name string) bool {
	if _, taken := builtIn[name]; taken {
		return true
	}
	for _, b := range builtIn {
		if name == foldName(b.displayName) {
			return true
		}
	}
	return false
}

// KeyFor makes a key of a name: its ASCII letters and digits, in small letters.
func KeyFor(name string) string {
	name, _ = naming.ParseLine("", name, 0, maxRoleName) // who creates the role hears what is wrong with it
	key := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			return r
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, name)
	key = strings.Trim(strings.Join(strings.FieldsFunc(key, func(r rune) bool { return r == '-' }), "-"), "-")
	if key == "" || key[0] < 'a' || reserved(key) {
		key = strings.TrimRight("role-"+key, "-")
	}
	return key
}

// CreateRole returns a role that the organization makes for itself. The key is the one to have, or empty; gone tells
// whether a role that was deleted had the key, or the one that follows from the name: what names a role must not come to mean
// another.
func (a Actor) CreateRole(w Words, key string, gone bool) (Role, error) {
	if err := a.mayShapeRoles(CreateRoles); err != nil {
		return Role{}, err
	}
	role := Role{ID: id.NewRole(), Key: key, Version: 1}
	if err := role.parse(w, a.organization.Registry); err != nil {
		return Role{}, err
	}
	roles := a.organization.Roles
	own := 0
	for _, r := range roles {
		role.Rank = max(role.Rank, r.Rank+1)
		if !r.BuiltIn {
			own++
		}
	}
	if own >= maxRoles {
		return Role{}, fault.Newf(errorv1.Reason_REASON_LIMIT_REACHED, "An organization makes at most %d roles of its own. Delete one first.", maxRoles).
			With("limit", strconv.Itoa(maxRoles))
	}
	if err := roles.nameIsFree(role); err != nil {
		return Role{}, err
	}
	if key == "" {
		role.Key = KeyFor(role.DisplayName)
	} else if reserved(key) {
		return Role{}, fault.Invalid("key", "is reserved for a built-in role")
	}
	if _, taken := roles.ByKey(role.Key); taken || gone {
		if key != "" {
			return Role{}, fault.New(errorv1.Reason_REASON_NAME_TAKEN, "A role of this organization has or had this key. Choose another.").With("key", key)
		}
		text := role.ID.String()
		role.Key = role.Key[:min(len(role.Key), 40)] + "-" + text[len(text)-8:]
	}
	return role, a.holds(role.Permissions)
}

// EditRole returns the role as it becomes. It is a grant to everybody who holds it, and so of everything that they will
// have: the actor must hold that, and what the role allowed before, and not the role.
func (a Actor) EditRole(role Role, w Words, etag string) (Role, error) {
	if err := a.mayShape(role, UpdateRoles); err != nil {
		return Role{}, err
	}
	if err := match(etag, role.Version); err != nil {
		return Role{}, err
	}
	after := role
	if err := after.parse(w, a.organization.Registry); err != nil {
		return Role{}, err
	}
	if err := a.organization.Roles.nameIsFree(after); err != nil {
		return Role{}, err
	}
	if err := a.holds(role.Permissions.Union(after.Permissions)); err != nil {
		return Role{}, err
	}
	if after.AdminClass() && !role.AdminClass() {
		if err := a.mayAppoint(after); err != nil {
			return Role{}, err
		}
	}
	after.Version++
	return after, nil
}

// Widens tells whether a role allows something that can widen somebody's power, and did not before.
func (o Organization) Widens(role, before Role) bool {
	return slices.ContainsFunc(role.Permissions.Without(before.Permissions), func(permission string) bool {
		registered, _ := o.Registry.find(permission)
		return registered.Dangerous || dangerous.Has(permission)
	})
}

// Use is who has a role.
type Use struct {
	Members     int64 // active or disabled
	Invitations int64 // pending
	Grants      int64 // groups that give it, and direct project memberships
}

// DeleteRole returns the role that those have from now on who had this one, the zero Role if nobody had it.
func (a Actor) DeleteRole(role Role, use Use, replacement, etag string) (Role, error) {
	if err := a.mayShape(role, DeleteRoles); err != nil {
		return Role{}, err
	}
	if err := match(etag, role.Version); err != nil {
		return Role{}, err
	}
	if field := a.organization.Policy.naming(role.Key); field != "" {
		return Role{}, inUse("The organization's policy gives this role. Change "+field+" first.", use).With("policy", field)
	}
	if replacement == "" {
		if use != (Use{}) {
			return Role{}, inUse("Members, pending invitations, groups or project members have this role. Name the one that they get instead.", use)
		}
		return Role{}, nil
	}
	if replacement == role.Key {
		return Role{}, fault.Invalid("replacement", "must be another role")
	}
	return a.Give(replacement)
}

func inUse(message string, use Use) *fault.Fault {
	f := fault.New(errorv1.Reason_REASON_ROLE_IN_USE, message)
	for of, count := range map[string]int64{"members": use.Members, "invitations": use.Invitations, "grants": use.Grants} {
		if count > 0 {
			f = f.With(of, strconv.FormatInt(count, 10))
		}
	}
	return f
}

// mayShapeRoles refuses whoever may not, and everybody where there are only built-in roles.
func (a Actor) mayShapeRoles(permission string) error {
	if err := a.Need(permission); err != nil {
		return err
	}
	if !a.organization.Policy.CustomRoles {
		return SwitchedOff("custom_roles")
	}
	return nil
}

// mayShape is mayShapeRoles for a role that there is: not a built-in one, not the actor's own, and one of admins only if the
// actor manages admins.
func (a Actor) mayShape(role Role, permission string) error {
	if err := a.mayShapeRoles(permission); err != nil {
		return err
	}
	switch {
	case role.BuiltIn:
		return fault.New(errorv1.Reason_REASON_STATE_CONFLICT, "Built-in roles are neither changed nor deleted. Make a role of your own.").With("state", "BUILT_IN")
	case a.has(role):
		return fault.New(errorv1.Reason_REASON_SELF_ACTION, "You hold this role yourself. Ask somebody who does not.")
	case role.AdminClass() && !a.May(ManageAdmins):
		return missing(ManageAdmins, "Only the organization owner manages admins, and the roles that make them. Contact the organization owner.")
	}
	return nil
}

// has tells whether the actor has the role, by membership, by a group or in a project.
func (a Actor) has(role Role) bool {
	return role.ID == a.Role.ID || slices.ContainsFunc(a.member.Grants, func(g Grant) bool { return g.Role == role.Key })
}

// holds refuses an actor who does not hold all of it.
func (a Actor) holds(all Set) error {
	beyond := all.Without(a.Permissions)
	if len(beyond) == 0 {
		return nil
	}
	return missing(beyond[0], "This allows more than your own role: "+strings.Join(beyond, ", ")+". You can give only what you hold.").
		With("missing", strings.Join(beyond, ","))
}

// nameIsFree refuses a name that another role has.
func (r Roles) nameIsFree(wanted Role) error {
	for _, role := range r {
		if role.ID != wanted.ID && role.NameKey() == wanted.NameKey() {
			return ErrRoleName
		}
	}
	return nil
}

// ErrRoleName is the answer to a name that another role of the organization has.
var ErrRoleName = fault.New(errorv1.Reason_REASON_NAME_TAKEN, "A role of this organization has this name. Choose another.")

// Seeing is the actor in the organization as it is with the role.
func (a Actor) Seeing(role Role) Actor {
	roles := slices.Clone(a.organization.Roles)
	if i := slices.IndexFunc(roles, func(r Role) bool { return r.ID == role.ID }); i >= 0 {
		roles[i] = role
	} else {
		roles = append(roles, role)
	}
	a.organization.Roles = roles
	return a
}
