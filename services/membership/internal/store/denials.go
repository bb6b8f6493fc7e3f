package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

const (
	MostDenials = 60                  // of an organization that are shown one by one in a minute
	DenialsKept = 90 * 24 * time.Hour // how long denials are shown
)

// DenialMinute is how much of a minute's denials is shown.
type DenialMinute struct {
	Minute   time.Time
	Recorded int
	Omitted  int64
	EventID  id.Event // of the row that tells how many are not
}

// LockDenials returns the minute that is now, and who of the accounts is or was a member, or is the number of a service account, by the kind of
// actor that they are; nobody locks anything when none is.
func (q Queries) LockDenials(ctx context.Context, key id.Organization, accounts []id.Account, fresh id.Event) (m DenialMinute, kinds map[id.Account]string, err error) {
	kinds = make(map[id.Account]string)
	q.Read(`
		SELECT account_id, 'ACCOUNT' FROM members WHERE organization_id = $1 AND account_id = ANY ($2)
		UNION ALL SELECT service_account_id, 'SERVICE_ACCOUNT' FROM service_accounts WHERE organization_id = $1 AND service_account_id = ANY ($2)`,
		[]any{key, accounts}, func(rows pgx.Rows) error {
			var account id.Account
			var kind string
			_, err := pgx.ForEachRow(rows, []any{&account, &kind}, func() error {
				kinds[account] = kind
				return nil
			})
			return err
		})
	var found bool
	q.Read(`
		INSERT INTO denial_minutes AS d (organization_id, minute, recorded, omitted, event_id)
		SELECT $1, date_trunc('minute', now()), 0, 0, $3
		WHERE EXISTS (SELECT FROM members WHERE organization_id = $1 AND account_id = ANY ($2))
		   OR EXISTS (SELECT FROM service_accounts WHERE organization_id = $1 AND service_account_id = ANY ($2))
		ON CONFLICT (organization_id) DO UPDATE SET
			recorded = CASE WHEN d.minute = excluded.minute THEN d.recorded ELSE 0 END,
			omitted = CASE WHEN d.minute = excluded.minute THEN d.omitted ELSE 0 END,
			event_id = CASE WHEN d.minute = excluded.minute THEN d.event_id ELSE excluded.event_id END,
			minute = excluded.minute
		RETURNING minute, recorded, omitted, event_id`, []any{key, accounts, fresh}, postgres.One(&m, &found))
	return m, kinds, q.Fetch(ctx)
}

// InsertDenial shows a denial in the audit view. It is no event: it has no revision, and no history misses it.
func (q Queries) InsertDenial(key id.Organization, e AuditEvent) { q.insertAuditEvent(key, e) }

// SaveDenials notes how many denials the minute has, and shows the rest, if there is one.
func (q Queries) SaveDenials(key id.Organization, m DenialMinute, rest AuditEvent) {
	q.Write(`UPDATE denial_minutes SET recorded = $2, omitted = $3 WHERE organization_id = $1`, key, m.Recorded, m.Omitted)
	if m.Omitted == 0 {
		return
	}
	q.Write(`DELETE FROM audit_events WHERE organization_id = $1 AND time = $2 AND event_id = $3`, key, m.Minute, m.EventID)
	q.insertAuditEvent(key, rest)
}

// DeleteDenials takes away the oldest denials that were kept for long enough, so many at most.
func (q Queries) DeleteDenials(key id.Organization, most int) {
	q.Write(`
		DELETE FROM audit_events
		WHERE organization_id = $1 AND (time, event_id) IN (
			SELECT time, event_id FROM audit_events
			WHERE organization_id = $1 AND type = 'access.denied' AND time < $2
			ORDER BY time LIMIT $3)`, key, q.Now().Add(-DenialsKept), most)
}
