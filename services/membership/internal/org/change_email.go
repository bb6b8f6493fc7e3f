package org

import (
	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
)

// ErrEmailTaken refuses an address that an account claims, proven or not.
var ErrEmailTaken = fault.New(errorv1.Reason_REASON_EMAIL_TAKEN, "Another account has this address, or claims it. Whoever reads the mailbox can sign in to that account, or take the address with them.")

// ChangeEmail refuses to give the target's account another address. Whoever reads the mailbox can do what the target can, so it takes all of that, and
// is never done to an owner.
func (a Actor) ChangeEmail(target Member) error {
	if err := a.Empower(target, UpdateProfiles); err != nil {
		return err
	}
	if role, _ := a.organization.Roles.ByID(target.Role); role.Owner {
		return fault.New(errorv1.Reason_REASON_OWNER_PROTECTED, "Nobody changes the address of an owner. They do it themselves: `roster email`.")
	}
	return nil
}
