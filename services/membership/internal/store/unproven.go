package store

import (
	"context"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// SaveUnproven notes whether an account is unproven; the scope must open the account.
func (q Queries) SaveUnproven(account id.Account, unproven bool) {
	if unproven {
		q.Write(`INSERT INTO unproven_accounts (account_id) VALUES ($1) ON CONFLICT DO NOTHING`, account)
		return
	}
	q.Write(`DELETE FROM unproven_accounts WHERE account_id = $1`, account)
}

// IsUnproven tells whether a member's account is unproven.
func (q Queries) IsUnproven(ctx context.Context, member id.Account) (bool, error) {
	var found []struct{ AccountID id.Account }
	q.Read(`SELECT account_id FROM unproven_accounts WHERE account_id = $1`, []any{member}, postgres.All(&found))
	err := q.Fetch(ctx)
	return len(found) > 0, err
}
