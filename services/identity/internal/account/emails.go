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
	ErrEmailNotFound   = fault.New(errorv1.Reason_REASON_EMAIL_NOT_FOUND, "You have no such address.")
	ErrEmailPrimary    = fault.New(errorv1.Reason_REASON_STATE_CONFLICT, "This is your primary address. Make another one the primary first.")
	ErrEmailOnly       = fault.New(errorv1.Reason_REASON_STATE_CONFLICT, "This is the only address of your account. Add another one, confirm it and make it the primary one first.")
	ErrEmailUnproven   = fault.New(errorv1.Reason_REASON_EMAIL_UNVERIFIED, "Prove first that the address is yours: open the link that was mailed to it.")
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

// Add tells whether there is room for another address.
func (e Emails) Add(key string) error {
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
