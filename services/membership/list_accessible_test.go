package membership_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// who lists everybody who may do something, and what gives it to each.
func (o organization) who(permission, project string, size int32) (accounts []string, by map[string][]*membershipv1.ExplainAccessResponse_Line) {
	o.Helper()
	by = make(map[string][]*membershipv1.ExplainAccessResponse_Line)
	for token := ""; ; {
		answer, err := o.access.ListAccessible(o.as(o.creator), &membershipv1.ListAccessibleRequest{
			OrganizationId: o.id.String(), Permission: permission, ProjectId: project, PageSize: size, PageToken: token})
		require.NoError(o, err)
		require.LessOrEqual(o, len(answer.GetHolders()), int(size))
		for _, holder := range answer.GetHolders() {
			accounts = append(accounts, holder.GetAccountId())
			by[holder.GetAccountId()] = holder.GetLines()
		}
		if token = answer.GetNextPageToken(); token == "" {
			return accounts, by
		}
	}
}

// mine lists what somebody may do.
func (o organization) mine(account id.Account, project string) (*membershipv1.ListMyPermissionsResponse, error) {
	return o.access.ListMyPermissions(o.as(account), &membershipv1.ListMyPermissionsRequest{OrganizationId: o.id.String(), ProjectId: project})
}

// scatter fills an organization with people of all states, in groups inside of each other, in projects, behind gates.
func (o organization) scatter(random *rand.Rand) (accounts []id.Account, projects []string) {
	o.Helper()
	owner := o.owner()
	do := func(sql string, args ...any) {
		o.Helper()
		_, err := owner.Exec(o.Context(), sql, append([]any{o.id}, args...)...)
		require.NoError(o, err)
	}
	accounts = append(accounts, o.creator)
	roles := []string{"admin", "developer", "viewer"}
	for range 16 {
		accounts = append(accounts, o.add(roles[random.IntN(len(roles))]))
	}
	gated := []string{"members.activity.read", "members.contact.read", "resources.read", "seats.read"}
	o.policy(fmt.Sprintf(`{"groups": %t, "projects": %t, "project_guests": %t, "gated_permissions": ["members.contact.read", "resources.read", "seats.read"]}`,
		random.IntN(5) > 0, random.IntN(5) > 0, random.IntN(2) > 0))
	var groups []id.Group
	paths := make(map[id.Group][]id.Group)
	for i := range 6 {
		g := id.NewGroup()
		var parent *id.Group
		path := []id.Group{g}
		if i > 0 && random.IntN(2) > 0 {
			above := groups[random.IntN(i)]
			if len(paths[above]) < 5 {
				parent, path = &above, append(slices.Clone(paths[above]), g)
			}
		}
		paths[g], groups = path, append(groups, g)
		do(`INSERT INTO groups (organization_id, group_id, display_name, name_key, description, parent_id, path, opens, version, create_time)
			VALUES ($1, $2, $3, $3, '', $4, $5, $6, 1, now())`, g, fmt.Sprint("group ", i), parent, path, gated[random.IntN(3):][:random.IntN(2)])
	}
	for i := range 3 {
		p := id.NewProject()
		projects = append(projects, p.String())
		do(`INSERT INTO projects (organization_id, project_id, display_name, name_key, description, version, create_time)
			VALUES ($1, $2, $3, $3, '', 1, now())`, p, fmt.Sprint("project ", i))
		for _, account := range accounts {
			if random.IntN(6) == 0 {
				do(`INSERT INTO project_members (organization_id, account_id, project_id, role_id, join_time)
					SELECT $1, $2, $3, role_id, now() FROM roles WHERE organization_id = $1 AND key = $4`, account, p, roles[random.IntN(len(roles))])
			}
		}
		for _, g := range groups {
			if random.IntN(5) == 0 {
				do(`INSERT INTO group_bindings (organization_id, group_id, role_id, project_id)
					SELECT $1, $2, role_id, $3 FROM roles WHERE organization_id = $1 AND key = $4`, g, p, roles[random.IntN(len(roles))])
			}
		}
	}
	for _, g := range groups {
		if random.IntN(2) == 0 {
			do(`INSERT INTO group_bindings (organization_id, group_id, role_id)
				SELECT $1, $2, role_id FROM roles WHERE organization_id = $1 AND key = $3`, g, roles[random.IntN(len(roles))])
		}
		for _, account := range accounts {
			if random.IntN(4) == 0 {
				do(`INSERT INTO group_members (organization_id, account_id, group_id) VALUES ($1, $2, $3)`, account, g)
			}
		}
	}
	for _, account := range accounts[1:] {
		switch random.IntN(6) {
		case 0:
			do(`UPDATE members SET state = 'DISABLED', seat_id = NULL, disable_time = now() WHERE organization_id = $1 AND account_id = $2`, account)
		case 1:
			do(`DELETE FROM group_members WHERE organization_id = $1 AND account_id = $2`, account)
			do(`UPDATE members SET state = 'REMOVED', seat_id = NULL WHERE organization_id = $1 AND account_id = $2`, account)
			do(`DELETE FROM people WHERE organization_id = $1 AND person_id = $2`, account)
		}
	}
	return accounts, projects
}

