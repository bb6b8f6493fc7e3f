package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

const roleColumns = `role_id, key, display_name, description, color, rank, owner, built_in, permissions, version`

// InsertRoles writes new roles.
func (q Queries) InsertRoles(key id.Organization, roles ...org.Role) {
	for _, r := range roles {
		q.Write(`
			INSERT INTO roles (organization_id, `+roleColumns+`, name_key)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
			key, r.ID, r.Key, r.DisplayName, r.Description, r.Color, r.Rank, r.Owner, r.BuiltIn, r.Permissions, r.Version, r.NameKey())
	}
}

// SaveRole writes what may change of a role.
func (q Queries) SaveRole(key id.Organization, r org.Role) {
	q.Write(`
		UPDATE roles SET display_name = $3, name_key = $4, description = $5, color = $6, permissions = $7, version = $8
		WHERE organization_id = $1 AND role_id = $2`,
		key, r.ID, r.DisplayName, r.NameKey(), r.Description, r.Color, r.Permissions, r.Version)
}

// useOf queues a read of who has a role. What it says stays true while the organization's row is locked, but for invitations,
// which are a copy.
func (q Queries) useOf(key id.Organization, role id.Role, use *org.Use) {
	q.Read(`SELECT count(*) FROM members WHERE organization_id = $1 AND role_id = $2 AND state IN ('ACTIVE', 'DISABLED')`,
		[]any{key, role}, scalar(&use.Members))
	q.Read(`
		SELECT count(*) FROM people
		WHERE organization_id = $1 AND kind = 'INVITATION'
		  AND role = (SELECT key FROM roles WHERE organization_id = $1 AND role_id = $2)`,
		[]any{key, role}, scalar(&use.Invitations))
	q.Read(`
		SELECT (SELECT count(*) FROM group_bindings WHERE organization_id = $1 AND role_id = $2) +
		       (SELECT count(*) FROM project_members WHERE organization_id = $1 AND role_id = $2)`,
		[]any{key, role}, scalar(&use.Grants))
}

// LockRoles is LockOrganization, and tells whether a role that was deleted had the key.
func (q Queries) LockRoles(ctx context.Context, key id.Organization, actor id.Account, role string) (at Standing, gone bool, err error) {
	q.lockOrganization(key, "FOR UPDATE")
	q.Read(`SELECT EXISTS (SELECT FROM roles WHERE organization_id = $1 AND key = $2 AND delete_time IS NOT NULL)`,
		[]any{key, role}, scalar(&gone))
	at, err = q.lockMembers(ctx, key, actor)
	return at, gone, err
}

// movedAtOnce is how many members one statement gives another role: no statement takes long, however many there are.
const movedAtOnce = 2_000

// MoveMembers gives everybody who has a role, active or disabled, the one that replaces it, in this transaction and now: a
// role may have so many holders that the commit could not wait for them.
func (q Queries) MoveMembers(ctx context.Context, key id.Organization, role, replacement org.Role) error {
	var after id.Account
	for {
		var holders []id.Account
		q.Read(`
			SELECT account_id FROM members
			WHERE organization_id = $1 AND role_id = $2 AND state IN ('ACTIVE', 'DISABLED') AND account_id > coalesce($3, '00000000-0000-0000-0000-000000000000'::uuid)
			ORDER BY account_id LIMIT $4`,
			[]any{key, role.ID, after, movedAtOnce}, func(rows pgx.Rows) (err error) {
				holders, err = pgx.CollectRows(rows, pgx.RowTo[id.Account])
				return err
			})
		if err := q.Fetch(ctx); err != nil || len(holders) == 0 {
			return err
		}
		q.Read(`UPDATE members SET role_id = $3, sole_owner = false, version = version + 1 WHERE organization_id = $1 AND account_id = ANY ($2)`,
			[]any{key, holders, replacement.ID}, nothing)
		q.Read(`UPDATE people SET role = $3 WHERE organization_id = $1 AND person_id = ANY ($2)`,
			[]any{key, holders, replacement.Key}, nothing)
		if err := q.Fetch(ctx); err != nil {
			return err
		}
		after = holders[len(holders)-1]
	}
}

// DeleteRole deletes a role, whose holders have the replacement by now; the zero Role if there were none.
func (q Queries) DeleteRole(key id.Organization, role, replacement org.Role) {
	if !replacement.ID.IsZero() {
		q.Write(`UPDATE people SET role = $3 WHERE organization_id = $1 AND role = $2 AND kind = 'INVITATION'`, key, role.Key, replacement.Key)
		q.Write(`UPDATE project_members SET role_id = $3 WHERE organization_id = $1 AND role_id = $2`, key, role.ID, replacement.ID)
		q.Write(`
			INSERT INTO group_bindings (organization_id, group_id, role_id, project_id)
			SELECT organization_id, group_id, $3, project_id FROM group_bindings WHERE organization_id = $1 AND role_id = $2
			ON CONFLICT DO NOTHING`, key, role.ID, replacement.ID)
		q.Write(`DELETE FROM group_bindings WHERE organization_id = $1 AND role_id = $2`, key, role.ID)
	}
	q.Write(`
		UPDATE roles
		SET delete_time = CASE role_id WHEN $2 THEN now() ELSE delete_time END, replacement_role_id = $3, version = version + 1
		WHERE organization_id = $1 AND (role_id = $2 OR replacement_role_id = $2)`, key, role.ID, replacement.ID)
}

// SaveInvitationRole notes which role somebody invited will have.
func (q Queries) SaveInvitationRole(key id.Organization, invitation id.Invitation, role string) {
	q.Write(`UPDATE people SET role = $3 WHERE organization_id = $1 AND person_id = $2 AND kind = 'INVITATION'`, key, invitation, role)
}

// currentRole queues a read of what a key stands for by now: itself, or the key of the role that replaced it.
func (q Queries) currentRole(key id.Organization, role string, current *string) {
	*current = role
	q.Read(`
		SELECT r.key FROM roles d JOIN roles r ON r.organization_id = d.organization_id AND r.role_id = d.replacement_role_id
		WHERE d.organization_id = $1 AND d.key = $2`, []any{key, role}, func(rows pgx.Rows) error {
		for rows.Next() {
			if err := rows.Scan(current); err != nil {
				return err
			}
		}
		return nil
	})
}

// GetToGive is Get, and what the key of a role that is to be given stands for by now.
func (q Queries) GetToGive(ctx context.Context, key id.Organization, role string, accounts ...id.Account) (at Standing, current string, err error) {
	q.currentRole(key, role, &current)
	at, err = q.Get(ctx, key, accounts...)
	return at, current, err
}

// scalar collects the one value of one row.
func scalar[T any](into *T) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		values, err := pgx.CollectRows(rows, pgx.RowTo[T])
		if err == nil && len(values) == 1 {
			*into = values[0]
		}
		return err
	}
}

// allRoles collects an organization's roles, after the registry.
func allRoles(into *org.Organization) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		err := postgres.All((*[]org.Role)(&into.Roles))(rows)
		for i, role := range into.Roles {
			into.Roles[i].Permissions = into.Registry.Of(role)
		}
		return err
	}
}

// LockRole is LockOrganization, with who has a role: it stays so until the transaction ends.
func (q Queries) LockRole(ctx context.Context, key id.Organization, actor id.Account, role id.Role) (at Standing, use org.Use, err error) {
	q.lockOrganization(key, "FOR UPDATE")
	q.useOf(key, role, &use)
	at, err = q.lockMembers(ctx, key, actor)
	return at, use, err
}
