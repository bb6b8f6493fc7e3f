package store

import (
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
	org.Person
	SortName   string
	Role       string // key
	State      string // ACTIVE, DISABLED or PENDING
	JoinTime   time.Time
	ExpireTime *time.Time
}

// saveEntry writes a row and its words. guard is an SQL condition that may use $1, the organization, and $2, the person.
const saveEntry = `
	WITH person AS (
		INSERT INTO people (organization_id, person_id, kind, sort_name, display_name, email, username, role, state, join_time, expire_time)
		SELECT $1::uuid, $2::uuid, $3, $4, $5, $6, $7, $8, $9, $10::timestamptz, $11::timestamptz
		WHERE `
const saveEntryWords = `
		ON CONFLICT (organization_id, person_id) DO UPDATE
		SET sort_name = excluded.sort_name, display_name = excluded.display_name, email = excluded.email, username = excluded.username,
		    role = excluded.role, state = excluded.state, join_time = excluded.join_time, expire_time = excluded.expire_time
		RETURNING organization_id, person_id, sort_name
	)
	INSERT INTO people_search (organization_id, person_id, sort_name, name, username, email)
	SELECT organization_id, person_id, sort_name, $12, $13, $14 FROM person
	ON CONFLICT (organization_id, person_id) DO UPDATE
	SET sort_name = excluded.sort_name, name = excluded.name, username = excluded.username, email = excluded.email`

func (q Queries) saveEntry(key id.Organization, guard string, e Entry) {
	name, username := fold(e.DisplayName), fold(e.Username)
	sort := name
	if sort == "" {
		sort = username // never the address, which not everybody may see
	}
	q.Write(saveEntry+guard+saveEntryWords, key, e.ID, e.Kind, sort, e.DisplayName, e.Email, e.Username, e.Role, e.State,
		e.JoinTime, e.ExpireTime, name, username, fold(e.Email))
}

// SavePerson lists a member.
func (q Queries) SavePerson(key id.Organization, m org.Member, role string, p org.Person) {
	q.saveEntry(key, "true", Entry{
		ID: id.Any(m.Account), Kind: KindMember, Person: p, Role: role, State: string(m.State), JoinTime: m.JoinTime,
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

// LockPerson returns a listed member, whose row stays locked until the transaction ends; zero when there is none.
func (q Queries) LockPerson(ctx context.Context, key id.Organization, account id.Account) (org.Person, error) {
	var found []org.Person
	q.Read(`SELECT display_name, email, username FROM people WHERE organization_id = $1 AND person_id = $2 FOR UPDATE`,
		[]any{key, account}, postgres.All(&found))
	if err := q.Fetch(ctx); err != nil || len(found) == 0 {
		return org.Person{}, err
	}
	return found[0], nil
}

// Rename changes the name of an account on the lists that the scope opens: of one organization, or all of the account's.
func (q Queries) Rename(account id.Account, p org.Person) {
	name, username := fold(p.DisplayName), fold(p.Username)
	sort := name
	if sort == "" {
		sort = username
	}
	q.Write(`
		WITH renamed AS (
			UPDATE people SET sort_name = $2, display_name = $3, username = $4
			WHERE kind = 'MEMBER' AND person_id = $1
			RETURNING organization_id, person_id
		)
		UPDATE people_search s SET sort_name = $2, name = $5, username = $6
		FROM renamed r
		WHERE s.organization_id = r.organization_id AND s.person_id = r.person_id`,
		account, sort, p.DisplayName, p.Username, name, username)
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
