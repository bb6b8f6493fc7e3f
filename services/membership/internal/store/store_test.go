package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/testkit"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// TestSearch looks for words that more people have than a search collects, in a list of more rows than it reads at once.
func TestSearch(t *testing.T) {
	t.Parallel()
	dsns := testkit.Database(t, "membership", store.Migrations)
	db := dsns.Open(t, postgres.Options{})
	key := id.NewOrganization()
	owner, err := pgx.Connect(t.Context(), dsns.Owner)
	require.NoError(t, err)
	t.Cleanup(func() { owner.Close(t.Context()) })
	_, err = owner.Exec(t.Context(), `
		WITH person AS (
			INSERT INTO people (organization_id, person_id, kind, sort_name, display_name, email, username, role, state, join_time)
			SELECT $1, gen_random_uuid(), 'MEMBER', name, name, '', 'user ' || i, CASE i % 2 WHEN 0 THEN 'viewer' ELSE 'admin' END, 'ACTIVE', now()
			FROM (SELECT i, CASE WHEN i <= 11000 THEN 'early ' ELSE 'late common ' END || lpad(i::text, 5, '0') AS name FROM generate_series(1, 12500) i) n
			RETURNING organization_id, person_id, sort_name, username
		)
		INSERT INTO people_search (organization_id, person_id, sort_name, name, username, email)
		SELECT organization_id, person_id, sort_name, sort_name, username, '' FROM person`, key)
	require.NoError(t, err)

	// all follows the pages to the end.
	all := func(t *testing.T, f store.Filter) (names []string, pages int) {
		after := &store.Cursor{}
		for after != nil {
			require.NoError(t, db.View(t.Context(), postgres.In(key), func(tx *postgres.Tx) error {
				page, next, err := store.Queries{Tx: tx}.ListPeople(t.Context(), key, f, *after, 500)
				for _, e := range page {
					names = append(names, e.DisplayName)
				}
				after = next
				return err
			}))
			require.Less(t, pages, 100)
			pages++
		}
		require.True(t, slices.IsSorted(names))
		return names, pages
	}
	for name, c := range map[string]struct {
		filter store.Filter
		want   int
	}{
		"A common word is found in every window":     {store.Filter{Query: "COMMON"}, 1500},
		"A filter holds in the windows too":          {store.Filter{Query: "common", Roles: []string{"admin"}}, 750},
		"A rare word is found at once":               {store.Filter{Query: "common 11777"}, 1},
		"A common beginning lists the names":         {store.Filter{Query: "la"}, 1500},
		"A common beginning of usernames is found":   {store.Filter{Query: "us"}, 12500},
		"A word that nobody has is found nowhere":    {store.Filter{Query: "nowhere"}, 0},
		"Without a word everybody is listed":         {store.Filter{}, 12500},
		"Nobody has a pending invitation":            {store.Filter{Kind: store.KindInvitation}, 0},
		"States are those of the list":               {store.Filter{States: []string{"DISABLED"}, Query: "common"}, 0},
		"What stands between the words counts, once": {store.Filter{Query: "  late   COMMON 12"}, 501},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			names, _ := all(t, c.filter)
			require.Len(t, names, c.want)
		})
	}
}

// TestTenancy reads every table in the scope of another organization, and in none.
func TestTenancy(t *testing.T) {
	t.Parallel()
	db := testkit.Open(t, "membership", store.Migrations)
	o := org.New(id.NewOrganization(), "Acme", org.Flat)
	o.CreateTime = time.Now()
	o.Open()
	m := org.Member{Account: id.NewAccount()}
	m.Join(o.Roles[0], id.NewSeat(), id.NewInvitation(), time.Now())
	require.NoError(t, db.InTx(t.Context(), postgres.In(o.ID), func(tx *postgres.Tx) error {
		q := store.Queries{Tx: tx}
		q.InsertOrganization(o, m.Account)
		q.InsertRoles(o.ID, o.Roles...)
		q.SaveMember(o.ID, m, true)
		q.SavePerson(o.ID, m, o.Roles[0].Key, org.Person{DisplayName: "Ada"})
		group := org.Group{ID: id.NewGroup(), GroupWords: org.GroupWords{DisplayName: "Users", Opens: org.Set{}}, Version: 1, CreateTime: time.Now()}
		group.Path = []id.Group{group.ID}
		q.InsertGroup(o.ID, group)
		q.InsertGroupMember(o.ID, group.ID, m.Account)
		q.InsertBinding(o.ID, org.Binding{Group: group.ID, Role: o.Roles[0].ID})
		q.SaveAuditEvent(o.ID, store.AuditEvent{ID: id.NewEvent(), Time: o.CreateTime, Service: "membership", Revision: 1, Targets: []string{"x"}, Data: []byte("{}")})
		q.InsertOperation(o.ID, org.Begin(org.EnableOperation, m.Account, m.Account, "admin", "", time.Now()))
		return nil
	}))
	count := func(table string, scope postgres.Scope) (n int) {
		require.NoError(t, db.View(t.Context(), scope, func(tx *postgres.Tx) error {
			tx.Read(fmt.Sprintf(`SELECT count(*) FROM %s`, table), nil, func(rows pgx.Rows) (err error) {
				n, err = pgx.CollectExactlyOneRow(rows, pgx.RowTo[int])
				return err
			})
			return tx.Fetch(t.Context())
		}))
		return n
	}
	mine := map[string]int{"organizations": 1, "roles": 1, "members": 1, "people": 1}
	for _, table := range []string{"organizations", "roles", "members", "member_operations", "people", "people_counts",
		"groups", "group_members", "group_bindings", "audit_events", "audit_targets"} {
		require.Equal(t, 1, count(table, postgres.In(o.ID)), table)
		require.Zero(t, count(table, postgres.In(id.NewOrganization())), "R78 %s", table)
		require.Zero(t, count(table, postgres.Scope{}), "R78 %s", table)
		require.Zero(t, count(table, postgres.Across(id.NewAccount())), "R78 %s", table)
		require.Equal(t, mine[table], count(table, postgres.Across(m.Account)), table)
	}
	err := db.InTx(t.Context(), postgres.In(id.NewOrganization()), func(tx *postgres.Tx) error {
		store.Queries{Tx: tx}.InsertRoles(o.ID, org.Role{ID: id.NewRole(), Key: "x", Permissions: org.Set{}})
		return nil
	})
	require.ErrorContains(t, err, "row-level security", "R78")
}
