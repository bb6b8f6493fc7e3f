package org

import (
	"time"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// What an actor does to a member. Each decides and does it; others tells whether another active member can do everything.

// ChangeRole gives the target the role of that key.
func (a Actor) ChangeRole(target *Member, key, etag string, others bool) error {
	if err := a.Empower(*target, AssignRole); err != nil {
		return err
	}
	role, err := a.Give(key)
	if err != nil {
		return err
	}
	if err := a.organization.Spare(*target, role, others); err != nil {
		return err
	}
	return target.ChangeRole(role, etag)
}

// Disable ends the target's access and returns the seat that it held.
func (a Actor) Disable(target *Member, others bool, at time.Time) (id.Seat, error) {
	if err := a.Manage(*target, DisableMembers); err != nil {
		return id.Seat{}, err
	}
	if err := a.organization.Spare(*target, Role{}, others); err != nil {
		return id.Seat{}, err
	}
	return target.Disable(a.Account, at)
}

// MayEnable refuses to give the target the access back.
func (a Actor) MayEnable(target Member) error {
	if err := a.Empower(target, EnableMembers); err != nil {
		return err
	}
	return target.Enablable()
}

// Remove ends the target's membership and returns the seat that it held; zero for a disabled member.
func (a Actor) Remove(target *Member, others bool) (id.Seat, error) {
	if err := a.Manage(*target, RemoveMembers); err != nil {
		return id.Seat{}, err
	}
	if err := a.organization.Spare(*target, Role{}, others); err != nil {
		return id.Seat{}, err
	}
	return target.Remove(), nil
}

// Leave ends the actor's own membership and returns its seat. It takes no permission, only somebody who stays behind with
// full rights.
func (a Actor) Leave(self *Member, others bool) (id.Seat, error) {
	if !a.organization.Policy.AllowLeave {
		return id.Seat{}, SwitchedOff("allow_leave")
	}
	return a.organization.Depart(self, others)
}

// Depart ends the membership of somebody who wants that, whatever the policy says about leaving, and returns the seat that it held; others tells whether
// another active member can do everything.
func (o Organization) Depart(self *Member, others bool) (id.Seat, error) {
	if role, _ := o.Roles.ByID(self.Role); o.Policy.Ownership == Single && role.Owner {
		return id.Seat{}, fault.New(errorv1.Reason_REASON_LAST_OWNER,
			"You are the owner, and an organization is never without one. Hand it over first, or delete it.")
	}
	if err := o.Spare(*self, Role{}, others); err != nil {
		return id.Seat{}, err
	}
	return self.Remove(), nil
}
