package store_test

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/testkit"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

var (
	scale  = flag.String("people", "10,400,20000", "how many people the organizations have that TestListPeopleAtScale measures")
	rounds = flag.Int("rounds", 3, "how often each list is read there")
)

// sized is an organization of so many people, who are alike in all sizes: what one in a hundred is, one in a hundred is.
type sized struct {
	people       int
	key          id.Organization
	tiny, middle id.Group // of 8, and of one in 200, 3,000 at most
	big          id.Group // of one in ten
	project      id.Project
	places       []store.Entry // from all over the list
}

// asked is a list that is measured.
type asked struct {
	name   string
	place  place
	reads  int // rows and entries of indexes at most, for a page of 50 in an organization of any size
	filter func(o sized) store.Filter
}

// place is where the page that is read begins.
type place bool

const (
	top    place = false
	inside place = true // somewhere in the list
)

// What a page costs at most: flat when an index has the list in its order, else what is looked up and what is read in order. The index
// of words is that of all organizations, so a word that many elsewhere have counts too.
const (
	flat    = 260
	bounded = 60_000
)

// lists are what is measured. One person in two is a viewer, one in 200 an admin, one in 100 disabled, one in 50 invited, one
// in 20 away, one in 25 was not active for half a year.
var lists = []asked{
	{"by name", inside, flat, of(store.Filter{})},
	{"by name, from the end", inside, flat, of(store.Filter{Descending: true})},
	{"by joining", inside, flat, of(store.Filter{Order: store.ByJoinTime})},
	{"by last activity", inside, flat, of(store.Filter{Order: store.ByActivityTime, Descending: true})},
	{"by role", top, flat, of(store.Filter{Order: store.ByRole, RoleOrder: roleKeys})},
	{"members", top, flat, of(store.Filter{Kind: store.KindMember})},
	{"members, by joining", top, bounded, of(store.Filter{Kind: store.KindMember, Order: store.ByJoinTime})},
	{"invitations", top, flat, of(store.Filter{Kind: store.KindInvitation})},
	{"viewers and developers", inside, flat, of(store.Filter{Roles: []string{"viewer", "developer"}})},
	{"admins", top, flat, of(store.Filter{Roles: []string{"admin"}})},
	{"admins, by joining", top, bounded, of(store.Filter{Roles: []string{"admin"}, Order: store.ByJoinTime})},
	{"viewers, by last activity", top, bounded, of(store.Filter{Roles: []string{"viewer"}, Order: store.ByActivityTime})},
	{"disabled", top, flat, of(store.Filter{States: []string{"DISABLED"}})},
	{"who can be reached", inside, flat, of(store.Filter{Show: org.Available})},
	{"who is away", inside, flat, of(store.Filter{Show: org.Unavailable})},
	{"who is away, by joining", top, bounded, of(store.Filter{Show: org.Unavailable, Order: store.ByJoinTime})},
	{"viewers who can be reached", inside, bounded, of(store.Filter{Show: org.Available, Roles: []string{"viewer"}})},
	{"admins who are away", top, bounded, of(store.Filter{Show: org.Unavailable, Roles: []string{"admin"}})},
	{"not active for half a year", top, bounded, of(store.Filter{InactiveSince: began.AddDate(0, 0, -180)})},
	{"not active for half a year, by last activity", top, flat, of(store.Filter{InactiveSince: began.AddDate(0, 0, -180), Order: store.ByActivityTime})},
	{"a group of 8", top, flat, func(o sized) store.Filter { return store.Filter{Groups: []id.Group{o.tiny}} }},
	{"a group of 3,000", inside, bounded, func(o sized) store.Filter { return store.Filter{Groups: []id.Group{o.middle}} }},
	{"a group of one in ten", inside, bounded, func(o sized) store.Filter { return store.Filter{Groups: []id.Group{o.big}} }},
	{"a group of one in ten, by joining", top, bounded, func(o sized) store.Filter {
		return store.Filter{Groups: []id.Group{o.big}, Order: store.ByJoinTime}
	}},
	{"admins in a group of one in ten", top, bounded, func(o sized) store.Filter {
		return store.Filter{Groups: []id.Group{o.big}, Roles: []string{"admin"}}
	}},
	{"a project of 8", top, flat, func(o sized) store.Filter { return store.Filter{Project: o.project} }},
	{"search: one letter", top, bounded, of(store.Filter{Query: "m"})},
	{"search: two letters", top, bounded, of(store.Filter{Query: "mi"})},
	{"search: two letters that nothing begins with", top, bounded, of(store.Filter{Query: "qq"})},
	{"search: two letters, of one in 200", top, bounded, of(store.Filter{Query: "mi", Roles: []string{"admin"}})},
	{"search: one person's name", top, bounded, of(store.Filter{Query: "smith 7"})},
	{"search: part of a word, of one in 100", top, bounded, of(store.Filter{Query: "onaldso"})},
	{"search: part of a word that all have", top, bounded, of(store.Filter{Query: "ampl", Contacts: true})},
	{"search: part of a word, nobody's", top, bounded, of(store.Filter{Query: "xylophon"})},
	{"search: part of a word, by joining", top, bounded, of(store.Filter{Query: "onaldso", Order: store.ByJoinTime})},
	{"search: part of an address", top, bounded, of(store.Filter{Query: "son.7@ex", Contacts: true})},
}

