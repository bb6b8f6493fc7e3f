package store_test

import (
	"fmt"
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
		other := org.Member{Account: id.NewAccount()}
		other.Join(o.Roles[0], id.NewSeat(), id.NewInvitation(), time.Now())
		q.SaveMember(o.ID, other, true)
		q.SaveTransfer(o.ID, org.Transfer{Owner: m.Account, Account: other.Account, Ownership: org.Single, OfferTime: time.Now(), ExpireTime: time.Now()})
		q.SavePerson(o.ID, m, o.Roles[0].Key, org.Person{DisplayName: "Ada"})
		group := org.Group{ID: id.NewGroup(), GroupWords: org.GroupWords{DisplayName: "Users", Opens: org.Set{}}, Version: 1, CreateTime: time.Now()}
		group.Path = []id.Group{group.ID}
		q.InsertGroup(o.ID, group)
		q.InsertGroupMember(o.ID, group.ID, m.Account)
		project := org.Project{ID: id.NewProject(), DisplayName: "Apollo", Version: 1, CreateTime: time.Now()}
		q.InsertProject(o.ID, project)
		q.InsertProjectMember(o.ID, org.ProjectMember{Account: m.Account, Project: project.ID, Role: o.Roles[0].ID, JoinTime: time.Now()})
		q.InsertBinding(o.ID, org.Binding{Group: group.ID, Role: o.Roles[0].ID})
		q.SaveAuditEvent(o.ID, store.AuditEvent{ID: id.NewEvent(), Time: o.CreateTime, Service: "membership", Revision: 1, Targets: []string{"x"}, Data: []byte("{}")})
		q.SaveHours(o.ID, m.Account, org.WeeklyHours{Version: 1})
		q.InsertOverride(o.ID, org.Override{ID: id.NewOverride(), Account: m.Account, State: org.OnCall, Start: time.Now(), End: time.Now().Add(time.Hour)})
		q.SaveReport(o.ID, m.Account, org.Report{State: org.Available, Time: time.Now(), Until: time.Now()})
		q.SaveRotation(o.ID, org.Rotation{ID: id.NewRotation(), Version: 1, RotationWords: org.RotationWords{
			Start: time.Now(), Days: 1, Participants: []id.Account{m.Account}}})
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
	all := map[string]int{"members": 2}
	mine := map[string]int{"organizations": 1, "roles": 1, "members": 1, "people": 1, "groups": 1, "group_members": 1, "group_bindings": 1}
	for _, table := range []string{"organizations", "roles", "members", "member_operations", "people", "people_counts",
		"groups", "group_members", "group_bindings", "projects", "project_members", "audit_events", "audit_targets", "ownership_transfers",
		"weekly_hours", "overrides", "availability_reports", "rotations", "rotation_participants"} {
		require.Equal(t, max(1, all[table]), count(table, postgres.In(o.ID)), table)
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
