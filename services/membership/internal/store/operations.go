package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/rosterhq/roster/pkg/fault"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// operation queues a read; the zero operation stays when there is none.
func (q Queries) operation(where string, args ...any) *org.Operation {
	found := new(org.Operation)
	q.Read(`
		SELECT seat_id, kind, state, account_id, actor_account_id, cause, request_id, refusal, role_id,
		       coalesce(version, 0) AS version, coalesce(revision, 0) AS revision, create_time, display_name, email, username, '' AS avatar_url, new_account
		FROM member_operations WHERE organization_id = $1 AND `+where,
		args, func(rows pgx.Rows) error {
			var row operationRow
			var any bool
			err := postgres.One(&row, &any)(rows)
			*found = row.Operation
			found.Person = row.Person
			return err
		})
	return found
}

const bySeat = `seat_id = $2 AND kind = $3`

type operationRow struct {
	org.Operation
	org.Person
}

// GetOperation returns an operation with the organization and some of its members; the zero operation when there is none.
func (q Queries) GetOperation(ctx context.Context, key id.Organization, seat id.Seat, kind org.Kind, accounts ...id.Account) (org.Operation, Standing, error) {
	found := q.operation(bySeat, key, seat, kind)
	collect := q.standing(key, accounts)
	if err := q.Fetch(ctx); err != nil {
		return org.Operation{}, Standing{}, err
	}
	return *found, collect(), nil
}

// GetPending returns the operation of this kind that is under way for a member; the zero one when there is none.
func (q Queries) GetPending(ctx context.Context, key id.Organization, account id.Account, kind org.Kind) (org.Operation, error) {
	found := q.operation(`account_id = $2 AND kind = $3 AND state = 'PENDING' LIMIT 1`, key, account, kind)
	if err := q.Fetch(ctx); err != nil {
		return org.Operation{}, err
	}
	return *found, nil
}

// GetCreation returns the operation that creates or created the organization; the zero one when there is none.
func (q Queries) GetCreation(ctx context.Context, key id.Organization) (org.Operation, error) {
	found := q.operation(`kind = 'CREATE'`, key)
	if err := q.Fetch(ctx); err != nil {
		return org.Operation{}, err
	}
	return *found, nil
}

// LockOperation returns an operation with the member that it is about, all of them locked.
func (q Queries) LockOperation(ctx context.Context, key id.Organization, op org.Operation) (org.Operation, Standing, error) {
	strength := "FOR SHARE"
	if op.Kind == org.CreateOperation {
		strength = "FOR UPDATE"
	}
	q.lockOrganization(key, strength)
	q.memberLocks(key, op.Account)
	found := q.operation(bySeat+` FOR UPDATE`, key, op.Seat, op.Kind)
	var erased []id.Account
	q.unlessErased(op.Account)
	q.erasedAmong([]id.Account{op.Account}, &erased)
	collect := q.standing(key, []id.Account{op.Account})
	if err := q.Fetch(ctx); err != nil {
		return org.Operation{}, Standing{}, err
	}
	s := collect()
	s.Erased = erased
	return *found, s, nil
}

// InsertOperation writes a new operation. One that is done says at which revision: that of the organization's history when
// the statement runs, so it comes after the event.
func (q Queries) InsertOperation(key id.Organization, op org.Operation) {
	q.Write(`
		INSERT INTO member_operations (organization_id, seat_id, kind, state, account_id, actor_account_id, cause, request_id,
			display_name, email, username, refusal, role_id, version, create_time, new_account, revision)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, (SELECT revision FROM heads WHERE aggregate_id = $1))`,
		key, op.Seat, op.Kind, op.State, op.Account, op.Actor, op.Cause, op.RequestID,
		op.Person.DisplayName, op.Person.Email, op.Person.Username, op.Refusal, op.Role, op.Version, op.CreateTime, op.NewAccount)
}

// FinishOperation notes that the operation is done, and what it made of the member. It comes after the event.
func (q Queries) FinishOperation(key id.Organization, op org.Operation, m org.Member) {
	q.Write(`
		UPDATE member_operations
		SET state = 'DONE', role_id = $4, version = $5, revision = (SELECT revision FROM heads WHERE aggregate_id = $1),
		    display_name = '', email = '', username = ''
		WHERE organization_id = $1 AND seat_id = $2 AND kind = $3`,
		key, op.Seat, op.Kind, m.Role, m.Version)
}

// RefuseOperation ends the operation without effect.
func (q Queries) RefuseOperation(key id.Organization, op org.Operation, why *fault.Fault) {
	q.Write(`
		UPDATE member_operations
		SET state = 'REFUSED', refusal = $4, display_name = '', email = '', username = ''
		WHERE organization_id = $1 AND seat_id = $2 AND kind = $3`,
		key, op.Seat, op.Kind, why)
}
