package account

import (
	"time"

	"github.com/rosterhq/roster/services/internal/id"
)

// Management is an organization's say over an account that it brought in. It lasts while the account belongs to nobody else,
// and then for as long as there is a ground for it.
type Management struct {
	ManagedBy     id.Organization // zero: the account is its person's own
	Ground        Ground          // zero: that the account belongs to nobody else
	SignInAllowed bool
	Revision      int64 // of the organization's history that SignInAllowed follows from
}

// Ground is why an organization manages an account that belongs to others, too: the account belongs to it, and has its address on a domain
// that is its own.
type Ground struct {
	Domain     string // its name
	DomainID   id.Domain
	VerifyTime time.Time // since when the organization has the domain
	JoinTime   time.Time // since when the account belongs to the organization
	Lost       bool      // either has ended, and the management with it
}

// IsZero tells whether there is none.
func (g Ground) IsZero() bool { return g.DomainID.IsZero() }

// Is tells whether a ground is the same: what has ended and begun again since is another one.
func (g Ground) Is(other Ground) bool {
	return g.DomainID == other.DomainID && g.VerifyTime.Equal(other.VerifyTime) && g.JoinTime.Equal(other.JoinTime)
}

// Manager is the organization that manages the account now; zero: none.
func (m Management) Manager() id.Organization {
	if m.Ground.Lost {
		return id.Organization{}
	}
	return m.ManagedBy
}

// By tells whether an organization manages the account now. Whatever an organization may do with accounts that it manages asks this.
func (m Management) By(org id.Organization) bool { return !org.IsZero() && m.Manager() == org }

// SetSignIn lets the organization that manages the account decide whether it may sign in. What is not newer than the
// last decision, or comes from elsewhere, is not heard. A decision may leave things as they were: changed is false.
func (m *Management) SetSignIn(by id.Organization, allowed bool, revision int64) (heard, changed bool) {
	if !m.By(by) || revision <= m.Revision {
		return false, false
	}
	changed = m.SignInAllowed != allowed
	m.SignInAllowed, m.Revision = allowed, revision
	return true, changed
}

// Join is what follows when the account comes to belong to another organization, and there is this ground for managing it by now, if any. Without the
// one that it rests on already, the management ends.
func (m *Management) Join(now Ground) (ended, enabled bool) {
	if m.Ground.IsZero() {
		m.Ground = now
	}
	if now.IsZero() || !m.Ground.Is(now) {
		return true, m.End()
	}
	return false, false
}

// Move is what follows when another address is the primary one: a management that rests on the domain of the one before ends.
func (m *Management) Move(domain string) (ended, enabled bool) {
	if m.Ground.IsZero() || m.Ground.Domain == domain {
		return false, false
	}
	return true, m.End()
}

// End makes the account its person's own, for good. A person who was kept from signing in may sign in again: enabled.
func (m *Management) End() (enabled bool) {
	enabled = !m.SignInAllowed
	*m = Management{SignInAllowed: true}
	return enabled
}
