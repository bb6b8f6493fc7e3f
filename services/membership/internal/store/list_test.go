package store_test

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"strings"
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

var (
	began = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	roles = []string{"viewer", "admin", "unheard of"} // in their order, but the last, which the organization has not

	crowd, few, nobodies = id.NewGroup(), id.NewGroup(), id.NewGroup()
	campaign, errand     = id.NewProject(), id.NewProject()
)

// in tells whether the person with this number is in a group or project. SQL must say the same.
var in = map[id.Any]struct {
	sql string
	is  func(i int) bool
}{
	id.Any(crowd):    {"i % 2 = 1", func(i int) bool { return i%2 == 1 }},
	id.Any(few):      {"i % 50 = 3 OR i % 60 = 4", func(i int) bool { return i%50 == 3 || i%60 == 4 }},
	id.Any(campaign): {"i % 5 < 3", func(i int) bool { return i%5 < 3 }},
	id.Any(errand):   {"i % 700 = 1", func(i int) bool { return i%700 == 1 }},
}

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
				INSERT INTO people (organization_id, person_id, kind, sort_name, display_name, email, username, role, state, join_time, activity_time, availability)
				SELECT $1, gen_random_uuid(), CASE state WHEN 'PENDING' THEN 'INVITATION' ELSE 'MEMBER' END, name, name, '', 'user ' || i, role, state, join_time,
				       CASE WHEN i % 3 = 0 OR state = 'PENDING' THEN join_time ELSE join_time + (i % 5) * interval '1 day' END,
				       CASE WHEN state <> 'ACTIVE' THEN 'AVAILABLE' WHEN i % 1000 = 7 THEN 'ON_CALL' WHEN i % 3 = 1 THEN 'UNAVAILABLE' ELSE 'AVAILABLE' END
				FROM n
				RETURNING organization_id, person_id, sort_name, username
			)
			INSERT INTO people_search (organization_id, person_id, name, username, email)
			SELECT organization_id, person_id, sort_name, username, '' FROM person`, organization, began)
		require.NoError(t, err)
		_, err = owner.Exec(t.Context(), `
			WITH organization AS (
				INSERT INTO organizations (organization_id, display_name, sort_name, preset, policy, state, creator_account_id, version, create_time, update_time)
				VALUES ($1, '', '', 'pipeline', '{}', 'ACTIVE', $1, 1, now(), now())
			), role AS (
				INSERT INTO roles (organization_id, role_id, key, display_name, description, color, rank, owner, permissions) VALUES ($1, $1, 'viewer', '', '', '', 1, false, '{}')
			)
			INSERT INTO members (organization_id, account_id, role_id, state, seat_id, join_time, sole_owner, version)
			SELECT $1, person_id, $1, 'ACTIVE', person_id, join_time, false, 1 FROM people WHERE organization_id = $1 AND kind = 'MEMBER'`, organization)
		require.NoError(t, err)
		for _, group := range []id.Group{crowd, few, nobodies} {
			_, err = owner.Exec(t.Context(), `
				INSERT INTO groups (organization_id, group_id, display_name, name_key, description, path, opens, version, create_time)
				VALUES ($1, $2, '', $3, '', ARRAY[$2::uuid], '{}', 1, now())`, organization, group, group.String())
			require.NoError(t, err)
		}
		for _, project := range []id.Project{campaign, errand} {
			_, err = owner.Exec(t.Context(), `
				INSERT INTO projects (organization_id, project_id, display_name, name_key, description, version, create_time)
				VALUES ($1, $2, '', $3, '', 1, now())`, organization, project, project.String())
			require.NoError(t, err)
		}
		for _, group := range []id.Group{crowd, few} {
			_, err = owner.Exec(t.Context(), `
				INSERT INTO group_members (organization_id, account_id, group_id)
				SELECT $1, person_id, $2 FROM (SELECT *, substr(username, 6)::int AS i FROM people WHERE organization_id = $1 AND kind = 'MEMBER') p
				WHERE `+in[id.Any(group)].sql, organization, group)
			require.NoError(t, err)
		}
		for _, project := range []id.Project{campaign, errand} {
			_, err = owner.Exec(t.Context(), `
				INSERT INTO project_members (organization_id, account_id, project_id, role_id, join_time)
				SELECT $1, person_id, $2, $1, now() FROM (SELECT *, substr(username, 6)::int AS i FROM people WHERE organization_id = $1 AND kind = 'MEMBER') p
				WHERE `+in[id.Any(project)].sql, organization, project)
			require.NoError(t, err)
		}
	}
	_, err = owner.Exec(t.Context(), `ANALYZE people, people_search, group_members, project_members`)
	require.NoError(t, err)

	// all follows the pages to the end.
	all := func(t *testing.T, f store.Filter, size int) (found []store.Entry) {
		f.People = 12500
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
		"who is away":                         {Show: org.Unavailable},
		"members who are away":                {Kind: store.KindMember, Show: org.Unavailable},
		"invitations that are away":           {Kind: store.KindInvitation, Show: org.Unavailable},
		"who is away and has no access":       {States: []string{"DISABLED"}, Show: org.Unavailable},
		"who can be reached, of a role":       {Roles: []string{"viewer"}, Show: org.Available},
		"who is away, of a rare role":         {Roles: []string{"unheard of"}, Show: org.Unavailable},
		"a large group":                       {Groups: []id.Group{crowd}},
		"a small group":                       {Groups: []id.Group{few}},
		"groups that share people":            {Groups: []id.Group{few, crowd}},
		"a group without anybody":             {Groups: []id.Group{nobodies}},
		"a group of another organization":     {Groups: []id.Group{id.NewGroup()}},
		"invitations to a group":              {Kind: store.KindInvitation, Groups: []id.Group{crowd}},
		"a large group, of a role":            {Groups: []id.Group{crowd}, Roles: []string{"admin"}},
		"a large group, by a common word":     {Groups: []id.Group{crowd}, Query: "common"},
		"a large group, by a rare word":       {Groups: []id.Group{crowd}, Query: "common 05777"},
		"a large project":                     {Project: campaign},
		"a small project":                     {Project: errand},
		"a small group in a large project":    {Project: campaign, Groups: []id.Group{few}},
		"a large group in a large project":    {Project: campaign, Groups: []id.Group{crowd}},
		"everything that is common, together": {Project: campaign, Groups: []id.Group{crowd}, Roles: []string{"admin"}, Show: org.Available, InactiveSince: began.AddDate(0, 0, 5), Query: "early"},
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

	t.Run("A page by role goes on with its role, also when nobody has those before it any more, or its own", func(t *testing.T) {
		t.Parallel()
		pages := func(change string) (first, rest []string) {
			here := id.NewOrganization()
			everyone, err := pgx.Connect(t.Context(), dsns.Owner)
			require.NoError(t, err)
			defer everyone.Close(t.Context())
			run := func(sql string) {
				_, err := everyone.Exec(t.Context(), sql, here)
				require.NoError(t, err)
			}
			run(`INSERT INTO people (organization_id, person_id, kind, sort_name, display_name, email, username, role, state, join_time, activity_time)
				SELECT $1, gen_random_uuid(), 'MEMBER', name, name, '', '', role, 'ACTIVE', now(), now()
				FROM (VALUES ('one', 'owner'), ('two', 'admin'), ('three a', 'member'), ('three b', 'member'), ('four a', 'viewer'), ('four b', 'viewer')) v (name, role)`)
			after := &store.Cursor{}
			for page := 0; after != nil; page++ {
				if page == 1 && change != "" {
					run(change)
				}
				require.NoError(t, db.View(t.Context(), postgres.In(here), func(tx *postgres.Tx) error {
					found, next, err := store.Queries{Tx: tx}.ListPeople(t.Context(), here, store.Filter{
						Order: store.ByRole, RoleOrder: []string{"owner", "admin", "member", "viewer"}, People: 6}, *after, 3)
					for _, e := range found {
						if page == 0 {
							first = append(first, e.SortName)
						} else {
							rest = append(rest, e.SortName)
						}
					}
					after = next
					return err
				}))
			}
			return first, rest
		}
		for change, want := range map[string][]string{
			"": {"three b", "four a", "four b"},
			`DELETE FROM people WHERE organization_id = $1 AND role = 'admin'`:                                       {"three b", "four a", "four b"},
			`DELETE FROM people WHERE organization_id = $1 AND role IN ('owner', 'admin')`:                           {"three b", "four a", "four b"},
			`DELETE FROM people WHERE organization_id = $1 AND role <> 'viewer'`:                                     {"four a", "four b"},
			`UPDATE people SET role = 'gone' WHERE organization_id = $1 AND role = 'member'`:                         {"four a", "four b", "three a", "three b"},
			`DELETE FROM people WHERE organization_id = $1 AND role = 'member'`:                                      {"four a", "four b"},
			`UPDATE people SET role = 'admin' WHERE organization_id = $1 AND sort_name = 'four a'`:                   {"three b", "four b"},
			`UPDATE people SET role = 'admin' WHERE organization_id = $1 AND role = 'owner'`:                         {"three b", "four a", "four b"},
			`UPDATE people SET role = 'developer' WHERE organization_id = $1 AND sort_name IN ('three b', 'four b')`: {"four a", "four b", "three b"},
		} {
			first, rest := pages(change)
			require.Equal(t, []string{"one", "two", "three a"}, first)
			require.Equal(t, want, rest, change)
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
		number, err := strconv.Atoi(strings.TrimPrefix(e.Username, "user "))
		if err != nil {
			panic(err)
		}
		membersOnly := f.Show != "" || !f.InactiveSince.IsZero() || len(f.Groups) > 0 || !f.Project.IsZero()
		switch {
		case membersOnly && e.Kind != store.KindMember:
		case f.Show != "" && (e.State != "ACTIVE" || (f.Show == org.Unavailable) != (e.Availability == org.Unavailable)):
		case len(f.Groups) > 0 && !slices.ContainsFunc(f.Groups, func(g id.Group) bool { return in[id.Any(g)].is != nil && in[id.Any(g)].is(number) }):
		case !f.Project.IsZero() && !in[id.Any(f.Project)].is(number):
		case f.Kind != "" && e.Kind != f.Kind:
		case len(f.States) > 0 && !slices.Contains(f.States, e.State):
		case len(f.Roles) > 0 && !slices.Contains(f.Roles, e.Role):
		case !strings.Contains(e.DisplayName, word) && !strings.Contains(e.Username, word):
		case !f.InactiveSince.IsZero() && !e.SortActivity.Before(f.InactiveSince):
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