func TestListAccessible(t *testing.T) {
	t.Parallel()

	for seed := range uint64(4) {
		t.Run(fmt.Sprintf("RB24 What lists say of a random organization is what CheckAccess says (%d)", seed), func(t *testing.T) {
			t.Parallel()
			o := newHarness(t).create(pipeline)
			random := rand.New(rand.NewPCG(seed, 7))
			accounts, projects := o.scatter(random)
			for _, project := range append(projects, "") {
				allowed := make(map[string][]string) // by permission, as CheckAccess says
				for _, account := range accounts {
					ask := &membershipv1.BatchCheckAccessRequest{OrganizationId: o.id.String()}
					for _, p := range org.Catalogue() {
						ask.Questions = append(ask.Questions, &membershipv1.BatchCheckAccessRequest_Question{
							AccountId: account.String(), Permission: p.Name, ProjectId: project})
					}
					answer, err := o.asked.BatchCheckAccess(t.Context(), ask)
					require.NoError(t, err)
					var may []string
					for i, a := range answer.GetAnswers() {
						if a.GetAllowed() {
							may = append(may, ask.Questions[i].GetPermission())
							allowed[ask.Questions[i].GetPermission()] = append(allowed[ask.Questions[i].GetPermission()], account.String())
						}
					}
					if mine, err := o.mine(account, project); err == nil {
						var listed []string
						for _, held := range mine.GetPermissions() {
							require.NotEmpty(t, held.GetLines())
							listed = append(listed, held.GetPermission())
						}
						require.Equal(t, may, listed)
					} else {
						require.Empty(t, may)
					}
				}
				for _, p := range org.Catalogue() {
					slices.Sort(allowed[p.Name])
					listed, by := o.who(p.Name, project, int32(1+random.IntN(9)))
					require.Equal(t, allowed[p.Name], listed, "%s in %q", p.Name, project)
					for account, lines := range by {
						explained, err := o.access.ExplainAccess(o.as(o.creator), &membershipv1.ExplainAccessRequest{
							OrganizationId: o.id.String(), AccountId: account, Permission: p.Name, ProjectId: project})
						require.NoError(t, err)
						require.Equal(t, explained.GetLine().String(), lines[0].String())
						break // one of them: that a line decides is shown elsewhere
					}
				}
			}
		})
	}

	t.Run("RB19 Who may not see people is told nothing, and foreign ids are nowhere", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o, other := h.create(pipeline), h.create(flat)
		o.policy(`{"projects": true, "project_guests": true}`)
		project, foreign := o.project("Compiler"), other.project("Theirs")
		guest := o.add("viewer")
		require.NoError(t, o.engage(o.creator, guest, project, "developer"))
		ask := func(by id.Account, permission, project string) error {
			_, err := o.access.ListAccessible(o.as(by), &membershipv1.ListAccessibleRequest{
				OrganizationId: o.id.String(), Permission: permission, ProjectId: project})
			return err
		}
		require.NoError(t, ask(guest, "org.read", ""))
		o.policy(`{"gated_permissions": ["members.read"]}`)
		refused(t, ask(guest, "org.read", ""), errorv1.Reason_REASON_PERMISSION_MISSING)
		require.NoError(t, ask(guest, "org.read", project.GetId()), "there the project gives it")
		refused(t, ask(guest, "org.read", foreign.GetId()), errorv1.Reason_REASON_PERMISSION_MISSING)
		o.policy(`{"gated_permissions": []}`)
		refused(t, ask(guest, "org.read", foreign.GetId()), errorv1.Reason_REASON_PROJECT_NOT_FOUND)
		refused(t, ask(other.creator, "org.read", ""), errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
		refused(t, ask(guest, "org.fly", ""), errorv1.Reason_REASON_VALIDATION_FAILED)
		_, err := o.mine(guest, foreign.GetId())
		refused(t, err, errorv1.Reason_REASON_PROJECT_NOT_FOUND)
		_, err = o.mine(other.creator, "")
		refused(t, err, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)

		_, err = o.remove(o.creator, guest)
		require.NoError(t, err)
		mine, err := o.mine(guest, project.GetId())
		require.NoError(t, err, "a guest asks about the project")
		require.Equal(t, membershipv1.ExplainAccessResponse_Line_SOURCE_PROJECT, mine.GetPermissions()[0].GetLines()[0].GetSource())
		_, err = o.mine(guest, "")
		refused(t, err, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
		refused(t, ask(guest, "org.read", project.GetId()), errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
		disabled := o.add("viewer")
		_, err = o.disable(o.creator, disabled)
		require.NoError(t, err)
		_, err = o.mine(disabled, "")
		refused(t, err, errorv1.Reason_REASON_MEMBER_DISABLED)
	})

	t.Run("RB19 Who sees no groups is told of nobody's, but of their own", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		asker, member := o.add("viewer"), o.add("viewer")
		group := o.group("Secret raid")
		for _, account := range []id.Account{asker, member} {
			require.NoError(t, o.enroll(o.creator, account, group))
		}
		require.NoError(t, o.bind(o.creator, group, "developer"))
		told := func(about id.Account) (lines []*membershipv1.ExplainAccessResponse_Line) {
			explained, err := o.access.ExplainAccess(o.as(asker), &membershipv1.ExplainAccessRequest{
				OrganizationId: o.id.String(), AccountId: about.String(), Permission: "resources.write"})
			require.NoError(t, err)
			require.True(t, explained.GetAllowed())
			listed, err := o.access.ListAccessible(o.as(asker), &membershipv1.ListAccessibleRequest{OrganizationId: o.id.String(), Permission: "resources.write"})
			require.NoError(t, err)
			for _, holder := range listed.GetHolders() {
				if holder.GetAccountId() == about.String() {
					return append(holder.GetLines(), explained.GetLine())
				}
			}
			return nil
		}
		require.Len(t, told(member), 2)
		for _, line := range told(member) {
			require.Equal(t, "Secret raid", line.GetDisplayName())
		}
		_, err := o.owner().Exec(t.Context(), `UPDATE roles SET permissions = array_remove(permissions, 'groups.read') WHERE organization_id = $1`, o.id)
		require.NoError(t, err)
		require.Len(t, told(member), 2)
		for _, line := range told(member) {
			require.Equal(t, membershipv1.ExplainAccessResponse_Line_SOURCE_GROUP, line.GetSource())
			require.Empty(t, line.GetGroupId()+line.GetDisplayName())
		}
		for _, line := range told(asker) {
			require.Equal(t, "Secret raid", line.GetDisplayName())
		}
	})

	t.Run("A page costs what holds the permission, not the organization", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		_, err := o.owner().Exec(t.Context(), `
			INSERT INTO members (organization_id, account_id, role_id, state, seat_id, join_time, sole_owner, version)
			SELECT $1, gen_random_uuid(), (SELECT role_id FROM roles WHERE organization_id = $1 AND key = 'viewer'), 'ACTIVE', gen_random_uuid(), now(), false, 1
			FROM generate_series(1, 5000)`, o.id)
		require.NoError(t, err)
		first, err := o.access.ListAccessible(o.as(o.creator), &membershipv1.ListAccessibleRequest{
			OrganizationId: o.id.String(), Permission: "org.delete"})
		require.NoError(t, err)
		require.Len(t, first.GetHolders(), 1)
		require.Empty(t, first.GetNextPageToken(), "5,000 viewers are not looked at")
		require.Equal(t, o.creator.String(), first.GetHolders()[0].GetAccountId())
	})
}

