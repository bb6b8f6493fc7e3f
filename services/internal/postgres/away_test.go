package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/testkit"
)

func TestAway(t *testing.T) {
	t.Parallel()

	t.Run("ADatabaseThatNobodyAnswersFor", func(t *testing.T) {
		t.Parallel()
		_, err := pgx.Connect(t.Context(), "postgres://notes@127.0.0.1:1/notes?sslmode=disable")
		if !postgres.Away(fmt.Errorf("get note: %w", err)) {
			t.Errorf("%v", err)
		}
	})

	t.Run("ASessionThatIsEndedFromOutside", func(t *testing.T) {
		t.Parallel()
		conn, err := pgx.Connect(t.Context(), testkit.Cluster(t).DSN("postgres", "postgres"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = conn.Exec(t.Context(), `SELECT pg_terminate_backend(pg_backend_pid())`)
		if !postgres.Away(err) {
			t.Errorf("%v", err)
		}
	})

	t.Run("NoRoomLeftAndACutConnection", func(t *testing.T) {
		t.Parallel()
		for _, err := range []error{&pgconn.PgError{Code: "53100"}, &pgconn.PgError{Code: "08006"}, fmt.Errorf("read: %w", io.ErrUnexpectedEOF)} {
			if !postgres.Away(err) {
				t.Errorf("%v", err)
			}
		}
	})

	t.Run("ARefusalAndOurOwnMistakeAreNot", func(t *testing.T) {
		t.Parallel()
		for _, err := range []error{
			nil, errors.New("wrong"), &pgconn.PgError{Code: "23505"}, &pgconn.PgError{Code: "42601"}, pgx.ErrNoRows, context.DeadlineExceeded, context.Canceled,
		} {
			if postgres.Away(err) {
				t.Errorf("%v", err)
			}
		}
	})
}
