// Package store is the membership service's SQL.
package store

import (
	"embed"

	"github.com/rosterhq/roster/services/internal/postgres"
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations is the service's own schema.
var Migrations = postgres.Migrations(files)

// Queries are the statements of one transaction. Reads go at once, writes with the commit.
type Queries struct{ *postgres.Tx }

// LostRace tells whether somebody else has just written the row that this transaction meant to begin. To run again is
// to see it.
func LostRace(err error) bool {
	for _, constraint := range []string{"organizations_pkey", "members_pkey", "members_seat", "member_operations_pkey", "member_operations_enabling",
		"member_operations_joining"} {
		if postgres.IsViolation(err, constraint) {
			return true
		}
	}
	return false
}
