package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/rosterhq/roster/services/internal/email"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// AskedToday queues a read of how often the organization has asked today who has an address. Calls at the same time read the same number, so
// the limit may be passed by as many.
func (q Queries) AskedToday(key id.Organization, into *int) {
	q.Read(`SELECT asked FROM asked_today WHERE organization_id = $1 AND day = (now() AT TIME ZONE 'UTC')::date`, []any{key}, number(into))
}

// number collects the number that a statement finds; zero where it finds none.
func number[N int | int64](into *N) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		*into = 0
		_, err := pgx.ForEachRow(rows, []any{into}, func() error { return nil })
		return err
	}
}

// CountAsked counts one more.
func (q Queries) CountAsked(key id.Organization) {
	q.Write(`
		INSERT INTO asked_today AS t (organization_id, day, asked) VALUES ($1, (now() AT TIME ZONE 'UTC')::date, 1)
		ON CONFLICT (organization_id) DO UPDATE
		SET day = greatest(t.day, excluded.day), asked = CASE WHEN t.day < excluded.day THEN 1 ELSE t.asked + 1 END`, key)
}

// LockToCreate returns the organization, whose policy and roles nobody changes meanwhile, with members whose rows stay locked, and the pending
// invitation to an address; zero: there is none.
func (q Queries) LockToCreate(ctx context.Context, key id.Organization, address email.Address, accounts ...id.Account) (Standing, id.Invitation, error) {
	q.lockOrganization(key, "FOR SHARE")
	q.memberLocks(key, accounts...)
	var found []struct {
		ID    id.Any `db:"person_id"`
		Email string
	}
	q.Read(`
		SELECT p.person_id, p.email
		FROM people_search s JOIN people p ON p.organization_id = s.organization_id AND p.person_id = s.person_id
		WHERE s.organization_id = $1 AND s.email = $2 AND p.kind = 'INVITATION'`, []any{key, fold(address.Display)}, postgres.All(&found))
	collect := q.standing(key, accounts)
	if err := q.Fetch(ctx); err != nil {
		return Standing{}, id.Invitation{}, err
	}
	for _, invited := range found { // folded, other addresses may look the same
		if other, ok := email.Parse(invited.Email); ok && other.Key == address.Key {
			return collect(), id.Invitation(invited.ID), nil
		}
	}
	return collect(), id.Invitation{}, nil
}
