// Package seat holds the rules of seats: what an organization uses, whether it may grow, and what a seat can
// become. It knows no database and no network.
package seat

import (
	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
)

// What is answered when usage cannot be shown, or a limit not be set.
var (
	ErrOrganizationNotFound = fault.New(errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND, "There is no such organization, or you do not belong to it.")
	ErrMemberDisabled       = fault.New(errorv1.Reason_REASON_MEMBER_DISABLED, "Your membership in this organization is disabled. Ask one of its admins to enable it.")
	ErrMfaRequired          = fault.New(errorv1.Reason_REASON_MFA_REQUIRED, "This organization asks for a second factor. Set one up: POST /v1/me/factors/totp or 'roster mfa enable'.").With("method", "BeginTotp")
	ErrPermissionMissing    = fault.New(errorv1.Reason_REASON_PERMISSION_MISSING, "Your role in this organization does not allow you to see its seats.").With("permission", PermissionRead)
	ErrLimitReached         = fault.New(errorv1.Reason_REASON_SEAT_LIMIT_REACHED, "All seats are in use.")
	ErrLimit                = fault.Invalid("limit", "must be at least 1; leave it out for no limit")
)

// PermissionRead is what a member needs to see usage.
const PermissionRead = "seats.read"

// UsageState is usage against the limit.
type UsageState string

// The states of usage.
const (
	Unlimited UsageState = "UNLIMITED"
	OK        UsageState = "OK"
	Near      UsageState = "NEAR" // at least 80 % of 5 or more, or one is left
	At        UsageState = "AT"
	Over      UsageState = "OVER" // nobody is removed; growth is refused
)

// Usage is how many seats an organization uses, and how many it may. The zero Usage is that of an organization nobody
// has heard of.
type Usage struct {
	Occupied int32  // by members
	Reserved int32  // for pending invitations and operations under way
	Cap      *int32 // nil: no limit; never 0
}

// Used is the sum of what is occupied and reserved.
func (u Usage) Used() int32 { return u.Occupied + u.Reserved }

// Available is how many seats can still be taken; nil: no limit.
func (u Usage) Available() *int32 {
	if u.Cap == nil {
		return nil
	}
	left := max(0, *u.Cap-u.Used())
	return &left
}

// Admits tells whether n more seats may be taken.
func (u Usage) Admits(n int) bool { return u.Cap == nil || int64(u.Used())+int64(n) <= int64(*u.Cap) }

// State is usage against the limit.
func (u Usage) State() UsageState {
	switch used, limit := int64(u.Used()), u.Cap; {
	case limit == nil:
		return Unlimited
	case used > int64(*limit):
		return Over
	case used == int64(*limit):
		return At
	case used == int64(*limit)-1, *limit >= 5 && used*100 >= int64(*limit)*80:
		return Near
	}
	return OK
}

// SetCap moves the limit and tells whether that changed anything. A limit below what is used is allowed.
func (u *Usage) SetCap(limit *int32) (changed bool, err error) {
	if limit != nil && *limit < 1 {
		return false, ErrLimit
	}
	if u.Cap == nil || limit == nil {
		changed = u.Cap != limit
	} else {
		changed = *u.Cap != *limit
	}
	u.Cap = limit
	return changed, nil
}
