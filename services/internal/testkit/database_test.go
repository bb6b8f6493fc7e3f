package testkit

import (
	"testing"
	"testing/fstest"

	"github.com/rosterhq/roster/services/internal/postgres"
)

var things = fstest.MapFS{"00001_things.sql": {Data: []byte(`
-- +goose Up
CREATE TABLE things (name text PRIMARY KEY);
GRANT SELECT, INSERT ON things TO roster_app;
`)}}

func TestDatabaseIsOnesOwn(t *testing.T) {
	t.Parallel()
	for range 6 { // the name is free in each
		t.Run("", func(t *testing.T) {
			t.Parallel()
			db := Open(t, "things", things)
			if _, err := db.Pool.Exec(t.Context(), `INSERT INTO things VALUES ('one')`); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestDatabaseOfAnotherVersion(t *testing.T) {
	t.Parallel()
	db := Open(t, "things", nil)
	var absent bool
	if err := db.Pool.QueryRow(t.Context(), `SELECT to_regclass('things') IS NULL`).Scan(&absent); err != nil || !absent {
		t.Errorf("without its migrations the service has no table of its own: %t, %v", absent, err)
	}
}

func TestDatabaseRoles(t *testing.T) {
	t.Parallel()
	dsns := Database(t, "things", things)
	for _, role := range []string{postgres.AppRole, postgres.RelayRole} {
		var got string
		db := dsns.Open(t, postgres.Options{Role: role})
		if err := db.Pool.QueryRow(t.Context(), `SELECT current_user`).Scan(&got); err != nil || got != role {
			t.Errorf("logged in as %q, %v, want %s", got, err, role)
		}
	}
}
