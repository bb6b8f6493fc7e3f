package org

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rosterhq/roster/pkg/fault"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/naming"
)

// Registered is a permission that whoever builds on the suite has added to the catalogue, for products of their own.
type Registered struct {
	Name        string   `json:"name"` // app:<service>.<verb>
	DisplayName string   `json:"display_name"`
	Description string   `json:"description"`
	Dangerous   bool     `json:"dangerous"`
	HeldBy      []string `json:"held_by"` // of developer, member and viewer; owner and admin hold all
	Retired     bool     `json:"retired"` // known still, and held by nobody; nobody is given it
}

// Registry is all that has been registered, by name.
type Registry struct {
	Revision    int64
	Version     id.Any // names what it says, also in another database
	Permissions []Registered
}

const (
	app           = "app:"
	afterApp      = "app;" // what sorts after all names that begin with it
	maxRegistered = 500
	maxAppName    = 100
)

var appName = regexp.MustCompile(`^app:[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$`)

// Named tells whether a registered permission may be called this.
func Named(permission string) bool {
	return len(permission) <= maxAppName && appName.MatchString(permission)
}

// Known refuses what is no permission, so that a misspelt question is not taken for a denial. A retired one is still known.
func (r Registry) Known(permission string) error {
	if _, registered := r.find(permission); registered {
		return nil
	}
	return Known(permission)
}

func (r Registry) find(permission string) (Registered, bool) {
	i, found := slices.BinarySearchFunc(r.Permissions, permission, func(p Registered, name string) int { return strings.Compare(p.Name, name) })
	if !found {
		return Registered{}, false
	}
	return r.Permissions[i], true
}

// live tells whether a permission is registered, and not retired.
func (r Registry) live(permission string) bool {
	p, registered := r.find(permission)
	return registered && !p.Retired
}

// Of is what a role allows. Of what is registered a built-in role holds what its registration says, and another role what it was
// given. So nothing is written into any organization when something is registered, and what is retired ends at once.
func (r Registry) Of(role Role) Set {
	from, _ := slices.BinarySearch(role.Permissions, app)
	to, _ := slices.BinarySearch(role.Permissions, afterApp)
	given := role.Permissions[from:to]
	if len(given) == 0 && (!role.BuiltIn || len(r.Permissions) == 0) {
		return role.Permissions
	}
	holds := func(p Registered) bool { return given.Has(p.Name) }
	switch {
	case role.BuiltIn && (role.Key == "admin" || role.full()):
		holds = func(Registered) bool { return true }
	case role.BuiltIn:
		holds = func(p Registered) bool { return slices.Contains(p.HeldBy, role.Key) }
	}
	all := slices.Clone(role.Permissions[:from])
	for _, p := range r.Permissions {
		if !p.Retired && holds(p) {
			all = append(all, p.Name)
		}
	}
	return append(all, role.Permissions[to:]...)
}

// Catalogue is every permission there is, by name, with what is registered.
func (r Registry) Catalogue() []Permission {
	all := Catalogue()
	for _, p := range r.Permissions {
		if !p.Retired {
			all = append(all, Permission{Name: p.Name, DisplayName: p.DisplayName, Description: p.Description, Dangerous: p.Dangerous})
		}
	}
	slices.SortFunc(all, func(a, b Permission) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// parse reads what a role of an organization's own may allow: permissions by name, no pattern, so that a permission
// that is new one day is in no role by itself.
func (r Registry) parse(names []string) (Set, error) {
	set := append(Set{}, slices.Compact(slices.Sorted(slices.Values(names)))...)
	for _, name := range set {
		if r.live(name) {
			continue
		}
		if Known(name) != nil {
			return nil, fault.Invalid("permissions", "has "+quote(name)+", which is not in the catalogue, see ListPermissions")
		}
		if !givable.Has(name) {
			return nil, fault.Invalid("permissions", "has "+name+", which only built-in roles hold")
		}
	}
	return set, nil
}

// harmful are those of some permissions that nobody gets without a decision about them, see harmless.
func (r Registry) harmful(permissions Set) Set {
	return slices.DeleteFunc(permissions.Without(harmless), func(permission string) bool {
		p, _ := r.find(permission)
		return slices.Contains(p.HeldBy, "member") && !p.Dangerous
	})
}

// Change is what replacing a registry does, by name.
type Change struct{ Added, Changed, Retired []string }

// Empty tells whether nothing differs.
func (c Change) Empty() bool { return len(c.Added)+len(c.Changed)+len(c.Retired) == 0 }

// Replace makes the registry what a file says. What the file no longer has is retired, not forgotten: roles in any organization
// may have been given it, and whoever asks about it is answered no, as long as products ask. A name that comes back means
// what it meant: roles that were given it have it again.
func (r Registry) Replace(file []Registered) (Registry, Change, error) {
	var change Change
	after := Registry{Revision: r.Revision, Version: r.Version}
	for i, p := range file {
		if err := p.parse("permissions[" + strconv.Itoa(i) + "]"); err != nil {
			return r, change, err
		}
		if _, twice := after.find(p.Name); twice {
			return r, change, fault.Invalid("permissions", "has "+p.Name+" twice")
		}
		switch was, known := r.find(p.Name); {
		case !known || was.Retired:
			change.Added = append(change.Added, p.Name)
		case !was.same(p):
			change.Changed = append(change.Changed, p.Name)
		}
		after.insert(p)
	}
	for _, p := range r.Permissions {
		if _, stays := after.find(p.Name); stays {
			continue
		}
		if !p.Retired {
			change.Retired = append(change.Retired, p.Name)
		}
		p.Retired = true
		after.insert(p)
	}
	if len(after.Permissions) > maxRegistered {
		return r, change, limitReached("permissions", maxRegistered)
	}
	slices.Sort(change.Added)
	slices.Sort(change.Changed)
	return after, change, nil
}

func (r *Registry) insert(p Registered) {
	i, _ := slices.BinarySearchFunc(r.Permissions, p.Name, func(p Registered, name string) int { return strings.Compare(p.Name, name) })
	r.Permissions = slices.Insert(r.Permissions, i, p)
}

func (p Registered) same(other Registered) bool {
	return p.Name == other.Name && p.DisplayName == other.DisplayName && p.Description == other.Description &&
		p.Dangerous == other.Dangerous && slices.Equal(p.HeldBy, other.HeldBy)
}

// parse makes a registration of what a file says, at a place in it.
func (p *Registered) parse(place string) (err error) {
	if !Named(p.Name) {
		return fault.Invalid(place+".name", "must be like app:billing.refund: small letters, digits and underscores around one dot, at most "+
			strconv.Itoa(maxAppName)+" characters; "+quote(p.Name)+" is not")
	}
	if p.DisplayName, err = naming.ParseLine(place+".display_name", p.DisplayName, 1, 100); err != nil {
		return err
	}
	if p.Description, err = naming.ParseLine(place+".description", p.Description, 0, maxDescription); err != nil {
		return err
	}
	p.HeldBy = append([]string{}, slices.Compact(slices.Sorted(slices.Values(p.HeldBy)))...)
	for _, key := range p.HeldBy {
		if !slices.Contains([]string{"developer", "member", "viewer"}, key) {
			return fault.Invalid(place+".held_by", "has "+quote(key)+"; it may have developer, member and viewer: owner and admin hold every registered permission")
		}
	}
	if p.Dangerous && len(p.HeldBy) > 0 {
		return fault.Invalid(place+".held_by", "must be empty for "+p.Name+": what is dangerous is held by owner and admin, and by roles that they give it to")
	}
	p.Retired = false
	return nil
}
