// Package store is the invitation service's SQL.
package store

import (
	"embed"

	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/invitation/internal/invite"
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations is the service's own schema.
var Migrations = postgres.Migrations(files)

func init() {
	postgres.Refusal("invitations_live_email", invite.ErrPending)
	postgres.Refusal("invitations_live_username", invite.ErrPending)
}

// Queries are the statements of one transaction. Reads go at once, writes with the commit.
type Queries struct{ *postgres.Tx }
