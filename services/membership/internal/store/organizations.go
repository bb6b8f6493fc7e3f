package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

const organizationColumns = `organization_id, display_name, preset, policy, state, version, create_time, update_time`

// organization queues a read of the organization and its roles. The zero organization stays when there is none.
func (q Queries) organization(key id.Organization, into *org.Organization) {
	var found bool
	var registry org.Registry
	q.Registry(&registry)
	q.Read(`SELECT `+organizationColumns+` FROM organizations WHERE organization_id = $1`, []any{key}, func(rows pgx.Rows) error {
		err := postgres.One(into, &found)(rows)
		into.Registry = registry
		into.UseKey(q.Caller().Scopes)
		return err
	})
	q.Read(`SELECT `+roleColumns+` FROM roles WHERE organization_id = $1 AND delete_time IS NULL ORDER BY rank`, []any{key}, allRoles(into))
}

// lockOrganization queues a statement that holds the organization's row until the transaction ends. It comes before every
// other lock.
func (q Queries) lockOrganization(key id.Organization, strength string) {
	q.Read(`SELECT 1 FROM organizations WHERE organization_id = $1 `+strength, []any{key}, nothing)
}

// InsertOrganization writes an organization that is being created.
func (q Queries) InsertOrganization(o org.Organization, creator id.Account) {
	q.Write(`
		INSERT INTO organizations (organization_id, display_name, sort_name, preset, policy, state, creator_account_id, version, create_time, update_time)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)`,
		o.ID, o.DisplayName, fold(o.DisplayName), o.Preset, o.Policy, o.State, creator, o.Version, o.CreateTime)
}

// SaveOrganization writes what may change.
func (q Queries) SaveOrganization(o org.Organization) {
	q.Write(`
		UPDATE organizations
		SET display_name = $2, sort_name = $3, state = $4, version = $5, update_time = $6, preset = $7, policy = $8
		WHERE organization_id = $1`,
		o.ID, o.DisplayName, fold(o.DisplayName), o.State, o.Version, o.UpdateTime, o.Preset, o.Policy)
}

// LockOrganization returns the organization and the actor, and holds both rows until the transaction ends.
func (q Queries) LockOrganization(ctx context.Context, key id.Organization, actor id.Account) (Standing, error) {
	q.lockOrganization(key, "FOR UPDATE")
	return q.lockMembers(ctx, key, actor)
}

// LockEverybody is LockOrganization, and holds every member's row too.
func (q Queries) LockEverybody(ctx context.Context, key id.Organization, actor id.Account) (Standing, error) {
	q.lockOrganization(key, "FOR UPDATE")
	q.Read(`SELECT count(*) FROM (SELECT 1 FROM members WHERE organization_id = $1 ORDER BY account_id FOR UPDATE) locked`,
		[]any{key}, nothing)
	return q.lockMembers(ctx, key, actor)
}

// DeleteOrganization marks the organization as deleted and ends all memberships. Others may verify its domains.
func (q Queries) DeleteOrganization(key id.Organization) {
	q.Write(`UPDATE organizations SET state = 'DELETED', version = version + 1, update_time = now() WHERE organization_id = $1`, key)
	q.Write(`
		UPDATE members
		SET state = 'REMOVED', seat_id = NULL, disable_time = NULL, disabler_account_id = NULL, sole_owner = false, version = version + 1
		WHERE organization_id = $1 AND state <> 'REMOVED'`, key)
	q.Write(`DELETE FROM people WHERE organization_id = $1`, key)
	q.Write(`DELETE FROM service_accounts WHERE organization_id = $1`, key)
	q.Write(`DELETE FROM joins WHERE organization_id = $1`, key)
	q.Write(`DELETE FROM domains WHERE organization_id = $1`, key)
}

// ScheduleDisabled schedules a task of a kind for every disabled member.
func (q Queries) ScheduleDisabled(key id.Organization, kind string) {
	q.Write(`
		INSERT INTO due (aggregate_id, kind, id, next_time)
		SELECT organization_id, $2, account_id, now() FROM members WHERE organization_id = $1 AND state = 'DISABLED'
		ON CONFLICT (aggregate_id, kind, id) DO UPDATE SET next_time = excluded.next_time, attempts = 0`, key, kind)
}

// Membership is an organization of somebody, with what they are in it. Of its roles it has theirs.
type Membership struct {
	org.Organization
	SortName    string
	RoleID      id.Role
	MemberState org.MemberState
	RoleKey     string
	BuiltIn     bool
	Permissions org.Set

	Grants      []org.Grant `db:"-"` // of groups, in the organization as a whole
	Unprotected bool        `db:"-"` // as org.Member
}

// Cursor is where the membership stands in the list.
func (m Membership) Cursor() Cursor { return Cursor{Name: m.SortName, ID: id.Any(m.ID)} }

// Allowed is what the member may do in the organization as a whole.
func (m Membership) Allowed() org.Set {
	o := m.Organization
	o.Roles = org.Roles{{ID: m.RoleID, Key: m.RoleKey, Permissions: m.Registry.Of(org.Role{Key: m.RoleKey, BuiltIn: m.BuiltIn, Permissions: m.Permissions})}}
	member := org.Member{State: m.MemberState, Role: m.RoleID, Grants: m.Grants, Unprotected: m.Unprotected}
	return o.Keyed(member, o.Allowed(member, id.Project{}))
}

// ListMemberships returns a page of the organizations that the account belongs to, by name. The transaction must be
// across organizations.
func (q Queries) ListMemberships(ctx context.Context, account id.Account, after Cursor, limit int) (page []Membership, err error) {
	var registry org.Registry
	q.Registry(&registry)
	q.Read(`
		SELECT o.organization_id, o.display_name, o.preset, o.policy, o.state, o.version, o.create_time, o.update_time,
		       o.sort_name, m.role_id, m.state AS member_state, r.key AS role_key, r.built_in, r.permissions
		FROM members m
		JOIN organizations o ON o.organization_id = m.organization_id
		JOIN roles r ON r.organization_id = m.organization_id AND r.role_id = m.role_id
		WHERE m.account_id = $1 AND m.state <> 'REMOVED' AND o.state = 'ACTIVE'
		  AND (o.sort_name, o.organization_id) > ($2, coalesce($3, '00000000-0000-0000-0000-000000000000'::uuid))
		ORDER BY o.sort_name, o.organization_id
		LIMIT $4`, []any{account, after.Name, after.ID, limit}, postgres.All(&page))
	if err := q.Fetch(ctx); err != nil || len(page) == 0 {
		return nil, err
	}
	in := make(map[id.Organization]*Membership)
	var keys []id.Organization
	for i := range page {
		page[i].Registry = registry
		page[i].UseKey(q.Caller().Scopes)
		page[i].Unprotected = unprotected(q.Caller(), account, nil)
		in[page[i].ID], keys = &page[i], append(keys, page[i].ID)
	}
	var granted []struct {
		grantRow
		Organization id.Organization
	}
	q.Read(everywhere, []any{keys, []id.Account{account}}, postgres.All(&granted))
	if err := q.Fetch(ctx); err != nil {
		return nil, err
	}
	for _, row := range granted {
		m := in[row.Organization]
		m.Grants = row.addTo(m.Grants, registry)
	}
	return page, nil
}

// everywhere reads what groups give somebody in each of some organizations as a whole.
var everywhere = `
	SELECT g.*, s.organization
	FROM unnest($1::uuid[]) s (organization), LATERAL (` + fmt.Sprintf(grants, "s.organization", "$2", "project_id IS NULL") + `) g`
