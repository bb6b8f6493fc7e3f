package postgres_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/testkit"
)

// A server that vanishes with its machine does not end its connections: nobody says anything over them any more.
func TestServerThatSaysNothingMore(t *testing.T) {
	t.Parallel()

	t.Run("AStatementFailsInTheEnd", func(t *testing.T) {
		t.Parallel()
		db := testkit.Open(t, "notes", notes)
		mute := testkit.Mutes(t, db)
		if _, err := db.Pool.Exec(t.Context(), `SELECT 1`); err != nil {
			t.Fatal(err)
		}
		mute()
		if _, err := db.Pool.Exec(t.Context(), `SELECT 1`); !postgres.Away(err) {
			t.Errorf("got %v, want that the server is away", err)
		}
		if _, err := db.Pool.Exec(t.Context(), `SELECT 1`); err != nil {
			t.Errorf("over the next connection: %v", err)
		}
	})

	t.Run("ATransactionGoesOnOverAnotherConnection", func(t *testing.T) {
		t.Parallel()
		db := testkit.Open(t, "notes", notes)
		mute := testkit.Mutes(t, db)
		scope := postgres.In(id.NewOrganization())
		first := true
		err := db.InTx(t.Context(), scope, func(tx *postgres.Tx) error {
			if first {
				first = false
				mute()
			}
			if err := tx.Fetch(t.Context()); err != nil {
				return err
			}
			tx.Write(insertNote, scope.Aggregate, "note")
			return nil
		})
		if found := read(t, db, scope); err != nil || len(found) != 1 {
			t.Errorf("found %v, %v", found, err)
		}
	})

	t.Run("ALongAnswerIsHeardToItsEnd", func(t *testing.T) {
		t.Parallel()
		db := testkit.Open(t, "notes", notes)
		if err := pgx.BeginFunc(t.Context(), db.Pool, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), `SET LOCAL statement_timeout = '1min'; SELECT pg_sleep(4), repeat('x', 10000) FROM generate_series(1, 4)`)
			return err
		}); err != nil {
			t.Error(err)
		}
	})
}
