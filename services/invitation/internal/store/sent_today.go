package store

import (
	"github.com/jackc/pgx/v5"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/invitation/internal/invite"
)

// Sent queues a read of how many invitations the organization and the inviter have sent today, for the next Get. Calls
// under way at the same time read the same number, so a limit may be passed by as many.
func (q Queries) Sent(org id.Organization, inviter id.Account, sent *invite.Sent) {
	q.Read(`SELECT subject_id, sent FROM sent_today WHERE subject_id IN ($1, $2) AND day = (now() AT TIME ZONE 'UTC')::date`,
		[]any{org, inviter}, func(rows pgx.Rows) error {
			*sent = invite.Sent{}
			var subject id.Any
			var n int
			_, err := pgx.ForEachRow(rows, []any{&subject, &n}, func() error {
				if subject == id.Any(org) {
					sent.ByOrganization = n
				} else {
					sent.ByInviter = n
				}
				return nil
			})
			return err
		})
}

// CountSent counts one more. It comes last in a transaction, after the head: these rows are locked until the commit.
func (q Queries) CountSent(org id.Organization, inviter id.Account) {
	q.Write(`
		INSERT INTO sent_today AS t (subject_id, day, sent)
		SELECT subject_id, (now() AT TIME ZONE 'UTC')::date, 1 FROM unnest(ARRAY[$1, $2]::uuid[]) subject_id
		ON CONFLICT (subject_id) DO UPDATE
		SET day = greatest(t.day, excluded.day), sent = CASE WHEN t.day < excluded.day THEN 1 ELSE t.sent + 1 END`, org, inviter)
}
