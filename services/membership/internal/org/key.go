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
func (o Organization) Keyed(held Set) Set {
	if o.Key == nil {
		return held
	}
	return held.In(*o.Key)
}

// DecideSelf is Decide for somebody who asks about themselves.
func (o Organization) DecideSelf(m Member, permission string, project id.Project) Verdict {
	v := o.Decide(m, permission, project)
	if v.Decision == Allowed && !o.Keyed(Set{permission}).Has(permission) {
		return Verdict{Decision: NotPermitted}
	}
	return v
}
