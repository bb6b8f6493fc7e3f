// Package factor is what an account has beside its password: authenticator apps and the recovery codes that stand in for
// them. It does no I/O.
package factor

import (
	"time"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// Limits.
const (
	Most  = 10 // factors of one account
	Tries = 5  // codes that one challenge may be answered with
)

// Refusals.
var (
	ErrNotFound     = fault.New(errorv1.Reason_REASON_FACTOR_NOT_FOUND, "You have no such second factor.")
	ErrCodeInvalid  = fault.New(errorv1.Reason_REASON_CODE_INVALID, "The code is wrong, or was used before. Wait for the next one.")
	ErrCodeRequired = fault.New(errorv1.Reason_REASON_CODE_REQUIRED, "A code of your second factor is due too.")
	ErrMost         = fault.Newf(errorv1.Reason_REASON_LIMIT_REACHED, "An account has at most %d second factors.", Most).With("limit", "10")
	ErrNoChallenge  = fault.New(errorv1.Reason_REASON_STATE_CONFLICT, "The sign-in is complete: there is no challenge.").With("state", "COMPLETE")
)

// TooEarly refuses to look at a code before the delay after wrong ones is over.
func TooEarly(wait time.Duration) error {
	return fault.New(errorv1.Reason_REASON_RATE_LIMITED, "There were too many wrong codes. Wait before the next try.").
		WithRetry(max(wait, time.Second))
}

// Method is how a factor is proven.
type Method string

// TOTP is an authenticator app, RFC 6238.
const TOTP Method = "TOTP"

// Factor is an authenticator app of one person.
type Factor struct {
	ID           id.Factor
	Method       Method
	DisplayName  string
	SealedSecret []byte
	Active       bool  // signing in asks for it
	LastStep     int64 // the time step of the last code that was used
	CreateTime   time.Time
}
