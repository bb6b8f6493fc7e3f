package store

import (
	"context"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// unprotected tells whether an account has no second factor. What whoever asks has shown is known better than from what was heard of them.
func unprotected(asks caller.Caller, account id.Account, methods []string) bool {
	if account == asks.Account {
		return asks.Factors() < 2
	}
	return len(methods) == 0
}

// SaveFactors notes the ways in which an account proves a second factor; the scope must open the account.
func (q Queries) SaveFactors(account id.Account, methods []string) {
	if len(methods) == 0 {
		q.Write(`DELETE FROM account_factors WHERE account_id = $1`, account)
		return
	}
	q.Write(`
		INSERT INTO account_factors (account_id, methods) VALUES ($1, $2)
		ON CONFLICT (account_id) DO UPDATE SET methods = excluded.methods`, account, methods)
}

// withoutFactor queues a count of the active members whose account has no second factor.
func (q Queries) withoutFactor(key id.Organization, into *int64) {
	q.Read(`
		SELECT count(*) FROM members m LEFT JOIN account_factors f USING (account_id)
		WHERE m.organization_id = $1 AND m.state = 'ACTIVE' AND f.account_id IS NULL`, []any{key}, number(into))
}

// FindMfaRequirement returns the name of an organization that the account belongs to and that asks for a second factor; empty: there is none.
// The transaction must be across organizations.
func (q Queries) FindMfaRequirement(ctx context.Context, account id.Account) (name string, err error) {
	var found []struct{ DisplayName string }
	q.Read(`
		SELECT o.display_name FROM members m JOIN organizations o ON o.organization_id = m.organization_id
		WHERE m.account_id = $1 AND m.state = 'ACTIVE' AND o.state = 'ACTIVE' AND (o.policy ->> 'mfa_required')::boolean
		ORDER BY o.sort_name LIMIT 1`, []any{account}, postgres.All(&found))
	if err := q.Fetch(ctx); err != nil || len(found) == 0 {
		return "", err
	}
	return found[0].DisplayName, nil
}
