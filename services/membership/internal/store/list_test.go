package store_test

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/testkit"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

var (
	began = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	roles = []string{"viewer", "admin", "unheard of"} // in their order, but the last, which the organization has not
)

// TestListPeople lists an organization of more people than a list reads at once, in which every condition is met by
// many, by few and by nobody, and compares with what a loop over all of them finds.
func TestListPeople(t *testing.T) {
	t.Parallel()
	dsns := testkit.Database(t, "membership", store.Migrations)
	db := dsns.Open(t, postgres.Options{})
	key, other := id.NewOrganization(), id.NewOrganization()
	owner, err := pgx.Connect(t.Context(), dsns.Owner)
	require.NoError(t, err)
	t.Cleanup(func() { owner.Close(t.Context()) })
	for _, organization := range []id.Organization{key, other} {
		_, err = owner.Exec(t.Context(), `
			WITH n AS (
				SELECT i, CASE WHEN i % 25 = 0 THEN 'PENDING' WHEN i % 1300 = 0 THEN 'DISABLED' ELSE 'ACTIVE' END AS state,
				       CASE WHEN i <= 11000 THEN 'early ' ELSE 'late common ' END || lpad((i / 2)::text, 5, '0') AS name,
				       CASE WHEN i % 2000 = 1 THEN 'unheard of' WHEN i % 2 = 0 THEN 'viewer' ELSE 'admin' END AS role,
				       $2::timestamptz + (i * 7919 % 12500 / 3) * interval '1 minute' AS join_time
				FROM generate_series(1, 12500) i
			), person AS (
				INSERT INTO people (organization_id, person_id, kind, sort_name, display_name, email, username, role, state, join_time, activity_time)
				SELECT $1, gen_random_uuid(), CASE state WHEN 'PENDING' THEN 'INVITATION' ELSE 'MEMBER' END, name, name, '', 'user ' || i, role, state, join_time,
				       CASE WHEN i % 3 = 0 OR state = 'PENDING' THEN join_time ELSE join_time + (i % 5) * interval '1 day' END
				FROM n
				RETURNING organization_id, person_id, sort_name, username
			)
			INSERT INTO people_search (organization_id, person_id, name, username, email)
			SELECT organization_id, person_id, sort_name, username, '' FROM person`, organization, began)
		require.NoError(t, err)
	}
	_, err = owner.Exec(t.Context(), `ANALYZE people, people_search`)
	require.NoError(t, err)

	// all follows the pages to the end.
	all := func(t *testing.T, f store.Filter, size int) (found []store.Entry) {
		after := &store.Cursor{}
		for pages := 0; after != nil; pages++ {
			require.Less(t, pages, 1000)
			require.NoError(t, db.View(t.Context(), postgres.In(key), func(tx *postgres.Tx) error {
				page, next, err := store.Queries{Tx: tx}.ListPeople(t.Context(), key, f, *after, size)
				require.LessOrEqual(t, len(page), size)
				found, after = append(found, page...), next
				return err
			}))
		}
		return found
	}
	everybody := all(t, store.Filter{}, 500)
	require.Len(t, everybody, 12500)

	for name, filter := range map[string]store.Filter{
		"everybody":                      {},
		"members":                        {Kind: store.KindMember},
		"invitations":                    {Kind: store.KindInvitation},
		"a common role":                  {Roles: []string{"admin"}},
		"a rare role":                    {Roles: []string{"unheard of"}},
		"a rare state":                   {States: []string{"DISABLED"}},
		"two states":                     {States: []string{"DISABLED", "PENDING"}},
		"a state of the other kind":      {Kind: store.KindMember, States: []string{"PENDING"}},
		"a role and a state":             {Roles: []string{"viewer"}, States: []string{"ACTIVE"}},
		"a role that nobody has":         {Roles: []string{"owner"}},
		"a common word":                  {Query: "COMMON"},
		"a common word and a role":       {Query: "common", Roles: []string{"admin"}},
		"a common word and a rare state": {Query: "common", States: []string{"DISABLED"}},
		"a rare word":                    {Query: "common 05777"},
		"words with what stands between": {Query: "  late   COMMON 062"},
		"a word that nobody has":         {Query: "nowhere"},
		"many who were inactive":         {InactiveSince: began.AddDate(0, 0, 5)},
		"few who were inactive":          {InactiveSince: began.Add(3 * time.Hour)},
		"nobody who was inactive":        {InactiveSince: began},
		"inactive among invitations":     {Kind: store.KindInvitation, InactiveSince: began.AddDate(1, 0, 0)},
		"many who were inactive, of a role, by a common word": {InactiveSince: began.AddDate(0, 0, 5), Roles: []string{"viewer"}, Query: "early"},
	} {
		for _, order := range []store.Order{store.ByName, store.ByJoinTime, store.ByActivityTime, store.ByRole} {
			for _, descending := range []bool{false, true} {
				f := filter
				f.Order, f.Descending, f.RoleOrder = order, descending, roles[:2]
				t.Run(strings.Join([]string{name, string(order), map[bool]string{true: "descending"}[descending]}, " "), func(t *testing.T) {
					t.Parallel()
					want := expected(everybody, f)
					got := all(t, f, 500)
					require.Equal(t, idsOf(want), idsOf(got))
				})
			}
		}
	}

	t.Run("Small pages cover everybody once", func(t *testing.T) {
		t.Parallel()
		for _, order := range []store.Order{store.ByName, store.ByJoinTime, store.ByActivityTime, store.ByRole} {
			f := store.Filter{States: []string{"DISABLED"}, Order: order, RoleOrder: roles[:2]}
			require.Equal(t, idsOf(expected(everybody, f)), idsOf(all(t, f, 2)))
		}
	})

	for name, c := range map[string]struct {
		query string
		want  int
	}{
		"A common beginning lists the names":       {"la", 1500},
		"A common beginning of usernames is found": {"us", 12500},
		"A short word is no part of another":       {"om", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Len(t, all(t, store.Filter{Query: c.query}, 500), c.want)
		})
	}
}

