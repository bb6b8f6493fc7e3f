// Package factor is what an account has beside its password: authenticator apps, passkeys, and the recovery codes that stand in for
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
	Most         = 10 // authenticator apps of one account
	MostPasskeys = 20 // of one account
	Tries        = 5  // codes that one challenge may be answered with
)

// Refusals.
var (
	ErrNotFound     = fault.New(errorv1.Reason_REASON_FACTOR_NOT_FOUND, "You have no such second factor.")
	ErrCodeInvalid  = fault.New(errorv1.Reason_REASON_CODE_INVALID, "The code is wrong, or was used before. Wait for the next one.")
	ErrCodeRequired = fault.New(errorv1.Reason_REASON_CODE_REQUIRED, "A code of your second factor is due too.")
	ErrMost         = fault.Newf(errorv1.Reason_REASON_LIMIT_REACHED, "An account has at most %d authenticator apps.", Most).With("limit", "10")
	ErrMostPasskeys = fault.Newf(errorv1.Reason_REASON_LIMIT_REACHED, "An account has at most %d passkeys.", MostPasskeys).With("limit", "20")
	ErrNoChallenge  = fault.New(errorv1.Reason_REASON_STATE_CONFLICT, "The sign-in is complete: there is no challenge.").With("state", "COMPLETE")

	ErrPasskeyInvalid = fault.New(errorv1.Reason_REASON_PASSKEY_INVALID, "The passkey was not accepted. Try again, or sign in another way.")
	ErrPasskeyTaken   = fault.New(errorv1.Reason_REASON_PASSKEY_TAKEN, "This passkey was set up before. Make another one.")
	ErrNoPasskey      = fault.New(errorv1.Reason_REASON_FACTOR_NOT_FOUND, "You have no passkey.")
	ErrPasskeysOff    = fault.New(errorv1.Reason_REASON_FEATURE_OFF,
		"Passkeys belong to a name, and this deployment is reached by an address of the network. Its operator can give its public URL a name.")
)

// Required refuses to take the last second factor from who belongs to an organization that asks for one.
func Required(by string) error {
	return fault.Newf(errorv1.Reason_REASON_MFA_REQUIRED, "%s asks for a second factor. Set another one up first, then take this one away.", by).
		With("method", "BeginTotp")
}

// TooEarly refuses to look at a code before the delay after wrong ones is over.
func TooEarly(wait time.Duration) error {
	return fault.New(errorv1.Reason_REASON_RATE_LIMITED, "There were too many wrong codes. Wait before the next try.").
		WithRetry(max(wait, time.Second))
}

// Method is how a factor is proven.
type Method string

// The methods.
const (
	TOTP    Method = "TOTP"    // an authenticator app, RFC 6238
	Passkey Method = "PASSKEY" // WebAuthn
)

// Factor is an authenticator app or a passkey of one person.
type Factor struct {
	ID          id.Factor
	Method      Method
	DisplayName string
	Active      bool // signing in asks for it
	CreateTime  time.Time

	// Of an app.
	SealedSecret []byte
	LastStep     int64 // the time step of the last code that was used

	// Of a passkey, see package passkey.
	CredentialID []byte
	PublicKey    []byte
	SignCount    uint32
	Syncable     bool
	Alone        bool // it has signed its person in by itself, so that it can
}

// Of returns the factors of a method.
func Of(method Method, factors []Factor) (found []Factor) {
	for _, one := range factors {
		if one.Method == method {
			found = append(found, one)
		}
	}
	return found
}