func TestMyPermissionsEverywhere(t *testing.T) {
	t.Parallel()

	t.Run("RB24 A list of organizations says what one may do in each, groups and gates included", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		me := id.NewAccount()
		for seed := range uint64(4) {
			o := h.create(pipeline)
			require.NoError(t, o.addAs(me, id.NewSeat(), "viewer"))
			random := rand.New(rand.NewPCG(seed, 11))
			o.scatter(random)
			_, err := o.owner().Exec(t.Context(), `
				INSERT INTO group_members (organization_id, account_id, group_id)
				SELECT $1, $2, group_id FROM groups WHERE organization_id = $1 AND display_name IN ('group 3', 'group 5')`, o.id, me)
			require.NoError(t, err)
		}
		listed, err := h.organizations.ListOrganizations(h.as(me), &membershipv1.ListOrganizationsRequest{PageSize: 3})
		require.NoError(t, err)
		require.Len(t, listed.GetOrganizations(), 3)
		rest, err := h.organizations.ListOrganizations(h.as(me), &membershipv1.ListOrganizationsRequest{PageSize: 3, PageToken: listed.GetNextPageToken()})
		require.NoError(t, err)
		more := 0
		for _, o := range append(listed.GetOrganizations(), rest.GetOrganizations()...) {
			mine, err := h.access.ListMyPermissions(h.as(me), &membershipv1.ListMyPermissionsRequest{OrganizationId: o.GetId()})
			require.NoError(t, err)
			var names []string
			for _, held := range mine.GetPermissions() {
				names = append(names, held.GetPermission())
				if held.GetLines()[0].GetSource() == membershipv1.ExplainAccessResponse_Line_SOURCE_GROUP {
					more++
				}
			}
			require.Equal(t, names, o.GetMyPermissions())
		}
		require.Positive(t, more, "something comes from groups")
	})
}
