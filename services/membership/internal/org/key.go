package org

import (
	"slices"

	"github.com/rosterhq/roster/services/internal/id"
)

// UseKey says that who asks does so with a key. It gives nothing: what they may do by it is what they may do anyway and the key is for.
func (o *Organization) UseKey(scopes []string) {
	if len(scopes) > 0 {
		key := Set(slices.Compact(slices.Sorted(slices.Values(scopes))))
		o.Key = &key
	}
}

// Keyed is what is left by the key of what somebody holds who asks.
func (o Organization) Keyed(m Member, held Set) Set {
	switch {
	case o.Key == nil:
		return held
	case !o.takesKey(m):
		return nil
	}
	return held.In(*o.Key)
}

// takesKey tells whether keys of the member's work in this organization at all: whether they may have any. A service account has
// nothing else.
func (o Organization) takesKey(m Member) bool {
	return o.Key == nil || m.State == NoMember || o.Decide(m, CreateOwnKeys, id.Project{}).Decision == Allowed
}

// DecideSelf is Decide for somebody who asks about themselves.
func (o Organization) DecideSelf(m Member, permission string, project id.Project) Verdict {
	v := o.Decide(m, permission, project)
	if v.Decision == Allowed && !o.Keyed(m, Set{permission}).Has(permission) {
		return Verdict{Decision: NotPermitted}
	}
	return v
}
