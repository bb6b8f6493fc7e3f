// Package store is the rows of the identity service: one function per statement, and the migrations. What the
// rows mean is said by the packages of nouns beside it.
package store

import (
	"embed"

	"github.com/jackc/pgx/v5"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/factor"
	"github.com/rosterhq/roster/services/identity/internal/federation"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations is the service's own schema.
var Migrations = postgres.Migrations(files)

func init() {
	postgres.Refusal("user_emails_verified", account.ErrEmailTaken)
	postgres.Refusal("user_emails_sole", account.ErrEmailTaken)
	postgres.Refusal("usernames_pkey", account.ErrUsernameTaken)
	postgres.Refusal("factors_credential", factor.ErrPasskeyTaken)
	postgres.Refusal("federated_identities_account", federation.ErrLinkRequired) // the provider knows somebody else as that person
}

// Queries are the statements of one transaction. Reads go at once, writes with the commit.
type Queries struct{ *postgres.Tx }

const goOnIn = `SELECT set_config('app.aggregate_id', $1::uuid::text, true)`

// GoOnIn goes on with the rows of another aggregate, in what is written from here on.
func (q Queries) GoOnIn(aggregate id.Any) { q.Write(goOnIn, aggregate) }

// LookIn goes on with the rows of another aggregate, in what is read and written from here on.
func (q Queries) LookIn(aggregate id.Any) {
	q.Read(goOnIn, []any{aggregate}, func(rows pgx.Rows) error {
		for rows.Next() { // it says what it was given
		}
		return nil
	})
}

// Store is what is done in one flight: SQL decides, what comes back is only read.
type Store struct{ DB *postgres.DB }

// one is postgres.One for a flight.
func one[T any](dst *T, found *bool) func(pgx.Rows) error {
	collect := postgres.One(dst, found)
	return func(rows pgx.Rows) error {
		defer rows.Close()
		if err := collect(rows); err != nil {
			return err
		}
		return rows.Err()
	}
}
