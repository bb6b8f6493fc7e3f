// Package account is what an account is, who has a say over it, and what its password may be. It does no I/O. What names
// and addresses may look like is said by packages naming and email.
package account

import (
	"time"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// Refusals.
var (
	ErrNotFound           = fault.New(errorv1.Reason_REASON_ACCOUNT_NOT_FOUND, "There is no such account.")
	ErrEmailTaken         = fault.New(errorv1.Reason_REASON_EMAIL_TAKEN, "This address belongs to an account. Sign in to it instead.")
	ErrUsernameTaken      = fault.New(errorv1.Reason_REASON_USERNAME_TAKEN, "This username is taken. Choose another.")
	ErrPasswordLost       = fault.New(errorv1.Reason_REASON_PASSWORD_REFUSED, "The password was lost before the account was made. Enter it again.")
	ErrCredentialsInvalid = fault.New(errorv1.Reason_REASON_CREDENTIALS_INVALID, "Address, username or password are wrong.")
	ErrNotManaged         = fault.New(errorv1.Reason_REASON_ACCOUNT_NOT_MANAGED,
		"The account is its person's own. Send a link to reset the password instead: the method LINK, `--method link`.").With("method", "LINK")
	ErrNoPassword  = fault.New(errorv1.Reason_REASON_PASSWORD_MISSING, "There is no password to reset: this person signs in in another way.")
	ErrUnverified  = fault.New(errorv1.Reason_REASON_EMAIL_UNVERIFIED, "This person has not proven an address that a link could be mailed to.")
	ErrMailsSpent  = fault.New(errorv1.Reason_REASON_RATE_LIMITED, "This address has had five such mails within the hour. Try again later.")
	ErrLinkInvalid = fault.New(errorv1.Reason_REASON_LINK_INVALID, "This link is unknown, has expired, or was used before.")
)

// Account is a person who can sign in.
type Account struct {
	ID            id.Account
	DisplayName   string
	Email         string // as the person wrote it; empty: none
	EmailVerified bool   // the person has proven that the address is theirs
	Username      string // as written; empty: none
	CreateTime    time.Time
	AvatarID      string // what the picture is found by; empty: there is none

	UnprovenTime *time.Time // since when the account is unproven; nil: it is not

	// What the person says of themselves, for themselves and their programs; empty: nothing.
	Phone    string // E.164
	Locale   string // BCP 47
	TimeZone string // by its IANA name
}

// Unproven tells whether an admin has written the address, or had the password made, and nobody has proven since that the mailbox is the person's:
// somebody else may be signed in.
func (a Account) Unproven() bool { return a.UnprovenTime != nil }

// Proven tells whether the address is known to be the person's.
func (a Account) Proven() bool { return a.EmailVerified && !a.Unproven() }

// Since tells whether something that was added to the account then may be somebody else's.
func (a Account) Since(added time.Time) bool { return a.Unproven() && !added.Before(*a.UnprovenTime) }

// SignUpLifetime is how long the link of a sign-up works.
const SignUpLifetime = 24 * time.Hour

// ResetLifetime is how long a link to reset a password works.
const ResetLifetime = 30 * time.Minute

// TemporaryLifetime is how long a password works that an admin had made.
const TemporaryLifetime = 72 * time.Hour

// SignUp is somebody who asked for an account and has not proven their address. It blocks nothing.
type SignUp struct {
	ID           id.SignUp
	Email        string // as the person wrote it
	DisplayName  string
	PasswordHash string
	ExpireTime   time.Time
}

// Verified is the account that a sign-up becomes.
func (s SignUp) Verified(as id.Account, now time.Time) Account {
	return Account{ID: as, DisplayName: s.DisplayName, Email: s.Email, EmailVerified: true, CreateTime: now}
}

// Delays of sign-ins after failures.
const (
	FreeFailures = 5 // failures without a delay after them
	MaxDelay     = 15 * time.Minute
)

// DelayAfter is how long nobody may try again after so many failures in a row: 1 s after the fifth, then
// doubling.
func DelayAfter(failures int) time.Duration {
	if failures < FreeFailures {
		return 0
	}
	return min(time.Second<<min(failures-FreeFailures, 20), MaxDelay)
}
