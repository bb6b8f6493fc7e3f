package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// Access is what a question about access is answered from: the standing of the account and of who asks. States are empty
// for somebody who does not belong.
type Access struct {
	State            org.MemberState
	Permissions      org.Set
	AskerState       org.MemberState
	AskerPermissions org.Set
	Revision         int64
}

// GetAccess reads the truth in one statement and one round trip. The setting that row-level security looks at is made by
// the same statement: the subquery is evaluated first because the rest depends on it, row by row.
func GetAccess(ctx context.Context, db *postgres.DB, key id.Organization, account, asker id.Account) (a Access, err error) {
	const question = `
		SELECT a.*
		FROM (SELECT set_config('app.aggregate_id', $1::uuid::text, true) AS organization) s, LATERAL (
			SELECT coalesce(m.state, '') AS state, coalesce(m.permissions, '{}') AS permissions,
			       coalesce(b.state, '') AS asker_state, coalesce(b.permissions, '{}') AS asker_permissions,
			       coalesce((SELECT h.revision FROM heads h WHERE h.aggregate_id = o.organization_id), 0) AS revision
			FROM organizations o
			LEFT JOIN LATERAL (
				SELECT m.state, r.permissions
				FROM members m JOIN roles r ON r.organization_id = m.organization_id AND r.role_id = m.role_id
				WHERE m.organization_id = o.organization_id AND m.account_id = $2
			) m ON true
			LEFT JOIN LATERAL (
				SELECT m.state, r.permissions
				FROM members m JOIN roles r ON r.organization_id = m.organization_id AND r.role_id = m.role_id
				WHERE m.organization_id = o.organization_id AND m.account_id = $3 AND $3 <> $2
			) b ON true
			WHERE o.organization_id = s.organization::uuid AND o.state = 'ACTIVE'
			LIMIT 1
		) a`
	err = db.Read(ctx, func(conn *pgx.Conn) error {
		rows, _ := conn.Query(ctx, question, key, account, asker) // collecting reports the error
		a, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Access])
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil {
		return Access{}, fmt.Errorf("get access: %w", err)
	}
	return a, nil
}
