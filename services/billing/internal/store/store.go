// Package store is billing's SQL.
package store

import (
	"embed"

	"github.com/rosterhq/roster/services/billing/internal/seat"
	"github.com/rosterhq/roster/services/internal/postgres"
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations is the service's own schema.
var Migrations = postgres.Migrations(files)

func init() {
	postgres.Refusal("heads_cap", seat.ErrLimit)
	postgres.Refusal("heads_ceiling", seat.ErrLimitReached)
	postgres.Refusal("seat_ledger_growth", seat.ErrLimitReached)
}

// Store changes seats, each call in one flight. SQL decides; what comes back is only read.
type Store struct{ DB *postgres.DB }

// Queries are the statements of one transaction. Reads go at once, writes with the commit.
type Queries struct{ *postgres.Tx }
