package org

import (
	"strconv"
	"strings"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// Actor is a member with access, who wants something. Organization.Admit makes one.
type Actor struct {
	Account     id.Account
	Role        Role
	Permissions Set // of role and groups

	member       Member
	organization Organization
}

// May tells whether the actor's role, or a group of the actor's, allows it.
func (a Actor) May(permission string) bool { return a.Permissions.Has(permission) }

// Need refuses an actor who may not.
func (a Actor) Need(permission string) error {
	if a.May(permission) {
		return nil
	}
	return missing(permission, "Your role here does not allow this. Ask an admin of the organization.")
}

func missing(permission, message string) *fault.Fault {
	return fault.New(errorv1.Reason_REASON_PERMISSION_MISSING, message).With("permission", permission)
}

// MayGive tells whether the actor could give the role to anybody, for pages that offer it.
func (a Actor) MayGive(role Role) bool {
	if !a.May(AssignRole) && !a.May(Invite) {
		return false
	}
	_, err := a.Give(role.Key)
	return err == nil
}

// Give returns the role of that key if the actor may give it: never the owner's, nothing beyond what the actor
// holds, and an admin's only as the policy says.
func (a Actor) Give(key string) (Role, error) {
	role, err := a.organization.Roles.Givable(key)
	if err != nil {
		return Role{}, err
	}
	if err := a.mayAppoint(role); err != nil {
		return Role{}, err
	}
	if beyond := role.Permissions.Without(a.Permissions); len(beyond) > 0 {
		return Role{}, roleFault(key, "This role allows more than your own: "+strings.Join(beyond, ", ")+". You can give only what you hold.").
			With("missing", strings.Join(beyond, ","))
	}
	return role, nil
}

// appoints tells whether the actor makes admins, if the role allows the rest.
func (a Actor) appoints() bool {
	return a.organization.Policy.AdminAppointment != ByOwner || a.Role.Owner
}

// mayAppoint refuses to make admins where only the owner does.
func (a Actor) mayAppoint(role Role) error {
	if role.AdminClass() && !a.appoints() {
		return roleFault(role.Key, "Only the organization owner appoints admins. Contact the organization owner.")
	}
	return nil
}

// Manage refuses what the actor may not do to the target, whatever the target's state is.
func (a Actor) Manage(target Member, permission string) error {
	if err := a.Need(permission); err != nil {
		return err
	}
	if !target.Belongs() {
		return ErrNoMember
	}
	if target.Account == a.Account {
		return fault.New(errorv1.Reason_REASON_SELF_ACTION, "You cannot do this to your own membership. Ask another admin.")
	}
	role, _ := a.organization.Roles.ByID(target.Role)
	if role.Owner && (a.organization.Policy.Ownership != Multiple || !a.Role.Owner) { // where there are several, they are equals
		return fault.New(errorv1.Reason_REASON_OWNER_PROTECTED,
			"Owner is reserved and immutable: the owner's membership cannot be changed, disabled or removed.")
	}
	if a.organization.adminClass(target) && !a.May(ManageAdmins) {
		return missing(ManageAdmins, "Only the organization owner manages admins. Contact the organization owner.")
	}
	return nil
}

// Empower is Manage for what gives the target power: the actor must hold all that the target may do anywhere.
func (a Actor) Empower(target Member, permission string) error {
	if err := a.Manage(target, permission); err != nil {
		return err
	}
	if beyond := a.organization.reach(target).Without(a.Permissions); len(beyond) > 0 {
		return missing(beyond[0], "This member may do more than you: "+strings.Join(beyond, ", ")+". Contact the organization owner.")
	}
	return nil
}

// match refuses a change of something that was changed since it was read. An empty etag matches whatever there is.
func match(etag string, version int64) error {
	if etag == "" || etag == Etag(version) {
		return nil
	}
	return fault.New(errorv1.Reason_REASON_ETAG_MISMATCH, "This was changed since you read it. Read it again, and repeat the change.")
}

// Etag is the etag of a version.
func Etag(version int64) string { return strconv.FormatInt(version, 10) }

// quote makes what somebody typed fit for a message.
func quote(s string) string {
	if len(s) > 64 {
		s = s[:64]
	}
	return strconv.Quote(s)
}