// expected is what a list should be.
func expected(everybody []store.Entry, f store.Filter) (list []store.Entry) {
	word := strings.Join(strings.Fields(strings.ToLower(f.Query)), " ")
	for _, e := range everybody {
		switch {
		case f.Kind != "" && e.Kind != f.Kind:
		case len(f.States) > 0 && !slices.Contains(f.States, e.State):
		case len(f.Roles) > 0 && !slices.Contains(f.Roles, e.Role):
		case !strings.Contains(e.DisplayName, word) && !strings.Contains(e.Username, word):
		case !f.InactiveSince.IsZero() && (e.Kind != store.KindMember || !e.SortActivity.Before(f.InactiveSince)):
		default:
			list = append(list, e)
		}
	}
	slices.SortFunc(list, func(a, b store.Entry) int {
		byKey := func(key int) int {
			key = cmp.Or(key, bytes.Compare(a.ID[:], b.ID[:]))
			if f.Descending && f.Order != store.ByRole {
				return -key
			}
			return key
		}
		switch f.Order {
		case store.ByJoinTime:
			return byKey(a.JoinTime.Compare(b.JoinTime))
		case store.ByActivityTime:
			return cmp.Or(strings.Compare(b.Kind, a.Kind), byKey(a.SortActivity.Compare(b.SortActivity)))
		case store.ByRole:
			ranks := slices.Index(roles, a.Role) - slices.Index(roles, b.Role)
			if f.Descending {
				ranks = -ranks
			}
			return cmp.Or(ranks, byKey(strings.Compare(a.SortName, b.SortName)))
		}
		return byKey(strings.Compare(a.SortName, b.SortName))
	})
	return list
}

func idsOf(entries []store.Entry) (ids []string) {
	for _, e := range entries {
		ids = append(ids, e.SortName+" "+e.ID.String())
	}
	return ids
}
