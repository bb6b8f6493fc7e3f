package store

import (
	"context"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// LockManagement returns who manages the account, and holds its row until the transaction ends.
func (q Queries) LockManagement(ctx context.Context, key id.Account) (m account.Management, err error) {
	var row struct {
		ManagedBy      id.Organization
		SignInAllowed  bool
		SignInRevision int64
	}
	var found bool
	q.Read(`SELECT managed_by, sign_in_allowed, sign_in_revision FROM accounts WHERE id = $1 FOR NO KEY UPDATE`,
		[]any{key}, postgres.One(&row, &found))
	if err = q.Fetch(ctx); err == nil && !found {
		err = account.ErrNotFound
	}
	return account.Management{ManagedBy: row.ManagedBy, SignInAllowed: row.SignInAllowed, Revision: row.SignInRevision}, err
}

// SaveManagement writes who manages the account and whether it may sign in.
func (q Queries) SaveManagement(key id.Account, m account.Management) {
	q.Write(`UPDATE accounts SET managed_by = $2, sign_in_allowed = $3, sign_in_revision = $4 WHERE id = $1`,
		key, m.ManagedBy, m.SignInAllowed, m.Revision)
}

// Manages queues the question whether an organization manages an account, for what is fetched next.
func (q Queries) Manages(by id.Organization, key id.Account, into *bool) {
	var row struct{ ManagedBy id.Organization }
	q.Read(`SELECT managed_by FROM accounts WHERE id = $1 AND managed_by = $2`, []any{key, by}, postgres.One(&row, into))
}
