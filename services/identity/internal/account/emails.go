package account

import (
	"slices"
	"time"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/email"
)

// Refusals.
var (
	ErrEmailNotFound = fault.New(errorv1.Reason_REASON_EMAIL_NOT_FOUND, "You have no such address.")
	ErrEmailPrimary  = fault.New(errorv1.Reason_REASON_STATE_CONFLICT, "This is your primary address. Make another one the primary first.")
	ErrEmailOnly     = fault.New(errorv1.Reason_REASON_STATE_CONFLICT, "This is the only address of your account. Add another one, confirm it and make it the primary one first.")
	ErrEmailUnproven = fault.New(errorv1.Reason_REASON_EMAIL_UNVERIFIED, "Prove first that the address is yours: open the link that was mailed to it.")
	ErrUnproven      = fault.New(errorv1.Reason_REASON_EMAIL_UNVERIFIED, "Prove first that your mailbox is yours: sign in, and open the link that was mailed to you. "+
		"To have it sent again, add the address that you have: `roster email add ADDRESS`, or POST /v1/me/emails.")
	ErrNotSignedIn = fault.New(errorv1.Reason_REASON_SIGN_IN_REQUIRED, "An admin has had a password made for this account, or has written its address. Sign in to it "+
		"in this browser, then open the link again. If you do not know its password, ask for a link to choose one.")
	ErrEmailNotManaged = fault.New(errorv1.Reason_REASON_ACCOUNT_NOT_MANAGED, "The account is its person's own, and so is its address: they change it themselves, "+
		"with `roster email`. To reach them at another one from here, set contact_email, `roster member edit --contact-email`.")
	ErrSameEmail = fault.New(errorv1.Reason_REASON_STATE_CONFLICT, "This is the address of the account already.")

	ErrTooManyEmails   = fault.Newf(errorv1.Reason_REASON_LIMIT_REACHED, "You have %d addresses, with those that wait for their proof. Remove one first.", mostEmails)
	ErrTooManyEmailing = fault.New(errorv1.Reason_REASON_RATE_LIMITED, "You have added five addresses within the hour. Try again later.")
)

// Times of links.
const (
	AdditionLifetime = 24 * time.Hour     // to prove an address
	RevertLifetime   = 7 * 24 * time.Hour // to take back that another address is the primary one
)

const mostEmails = 10

// Email is an address that an account has, or wants.
type Email struct {
	Key     string    // in the form that is compared
	Address string    // as the person wrote it
	Expires time.Time // the link that proves it; zero: it is proven
}

// Emails are the addresses of an account.
type Emails struct {
	Account Account
	Proven  []Email // oldest first
	Waiting []Email // for their proof, soonest to expire first
}

// Primary is the one that is shown, and gets the mail. Whoever has proven any has proven this one.
func (e Emails) Primary() (primary Email, proven bool) {
	written, _ := email.Parse(e.Account.Email)
	i := slices.IndexFunc(e.Proven, func(one Email) bool { return e.Account.EmailVerified && one.Key == written.Key })
	if i < 0 {
		return primary, false
	}
	return e.Proven[i], true
}

// Settled refuses to give an account that is unproven another address, or take one away: it may be somebody else who wants that. The one that it
// has is proven first.
func (e Emails) Settled(key string) error {
	if written, has := email.Parse(e.Account.Email); e.Account.Unproven() && has && written.Key != key {
		return ErrUnproven
	}
	return nil
}

// Add tells whether there is room for another address.
func (e Emails) Add(key string) error {
	if err := e.Settled(key); err != nil {
		return err
	}
	others := slices.DeleteFunc(slices.Clone(e.Waiting), func(one Email) bool { return one.Key == key })
	if len(e.Proven)+len(others) >= mostEmails {
		return ErrTooManyEmails
	}
	return nil
}

// Remove takes an address away. The primary one stays: somebody has to get the mail.
func (e Emails) Remove(key string) (removed Email, err error) {
	if primary, _ := e.Primary(); primary.Key == key {
		if len(e.Proven) == 1 {
			return removed, ErrEmailOnly
		}
		return removed, ErrEmailPrimary
	}
	if err := e.Settled(key); err != nil {
		return removed, err
	}
	for _, one := range slices.Concat(e.Proven, e.Waiting) {
		if one.Key == key {
			return one, nil
		}
	}
	return removed, ErrEmailNotFound
}

// SetPrimary makes a proven address the primary one. It may be that already: changed is false.
func (e *Emails) SetPrimary(key string) (changed bool, err error) {
	has := func(one Email) bool { return one.Key == key }
	i := slices.IndexFunc(e.Proven, has)
	switch {
	case i >= 0:
		primary, _ := e.Primary()
		changed = primary.Key != key
		e.Account.Email, e.Account.EmailVerified = e.Proven[i].Address, true
		return changed, nil
	case slices.ContainsFunc(e.Waiting, has):
		return false, ErrEmailUnproven
	}
	return false, ErrEmailNotFound
}
