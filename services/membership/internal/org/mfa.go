package org

import (
	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
)

// SecureOrganization is the permission to change the rules for signing in.
const SecureOrganization = "org.security.update"

// errMfaRequired names the method that sets a second factor up; where the account has one, signing in again asks for it.
var errMfaRequired = fault.New(errorv1.Reason_REASON_MFA_REQUIRED, "This organization asks for a second factor. "+
	"Set one up: POST /v1/me/factors/totp or 'roster mfa enable'; if you have one, sign in again with it.").With("method", "BeginTotp")

// errMfaFirst is for who would shut themselves out.
var errMfaFirst = fault.New(errorv1.Reason_REASON_MFA_REQUIRED, "You would have no access yourself: you have no second factor, or have not shown it. "+
	"Set one up first: POST /v1/me/factors/totp or 'roster mfa enable'; if you have one, sign in again with it.").With("method", "BeginTotp")

// shut tells whether the organization asks for a second factor that the member does not have. It takes no access anywhere else, and what
// the member holds is theirs again with the factor.
func (o Organization) shut(m Member) bool { return o.Policy.MfaRequired && m.Unprotected }

// pass refuses a member whom the organization asks for a second factor.
func (o Organization) pass(m Member) error {
	if o.shut(m) {
		return errMfaRequired.With("organization", o.ID.String())
	}
	return nil
}

// maySecure refuses an actor to ask of others what they do not have themselves.
func (a Actor) maySecure(before, after Policy) error {
	if before.MfaRequired == after.MfaRequired {
		return nil
	}
	if err := a.Need(SecureOrganization); err != nil {
		return err
	}
	if after.MfaRequired && a.member.Unprotected {
		return errMfaFirst.With("organization", a.organization.ID.String())
	}
	return nil
}
