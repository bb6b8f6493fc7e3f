package store

import (
	"github.com/jackc/pgx/v5"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// Copied is how far the audit view shows the history of a service.
type Copied struct {
	Position int64  // up to here it was heard
	Stray    *int64 // the lowest revision behind it that is shown all the same
}

// Copied queues a read of how far the audit view has come with a service.
func (q Queries) Copied(key id.Organization, service string, into *Copied) {
	q.Read(`
		SELECT heard.position, (SELECT min(revision) FROM audit_events WHERE organization_id = $1 AND service = $2 AND revision > heard.position)
		FROM (SELECT coalesce(max(revision), 0) AS position FROM positions WHERE aggregate_id = $1 AND service = $2) heard`,
		[]any{key, service}, func(rows pgx.Rows) error {
			_, err := pgx.ForEachRow(rows, []any{&into.Position, &into.Stray}, func() error { return nil })
			return err
		})
}

// ListCopied queues a read of what the audit view shows of a part of a service's history.
func (q Queries) ListCopied(key id.Organization, service string, after, last int64, into *[]AuditEvent) {
	q.Read(`SELECT `+auditColumns+` FROM audit_events WHERE organization_id = $1 AND service = $2 AND revision > $3 AND revision <= $4`,
		[]any{key, service, after, last}, postgres.All(into))
}