var roleKeys = []string{"owner", "admin", "developer", "viewer"}

func of(f store.Filter) func(sized) store.Filter { return func(sized) store.Filter { return f } }

// TestListPeopleAtScale reads a page of 50 of every list, side by side in organizations of the sizes that -people gives, and
// prints how long it takes and how many rows it reads, which must not grow with the organization. Beside a large one, the planner must not
// take a small one for smaller than it is.
func TestListPeopleAtScale(t *testing.T) {
	t.Parallel()
	dsns := testkit.Database(t, "membership", store.Migrations)
	db := dsns.Open(t, postgres.Options{})
	owner, err := pgx.Connect(t.Context(), dsns.Owner)
	require.NoError(t, err)
	t.Cleanup(func() { owner.Close(t.Context()) })
	var sizes []sized
	for text := range strings.SplitSeq(*scale, ",") {
		people, err := strconv.Atoi(text)
		require.NoError(t, err)
		sizes = append(sizes, sized{people: people, key: id.NewOrganization(), tiny: id.NewGroup(), middle: id.NewGroup(), big: id.NewGroup(), project: id.NewProject()})
	}
	started := time.Now()
	populate(t, owner, sizes)
	t.Logf("%s people in %s", *scale, time.Since(started).Round(time.Second))
	for i := range sizes {
		rows, err := owner.Query(t.Context(), `
			SELECT person_id, sort_name, join_time, activity_time AS sort_activity FROM people
			WHERE organization_id = $1 AND kind = 'MEMBER' AND state = 'ACTIVE' ORDER BY md5(person_id::text) LIMIT 500`, sizes[i].key)
		require.NoError(t, err)
		sizes[i].places, err = pgx.CollectRows(rows, pgx.RowToStructByNameLax[store.Entry])
		require.NoError(t, err)
	}
	t.Logf("| a page of 50 | %s people: p50, p99 ms, rows read |", strings.ReplaceAll(*scale, ",", " / "))
	for _, list := range lists {
		took, read := make([][]time.Duration, len(sizes)), make([]int64, len(sizes))
		for round := range *rounds {
			for i, o := range sizes {
				f := list.filter(o)
				f.People = o.people
				var after store.Cursor
				if list.place == inside {
					after = at(f, o.places[round%len(o.places)])
				}
				one, rows := measure(t, db, o.key, f, after)
				took[i], read[i] = append(took[i], one), max(read[i], rows)
			}
		}
		line := "| " + list.name + " |"
		for i := range sizes {
			slices.Sort(took[i])
			assert.LessOrEqual(t, int(read[i]), list.reads, "%s, of %d people", list.name, sizes[i].people)
			line += fmt.Sprintf(" %s, %s, %d |", milliseconds(middle(took[i])), milliseconds(took[i][len(took[i])*99/100]), read[i])
		}
		t.Log(line)
	}
}

func milliseconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds()*1000, 'f', 1, 64) }

func middle(sorted []time.Duration) time.Duration { return sorted[len(sorted)/2] }

// at is where a list goes on after somebody.
func at(f store.Filter, e store.Entry) store.Cursor {
	switch f.Order {
	case store.ByJoinTime:
		return store.Cursor{Time: e.JoinTime, ID: e.ID}
	case store.ByActivityTime:
		return store.Cursor{Time: e.SortActivity, ID: e.ID}
	}
	return store.Cursor{Name: e.SortName, ID: e.ID}
}

// measure reads one page, and returns how long it took, and how many rows and entries of indexes the statements read.
func measure(t *testing.T, db *postgres.DB, key id.Organization, f store.Filter, after store.Cursor) (took time.Duration, read int64) {
	t.Helper()
	require.NoError(t, db.View(t.Context(), postgres.In(key), func(tx *postgres.Tx) error {
		before := rowsRead(t, tx)
		started := time.Now()
		_, _, err := store.Queries{Tx: tx}.ListPeople(t.Context(), key, f, after, 50)
		took = time.Since(started)
		read = rowsRead(t, tx) - before
		return err
	}))
	return took, read
}

// rowsRead is what this connection has read, and not reported yet: whole rows by reading tables, entries by reading indexes.
func rowsRead(t *testing.T, tx *postgres.Tx) (read int64) {
	t.Helper()
	tx.Read(`
		SELECT coalesce(sum(pg_stat_get_xact_tuples_returned(c.oid)), 0)::bigint FROM pg_class c LEFT JOIN pg_index i ON i.indexrelid = c.oid
		WHERE coalesce(i.indrelid, c.oid) IN ('people'::regclass, 'people_search'::regclass, 'group_members'::regclass, 'project_members'::regclass)`,
		nil, func(rows pgx.Rows) (err error) {
			read, err = pgx.CollectExactlyOneRow(rows, pgx.RowTo[int64])
			return err
		})
	require.NoError(t, tx.Fetch(t.Context()))
	return read
}

