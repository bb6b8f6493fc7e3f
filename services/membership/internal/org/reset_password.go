package org

import (
	"cmp"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
)

// Permission is what resetting passwords in this way needs.
func (r Reset) Permission() string {
	if r == ByTempPassword {
		return IssueTempPassword
	}
	return SendResetLink
}

// ResetPassword refuses to reset the target's password, or says how it is done: as wanted or, where nothing is wanted, as the policy says.
// Whoever has the password can do what the target can, so it takes all of that, and is never done to an owner.
func (a Actor) ResetPassword(target Member, wanted Reset) (Reset, error) {
	method := cmp.Or(wanted, a.organization.Policy.PasswordReset)
	if err := a.Empower(target, method.Permission()); err != nil {
		return "", err
	}
	switch role, _ := a.organization.Roles.ByID(target.Role); {
	case role.Owner:
		return "", fault.New(errorv1.Reason_REASON_OWNER_PROTECTED,
			"Nobody resets the password of an owner. They ask for a link themselves: `roster password forgot`.")
	case target.State != MemberActive:
		return "", target.conflict("The member is disabled. Enable them first.")
	case method == ByTempPassword && a.organization.Policy.PasswordReset != ByTempPassword:
		return "", SwitchedOff("password_reset")
	}
	return method, nil
}
