// Package store is billing's SQL.
package store

import (
	"embed"
	"io/fs"

	"github.com/rosterhq/roster/services/billing/internal/seat"
	"github.com/rosterhq/roster/services/internal/postgres"
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations is billing's own schema.
var Migrations = own()

func own() fs.FS {
	own, err := fs.Sub(files, "migrations")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	return own
}

func init() {
	postgres.Refusal("heads_cap", seat.ErrLimit)
	postgres.Refusal("heads_ceiling", seat.ErrLimitReached)
	postgres.Refusal("seat_ledger_growth", seat.ErrLimitReached)
}

// Store changes seats, each call in one flight. SQL decides; what comes back is only read.
type Store struct{ DB *postgres.DB }

// Queries are the statements of one transaction. Reads go at once, writes with the commit.
type Queries struct{ *postgres.Tx }
