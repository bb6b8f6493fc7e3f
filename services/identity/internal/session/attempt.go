package session

import "time"

// What is kept of an account's login activity: the latest of what succeeded, and of what failed apart, so that nobody pushes the
// one out with the other.
const (
	Attempts    = 100                 // of each
	AttemptsFor = 90 * 24 * time.Hour // and not longer
)

// Action is what was tried.
type Action string

// The actions.
const (
	SignIn         Action = "SIGN_IN"
	SignOut        Action = "SIGN_OUT"
	Reauthenticate Action = "REAUTHENTICATE"
	PasswordChange Action = "PASSWORD_CHANGE"
	PasswordReset  Action = "PASSWORD_RESET"
)

// Method is what it was tried with.
type Method string

// The methods. Empty: a session.
const (
	ByPassword     Method = "PASSWORD"
	BySecondFactor Method = "SECOND_FACTOR"
	ByLink         Method = "LINK"     // of an invitation, or to reset a password
	ByPasskey      Method = "PASSKEY"  // alone
	ByProvider     Method = "PROVIDER" // of identity
)

// Reason is why it did not succeed.
type Reason string

// The reasons. Empty: it succeeded.
const (
	CodeDue       Reason = "CODE_DUE"            // the password was right, and no code came yet
	PasswordDue   Reason = "PASSWORD_CHANGE_DUE" // the password was temporary, and no other came yet
	WrongPassword Reason = "WRONG_PASSWORD"
	WrongCode     Reason = "WRONG_CODE"
	TooMany       Reason = "TOO_MANY_FAILURES" // right or wrong: it was too early to try again
	Disabled      Reason = "DISABLED"
	WrongPasskey  Reason = "WRONG_PASSKEY"
	PasskeyCopied Reason = "PASSKEY_COPIED" // it has counted backwards
)

// Attempt is a line of an account's login activity.
type Attempt struct {
	Time      time.Time
	Action    Action
	Method    Method
	Reason    Reason
	Address   string
	UserAgent string
}
