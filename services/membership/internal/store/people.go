package store

import (
	"cmp"
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// Kinds of people.
const (
	KindMember     = "MEMBER"
	KindInvitation = "INVITATION"
)

// Entry is a row of the people list.
type Entry struct {
	ID   id.Any `db:"person_id"` // the account or the invitation
	Kind string
	org.Profile
	SortName     string
	SortActivity time.Time
	Role         string // key
	State        string // ACTIVE, DISABLED or PENDING
	JoinTime     time.Time
	ExpireTime   *time.Time

	Availability   org.Availability // of a member
	NextChangeTime *time.Time       // of the availability
}

// saveEntry writes a row and its words. guard is an SQL condition that may use $1, the organization, and $2, the person.
const saveEntry = `
	WITH person AS (
		INSERT INTO people (organization_id, person_id, kind, sort_name, display_name, email, username, role, state, join_time, activity_time, expire_time)
		SELECT $1::uuid, $2::uuid, $3, $4, $5, $6, $7, $8, $9, $10::timestamptz, $10::timestamptz, $11::timestamptz
		WHERE `
const saveEntryWords = `
		ON CONFLICT (organization_id, person_id) DO UPDATE
		SET sort_name = excluded.sort_name, display_name = excluded.display_name, email = excluded.email, username = excluded.username,
		    role = excluded.role, state = excluded.state, join_time = excluded.join_time,
		    activity_time = excluded.activity_time, expire_time = excluded.expire_time
		RETURNING organization_id, person_id
	)
	INSERT INTO people_search (organization_id, person_id, name, username, email)
	SELECT organization_id, person_id, $12, $13, $14 FROM person
	ON CONFLICT (organization_id, person_id) DO UPDATE
	SET name = excluded.name, username = excluded.username, email = excluded.email`

func (q Queries) saveEntry(key id.Organization, guard string, e Entry) {
	name, username := fold(e.DisplayName), fold(e.Username)
	q.Write(saveEntry+guard+saveEntryWords, key, e.ID, e.Kind, sortName(e.Person), e.DisplayName, e.Email, e.Username, e.Role, e.State,
		e.JoinTime, e.ExpireTime, name, username, fold(e.Email))
}

// sortName is what a person is found by in the order of names: never the address, which not everybody may see.
func sortName(p org.Person) string { return cmp.Or(fold(p.DisplayName), fold(p.Username)) }

// SavePerson lists a member.
func (q Queries) SavePerson(key id.Organization, m org.Member, role string, p org.Person) {
	q.saveEntry(key, "true", Entry{
		ID: id.Any(m.Account), Kind: KindMember, Profile: org.Profile{Person: p}, Role: role, State: string(m.State), JoinTime: m.JoinTime,
	})
}

// SaveInvitation lists a pending invitation, unless the person has joined by it meanwhile.
func (q Queries) SaveInvitation(key id.Organization, e Entry) {
	e.Kind, e.State = KindInvitation, "PENDING"
	q.saveEntry(key, `NOT EXISTS (SELECT FROM members WHERE organization_id = $1::uuid AND invitation_id = $2::uuid)
		AND EXISTS (SELECT FROM organizations WHERE organization_id = $1::uuid AND state = 'ACTIVE')`, e)
}

// SaveStanding changes how a listed member stands.
func (q Queries) SaveStanding(key id.Organization, m org.Member, role string) {
	q.Write(`UPDATE people SET role = $3, state = $4 WHERE organization_id = $1 AND person_id = $2`, key, m.Account, role, m.State)
}

// DeletePerson takes somebody off the list, by account or invitation.
func (q Queries) DeletePerson(key id.Organization, person id.Any) {
	q.Write(`DELETE FROM people WHERE organization_id = $1 AND person_id = $2`, key, person)
}

const profileColumns = `p.display_name, p.email, p.username, p.avatar_url, p.overlay_display_name, p.overlay_email, p.overlay_phone,
	p.account_create_time, nullif(p.activity_time, p.join_time) AS activity_time`

// LockPerson returns a listed member, whose row stays locked until the transaction ends; zero when there is none.
func (q Queries) LockPerson(ctx context.Context, key id.Organization, account id.Account) (org.Profile, error) {
	var found []org.Profile
	q.Read(`SELECT `+profileColumns+` FROM people p WHERE organization_id = $1 AND person_id = $2 FOR UPDATE`,
		[]any{key, account}, postgres.All(&found))
	if err := q.Fetch(ctx); err != nil || len(found) == 0 {
		return org.Profile{}, err
	}
	return found[0], nil
}

// SaveOverlay shows a listed member, whose row is locked, in another way.
func (q Queries) SaveOverlay(key id.Organization, account id.Account, p org.Profile) {
	shown := p.Shown()
	q.Write(`
		UPDATE people SET sort_name = $3, overlay_display_name = $4, overlay_email = $5, overlay_phone = $6
		WHERE organization_id = $1 AND person_id = $2`,
		key, account, sortName(shown), p.Name, p.ContactEmail, p.Phone)
	q.Write(`UPDATE people_search SET name = $3, email = $4 WHERE organization_id = $1 AND person_id = $2`,
		key, account, fold(shown.DisplayName), fold(shown.Email))
}

// SaveActivity notes that members were active, once an hour.
func (q Queries) SaveActivity(key id.Organization, accounts []id.Account) {
	q.Write(`
		UPDATE people SET activity_time = now()
		WHERE organization_id = $1 AND person_id = ANY ($2) AND state = 'ACTIVE'
		  AND (activity_time < date_trunc('hour', now()) OR activity_time = join_time)`,
		key, accounts)
}

// SaveAccountTime notes when a listed member's account was made.
func (q Queries) SaveAccountTime(key id.Organization, account id.Account, made time.Time) {
	q.Write(`UPDATE people SET account_create_time = $3 WHERE organization_id = $1 AND person_id = $2`, key, account, made)
}

// Rename changes the names and the picture of an account, and its address if it has one, on the lists that the scope opens: of one organization, or all
// of the account's. Where the organization has a name or an address of its own for the member, those stay.
func (q Queries) Rename(account id.Account, p org.Person) {
	q.Write(`
		WITH renamed AS (
			UPDATE people
			SET sort_name = CASE overlay_display_name WHEN '' THEN $2 ELSE sort_name END, display_name = $3, username = $4,
			    email = coalesce(nullif($7, ''), email), avatar_url = $9
			WHERE kind = 'MEMBER' AND person_id = $1
			RETURNING organization_id, person_id, overlay_display_name, overlay_email
		)
		UPDATE people_search s SET name = CASE r.overlay_display_name WHEN '' THEN $5 ELSE s.name END, username = $6,
			email = CASE WHEN r.overlay_email = '' AND $8 <> '' THEN $8 ELSE s.email END
		FROM renamed r
		WHERE s.organization_id = r.organization_id AND s.person_id = r.person_id`,
		account, sortName(p), p.DisplayName, p.Username, fold(p.DisplayName), fold(p.Username), p.Email, fold(p.Email), p.AvatarURL)
}

// Advance notes that the events of another service up to this revision are applied, and tells whether this one was not
// yet. A higher epoch goes on from a revision that was applied before: what was applied then has vanished from that
// service's history. The row is locked until the transaction ends.
func (q Queries) Advance(ctx context.Context, aggregate id.Any, service string, epoch, revision int64) (fresh bool, err error) {
	var atEpoch, at int64
	q.Read(`SELECT epoch, revision FROM positions WHERE aggregate_id = $1 AND service = $2 FOR UPDATE`, []any{aggregate, service}, func(rows pgx.Rows) error {
		for rows.Next() {
			if err := rows.Scan(&atEpoch, &at); err != nil {
				return err
			}
		}
		return nil
	})
	if err := q.Fetch(ctx); err != nil {
		return false, err
	}
	if epoch < atEpoch || epoch == atEpoch && revision <= at {
		return false, nil
	}
	q.Write(`
		INSERT INTO positions AS p (aggregate_id, service, epoch, revision) VALUES ($1, $2, $3, $4)
		ON CONFLICT (aggregate_id, service) DO UPDATE SET epoch = excluded.epoch, revision = excluded.revision
		WHERE (p.epoch, p.revision) < (excluded.epoch, excluded.revision)`,
		aggregate, service, epoch, revision)
	return true, nil
}

// Positions queues a read of how far this service has followed others.
func (q Queries) Positions(key id.Organization, into map[string]int64) {
	q.Read(`SELECT service, revision FROM positions WHERE aggregate_id = $1`, []any{key}, func(rows pgx.Rows) error {
		var service string
		var revision int64
		_, err := pgx.ForEachRow(rows, []any{&service, &revision}, func() error {
			into[service] = revision
			return nil
		})
		return err
	})
}

// Counts is how many people there are.
type Counts struct{ Members, Invitations int32 }

// Count queues a read of how many people there are.
func (q Queries) Count(key id.Organization, into *Counts) {
	q.Read(`SELECT members, invitations FROM people_counts WHERE organization_id = $1`, []any{key}, func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, []any{&into.Members, &into.Invitations}, func() error { return nil })
		return err
	})
}
