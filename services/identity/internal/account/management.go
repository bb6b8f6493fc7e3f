package account

import "github.com/rosterhq/roster/services/internal/id"

// Management is an organization's say over an account that it brought in. It lasts while the account belongs to nobody
// else.
type Management struct {
	ManagedBy     id.Organization // zero: the account is its person's own
	SignInAllowed bool
	Revision      int64 // of the organization's history that SignInAllowed follows from
}

// SetSignIn lets the organization that manages the account decide whether it may sign in. What is not newer than the
// last decision, or comes from elsewhere, is not heard. A decision may leave things as they were: changed is false.
func (m *Management) SetSignIn(by id.Organization, allowed bool, revision int64) (heard, changed bool) {
	if m.ManagedBy.IsZero() || m.ManagedBy != by || revision <= m.Revision {
		return false, false
	}
	changed = m.SignInAllowed != allowed
	m.SignInAllowed, m.Revision = allowed, revision
	return true, changed
}

// Join ends the management for good when the account comes to belong to another organization. A person who was kept from
// signing in may sign in again: enabled.
func (m *Management) Join(org id.Organization) (ended, enabled bool) {
	if m.ManagedBy.IsZero() || m.ManagedBy == org {
		return false, false
	}
	enabled = !m.SignInAllowed
	*m = Management{SignInAllowed: true}
	return true, enabled
}