// populate fills the organizations. Indexes are made anew at the end, which is several times faster.
func populate(t *testing.T, owner *pgx.Conn, sizes []sized) {
	t.Helper()
	ctx := t.Context()
	exec := func(sql string, args ...any) {
		t.Helper()
		_, err := owner.Exec(ctx, sql, args...)
		require.NoError(t, err)
	}
	exec(`SET maintenance_work_mem = '512MB'`)
	remake := dropIndexes(t, ctx, owner)
	for _, o := range sizes {
		exec(`
			INSERT INTO organizations (organization_id, display_name, sort_name, preset, policy, state, creator_account_id, version, create_time, update_time)
			VALUES ($1, '', '', 'pipeline', '{}', 'ACTIVE', $1, 1, now(), now())`, o.key)
		exec(`INSERT INTO roles (organization_id, role_id, key, display_name, description, color, rank, owner, permissions) VALUES ($1, $1, 'viewer', '', '', '', 1, false, '{}')`, o.key)
		exec(`
			WITH n AS (
				SELECT i, (array['Ada','Michael','Grace','Ming','Noor','Ravi','Søren','Zoe','Olga','Kwame','Lucia','Hiroshi','Priya','Tomás','Yusuf','Ingrid','Mateo','Fatima','Chen','Amara'])[1 + abs(hashint4(i)) % 20] AS first,
				       (array['Smith','Okafor','Nguyen','Garcia','Müller','Ivanova','Tanaka','Haddad','Silva','Kowalski'])[1 + abs(hashint4(i)) / 20 % 10] || CASE WHEN i % 100 = 37 THEN '-Donaldson' ELSE '' END AS last,
				       CASE WHEN i % 50 = 9 THEN 'PENDING' WHEN i % 100 = 17 THEN 'DISABLED' ELSE 'ACTIVE' END AS state,
				       CASE WHEN i = 1 THEN 'owner' WHEN i % 200 = 3 THEN 'admin' WHEN i % 2 = 0 THEN 'viewer' ELSE 'developer' END AS role,
				       $3::timestamptz - (i::bigint * 7919 % 1000000) * interval '2 minutes' AS join_time
				FROM generate_series(1, $2::int) i
			)
			INSERT INTO people (organization_id, person_id, kind, sort_name, display_name, email, username, role, state, join_time, activity_time, availability)
			SELECT $1, gen_random_uuid(), CASE state WHEN 'PENDING' THEN 'INVITATION' ELSE 'MEMBER' END, lower(first || ' ' || last || ' ' || i), first || ' ' || last || ' ' || i,
			       lower(last) || '.' || i || '@example.com', 'u' || i, role, state, join_time,
			       CASE WHEN state = 'PENDING' OR i % 25 = 4 THEN join_time ELSE greatest(join_time, $3::timestamptz - (i::bigint * 104729 % 150000) * interval '1 minute') END,
			       CASE WHEN i % 20 = 6 THEN 'UNAVAILABLE' ELSE 'AVAILABLE' END
			FROM n`, o.key, o.people, began)
		exec(`
			INSERT INTO people_search (organization_id, person_id, name, username, email)
			SELECT organization_id, person_id, sort_name, username, email FROM people WHERE organization_id = $1`, o.key)
		exec(`
			INSERT INTO members (organization_id, account_id, role_id, state, seat_id, join_time, sole_owner, version)
			SELECT $1, person_id, $1, 'ACTIVE', person_id, join_time, false, 1 FROM people
			WHERE organization_id = $1 AND kind = 'MEMBER' AND (substr(username, 2)::int <= 10 OR substr(username, 2)::int % 10 = 3)`, o.key)
		for group, who := range map[id.Group]string{o.tiny: `i BETWEEN 1 AND 8`, o.middle: `i % 200 = 3 AND i <= 600000`, o.big: `i % 10 = 3`} {
			exec(`
				INSERT INTO groups (organization_id, group_id, display_name, name_key, description, path, opens, version, create_time)
				VALUES ($1, $2, '', $3, '', ARRAY[$2::uuid], '{}', 1, now())`, o.key, group, group.String())
			exec(`
				INSERT INTO group_members (organization_id, account_id, group_id)
				SELECT $1, person_id, $2 FROM (SELECT *, substr(username, 2)::int AS i FROM people WHERE organization_id = $1 AND kind = 'MEMBER') p WHERE `+who, o.key, group)
		}
		exec(`
			INSERT INTO projects (organization_id, project_id, display_name, name_key, description, version, create_time)
			VALUES ($1, $2, '', '', '', 1, now())`, o.key, o.project)
		exec(`
			INSERT INTO project_members (organization_id, account_id, project_id, role_id, join_time)
			SELECT $1, account_id, $2, $1, now() FROM group_members WHERE organization_id = $1 AND group_id = $3`, o.key, o.project, o.tiny)
	}
	for _, index := range remake {
		exec(index)
	}
	for _, table := range []string{"people", "people_search", "members", "group_members", "project_members"} {
		exec(`VACUUM ANALYZE ` + table)
	}
}

// dropIndexes takes away the indexes of the lists that hold no constraint, and returns what makes them again.
func dropIndexes(t *testing.T, ctx context.Context, owner *pgx.Conn) (remake []string) {
	t.Helper()
	rows, err := owner.Query(ctx, `
		SELECT c.relname, pg_get_indexdef(c.oid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
		WHERE i.indrelid IN ('people'::regclass, 'people_search'::regclass) AND NOT i.indisprimary`)
	require.NoError(t, err)
	var names []string
	var name, definition string
	_, err = pgx.ForEachRow(rows, []any{&name, &definition}, func() error {
		names, remake = append(names, name), append(remake, definition)
		return nil
	})
	require.NoError(t, err)
	_, err = owner.Exec(ctx, `DROP INDEX `+strings.Join(names, ", "))
	require.NoError(t, err)
	return remake
}
