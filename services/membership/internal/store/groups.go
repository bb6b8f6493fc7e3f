package store

import (
	"context"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

func init() {
	postgres.Refusal("groups_name", org.ErrGroupNameTaken)
}

// nameKey is what tells names apart: not by case, nor by the way in which a letter is written.
func nameKey(name string) string { return strings.ToLower(norm.NFKC.String(name)) }

// groups queues a read of all groups, which are not many, with the roles that they give.
func (q Queries) groups(key id.Organization, into *org.Groups) func() {
	var found []org.Group
	var bindings []org.Binding
	q.Read(`
		SELECT group_id, display_name, description, parent_id, path, opens, version, create_time
		FROM groups WHERE organization_id = $1 ORDER BY name_key`, []any{key}, postgres.All(&found))
	q.Read(`SELECT group_id, role_id, project_id FROM group_bindings WHERE organization_id = $1 ORDER BY group_id, role_id, project_id`,
		[]any{key}, postgres.All(&bindings))
	return func() {
		of := make(map[id.Group][]org.Binding)
		for _, b := range bindings {
			of[b.Group] = append(of[b.Group], b)
		}
		for i, g := range found {
			found[i].Bindings = of[g.ID]
		}
		*into = found
	}
}

// Groups returns the organization with its groups and some members.
func (q Queries) Groups(ctx context.Context, key id.Organization, accounts ...id.Account) (Standing, org.Groups, error) {
	var groups org.Groups
	collectGroups := q.groups(key, &groups)
	collect := q.standing(key, accounts)
	if err := q.Fetch(ctx); err != nil {
		return Standing{}, nil, err
	}
	collectGroups()
	return collect(), groups, nil
}

// LockGroups is Groups, and holds the organization's row alone and those of the members until the transaction ends: nobody
// decides on what groups give meanwhile.
func (q Queries) LockGroups(ctx context.Context, key id.Organization, accounts ...id.Account) (Standing, org.Groups, error) {
	q.lockOrganization(key, "FOR UPDATE")
	q.memberLocks(key, accounts...)
	return q.Groups(ctx, key, accounts...)
}

// InsertGroup writes a new group.
func (q Queries) InsertGroup(key id.Organization, g org.Group) {
	q.Write(`
		INSERT INTO groups (organization_id, group_id, display_name, name_key, description, parent_id, path, opens, version, create_time)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		key, g.ID, g.DisplayName, nameKey(g.DisplayName), g.Description, g.Parent, g.Path, g.Opens, g.Version, g.CreateTime)
}

// SaveGroup writes what may change of a group.
func (q Queries) SaveGroup(key id.Organization, g org.Group) {
	q.Write(`
		UPDATE groups SET display_name = $3, name_key = $4, description = $5, parent_id = $6, path = $7, opens = $8, version = $9
		WHERE organization_id = $1 AND group_id = $2`,
		key, g.ID, g.DisplayName, nameKey(g.DisplayName), g.Description, g.Parent, g.Path, g.Opens, g.Version)
}

// DeleteGroup takes a group away, with what it gave and who was in it.
func (q Queries) DeleteGroup(key id.Organization, group id.Group) {
	q.Write(`DELETE FROM groups WHERE organization_id = $1 AND group_id = $2`, key, group)
}

// InsertBinding makes a group give a role.
func (q Queries) InsertBinding(key id.Organization, b org.Binding) {
	q.Write(`INSERT INTO group_bindings (organization_id, group_id, role_id, project_id) VALUES ($1, $2, $3, $4)`,
		key, b.Group, b.Role, b.Project)
}

// DeleteBinding makes a group no longer give a role.
func (q Queries) DeleteBinding(key id.Organization, b org.Binding) {
	q.Write(`
		DELETE FROM group_bindings
		WHERE organization_id = $1 AND group_id = $2 AND role_id = $3 AND project_id IS NOT DISTINCT FROM $4`,
		key, b.Group, b.Role, b.Project)
}

// InGroup queues a read of whether a member is in a group, and not only in one inside of it.
func (q Queries) InGroup(key id.Organization, group id.Group, account id.Account, in *bool) {
	q.Read(`SELECT true AS in_group FROM group_members WHERE organization_id = $1 AND account_id = $2 AND group_id = $3`,
		[]any{key, account, group}, exists(in))
}

// InsertGroupMember puts a member into a group.
func (q Queries) InsertGroupMember(key id.Organization, group id.Group, account id.Account) {
	q.Write(`INSERT INTO group_members (organization_id, account_id, group_id) VALUES ($1, $2, $3)`, key, account, group)
}

// DeleteGroupMember takes a member out of a group.
func (q Queries) DeleteGroupMember(key id.Organization, group id.Group, account id.Account) {
	q.Write(`DELETE FROM group_members WHERE organization_id = $1 AND account_id = $2 AND group_id = $3`, key, account, group)
}

// ListGroupMembers returns a page of who is in a group, by id.
func (q Queries) ListGroupMembers(ctx context.Context, key id.Organization, group id.Group, after id.Account, limit int) (page []Entry, err error) {
	q.Read(`
		SELECT `+entryColumns+`
		FROM group_members gm
		JOIN people p ON p.organization_id = gm.organization_id AND p.person_id = gm.account_id
		WHERE gm.organization_id = $1 AND gm.group_id = $2
		  AND gm.account_id > coalesce($3, '00000000-0000-0000-0000-000000000000'::uuid)
		ORDER BY gm.account_id
		LIMIT $4`, []any{key, group, after, limit}, postgres.All(&page))
	return page, q.Fetch(ctx)
}
