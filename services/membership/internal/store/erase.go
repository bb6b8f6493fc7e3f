package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/rosterhq/roster/services/internal/id"
)

// DeletedName is what is shown where the name of somebody was whose account was deleted.
const DeletedName = "Deleted user"

// ListOrganizationsOf returns the organizations that an account belongs to or has belonged to. The transaction must be across organizations.
func (q Queries) ListOrganizationsOf(ctx context.Context, account id.Account) (keys []id.Organization, err error) {
	q.Read(`SELECT organization_id FROM members WHERE account_id = $1 ORDER BY organization_id`, []any{account}, func(rows pgx.Rows) (err error) {
		keys, err = pgx.CollectRows(rows, pgx.RowTo[id.Organization])
		return err
	})
	return keys, q.Fetch(ctx)
}

// erasedFence is the lock of an account that whoever adds it shares, and whoever notes that it was deleted holds alone.
const erasedFence = `hashtextextended('erased ' || $1::uuid, 0)`

// unlessErased keeps it from being noted, until the transaction ends, that the account was deleted. What erasedAmong reads after it holds until then.
func (q Queries) unlessErased(account id.Account) {
	q.Read(`SELECT pg_advisory_xact_lock_shared(`+erasedFence+`)`, []any{account}, nothing)
}

// LockErased waits for those who are adding the account: they have committed then, or find out.
func (q Queries) LockErased(account id.Account) {
	q.Write(`SELECT pg_advisory_xact_lock(`+erasedFence+`)`, account)
}

// InsertErased notes accounts and invitations of which nothing personal is kept any more.
func (q Queries) InsertErased(gone ...id.Any) {
	q.Write(`INSERT INTO erased (id) SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING`, gone)
}

// erasedAmong queues which of the accounts are deleted.
func (q Queries) erasedAmong(accounts []id.Account, into *[]id.Account) {
	q.Read(`SELECT id FROM erased WHERE id = ANY ($1)`, []any{accounts}, func(rows pgx.Rows) (err error) {
		*into, err = pgx.CollectRows(rows, pgx.RowTo[id.Account])
		return err
	})
}

// ListErased returns those of the accounts that are deleted.
func (q Queries) ListErased(ctx context.Context, accounts []id.Account) (gone []id.Account, err error) {
	q.erasedAmong(accounts, &gone)
	return gone, q.Fetch(ctx)
}

// ListAcceptedBy returns the invitations by which an account has joined. It holds the places up to which the audit view has heard of others, so that
// nothing is added to it until the transaction ends.
func (q Queries) ListAcceptedBy(ctx context.Context, key id.Organization, account id.Account) (invitations []id.Invitation, err error) {
	var causes []string
	q.Read(`SELECT 1 FROM positions WHERE aggregate_id = $1 ORDER BY service FOR UPDATE`, []any{key}, nothing)
	q.Read(`
		SELECT coalesce(convert_from(data, 'UTF8')::jsonb #>> '{context,cause,id}', '') FROM events
		WHERE aggregate_id = $1 AND type = 'member.added' AND position(convert_to($2, 'UTF8') IN data) > 0`, []any{key, account.String()},
		func(rows pgx.Rows) (err error) {
			causes, err = pgx.CollectRows(rows, pgx.RowTo[string])
			return err
		})
	if err := q.Fetch(ctx); err != nil {
		return nil, err
	}
	for _, text := range causes {
		if one, err := id.ParseInvitation(text); err == nil {
			invitations = append(invitations, one)
		}
	}
	return invitations, nil
}

// EraseAccount takes what is personal of an account out of an organization's rows: its history, the audit view, answers and mails that wait, and
// what operations note. Of an event that somebody else is told of in, too, the audit view keeps what is theirs.
func (q Queries) EraseAccount(key id.Organization, account id.Account, invitations []id.Invitation) {
	me := account.String()
	about := []string{me}
	gone := []id.Any{id.Any(account)}
	for _, one := range invitations {
		about, gone = append(about, one.String()), append(gone, id.Any(one))
	}
	q.InsertErased(gone...)
	q.Write(`
		UPDATE events SET personal = NULL, personal_salt = NULL
		WHERE aggregate_id = $1 AND personal IS NOT NULL AND position(convert_to($2, 'UTF8') IN data) > 0`, key, me)
	q.Write(`
		UPDATE audit_events a
		SET personal = CASE WHEN a.actor_kind = 'SYSTEM' OR a.actor_id = $3 THEN NULL
			ELSE personal - '{displayName,email,username,words,contact,query}'::text[] END
		FROM audit_targets t
		WHERE t.organization_id = $1 AND t.target = ANY ($2) AND (a.organization_id, a.time, a.event_id) = (t.organization_id, t.time, t.event_id)
		  AND a.personal IS NOT NULL`, key, about, me)
	q.Write(`
		UPDATE audit_events SET personal = personal - '{clientAddress,query}'::text[]
		WHERE organization_id = $1 AND actor_id = $2 AND personal IS NOT NULL`, key, me)
	q.Write(`UPDATE member_operations SET display_name = '', email = '', username = '' WHERE organization_id = $1 AND account_id = $2`, key, account)
	q.Write(`DELETE FROM joins WHERE organization_id = $1 AND account_id = $2`, key, account)
	q.Write(`DELETE FROM idempotency WHERE aggregate_id = $1 AND principal = $2`, key, me)
	q.Write(`UPDATE mails SET payload = NULL, state = 'REFUSED' WHERE aggregate_id = $1 AND reference = $2 AND state = 'QUEUED'`, key, account)
}
