// Package store is the invitation service's SQL.
package store

import (
	"embed"
	"io/fs"

	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/invitation/internal/invite"
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations is the service's own schema.
var Migrations = own()

func own() fs.FS {
	files, err := fs.Sub(files, "migrations")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	return files
}

func init() {
	postgres.Refusal("invitations_live_email", invite.ErrPending)
	postgres.Refusal("invitations_live_username", invite.ErrPending)
}

// Queries are the statements of one transaction. Reads go at once, writes with the commit.
type Queries struct{ *postgres.Tx }
