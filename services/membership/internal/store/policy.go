package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// LockPolicy returns the organization, its offer of ownership, some members and what a policy has to fit. Whoever decides about members,
// roles, groups or the policy waits until the transaction ends.
func (q Queries) LockPolicy(ctx context.Context, key id.Organization, accounts ...id.Account) (at Standing, has org.Facts, err error) {
	q.lockOrganization(key, "FOR UPDATE")
	var offer org.Transfer
	q.transfer(key, &offer)
	collect := q.facts(key, &has)
	if at, err = q.lockMembers(ctx, key, accounts...); err != nil {
		return at, has, err
	}
	collect()
	at.Transfer = offer
	return at, has, nil
}

// GetPolicy returns the organization, some members, what a policy has to fit and what its members have. It reads every member once.
func (q Queries) GetPolicy(ctx context.Context, key id.Organization, accounts ...id.Account) (at Standing, has org.Facts, err error) {
	collectFacts := q.facts(key, &has)
	collectTree := q.groups(key, &has.Tree)
	q.withoutFactor(key, &has.WithoutFactor)
	q.Read(`
		SELECT m.role_id, coalesce(g.groups, '{}') AS groups, count(*) AS members
		FROM members m
		LEFT JOIN (
			SELECT account_id, array_agg(group_id ORDER BY group_id) AS groups FROM group_members WHERE organization_id = $1 GROUP BY account_id
		) g ON g.account_id = m.account_id
		WHERE m.organization_id = $1 AND m.state = 'ACTIVE'
		GROUP BY m.role_id, g.groups`, []any{key}, postgres.All(&has.Lines))
	if at, err = q.Get(ctx, key, accounts...); err != nil {
		return at, has, err
	}
	collectFacts()
	collectTree()
	return at, has, nil
}

// facts queues reads of what a policy has to fit, and returns what collects them after the next Fetch.
func (q Queries) facts(key id.Organization, into *org.Facts) func() {
	var holders []struct {
		RoleID                               id.Role
		Members, Active, Invitations, Grants int64
	}
	var dead []struct {
		Key    string
		RoleID id.Role
	}
	var counts struct{ Groups, Projects, Domains, Waiting, Guests, WithoutAddress, WithoutUsername int64 }
	var found bool
	q.Read(`
		SELECT r.role_id, coalesce(m.members, 0) AS members, coalesce(m.active, 0) AS active, coalesce(i.invitations, 0) AS invitations,
		       (SELECT count(*) FROM group_bindings b WHERE b.organization_id = $1 AND b.role_id = r.role_id) +
		       (SELECT count(*) FROM project_members p WHERE p.organization_id = $1 AND p.role_id = r.role_id) AS grants
		FROM roles r
		LEFT JOIN (
			SELECT role_id, count(*) AS members, count(*) FILTER (WHERE state = 'ACTIVE') AS active
			FROM members WHERE organization_id = $1 AND state IN ('ACTIVE', 'DISABLED') GROUP BY role_id
		) m ON m.role_id = r.role_id
		LEFT JOIN (
			SELECT role, count(*) AS invitations FROM people WHERE organization_id = $1 AND kind = 'INVITATION' GROUP BY role
		) i ON i.role = r.key
		WHERE r.organization_id = $1 AND r.delete_time IS NULL`, []any{key}, postgres.All(&holders))
	q.Read(`
		SELECT account_id FROM members
		WHERE organization_id = $1 AND state IN ('ACTIVE', 'DISABLED')
		  AND role_id IN (SELECT role_id FROM roles WHERE organization_id = $1 AND owner AND delete_time IS NULL)
		ORDER BY account_id`, []any{key}, func(rows pgx.Rows) (err error) {
		into.Owners, err = pgx.CollectRows(rows, pgx.RowTo[id.Account])
		return err
	})
	q.Read(`SELECT key, role_id FROM roles WHERE organization_id = $1 AND built_in AND delete_time IS NOT NULL`, []any{key}, postgres.All(&dead))
	q.Read(`
		SELECT (SELECT count(*) FROM groups WHERE organization_id = $1) AS groups,
		       (SELECT count(*) FROM projects WHERE organization_id = $1) AS projects,
		       (SELECT count(*) FROM domains WHERE organization_id = $1 AND state = 'VERIFIED') AS domains,
		       (SELECT count(*) FROM joins WHERE organization_id = $1) AS waiting,
		       (SELECT count(DISTINCT account_id) FROM project_members JOIN members USING (organization_id, account_id)
		        WHERE organization_id = $1 AND state = 'REMOVED') AS guests,
		       count(*) FILTER (WHERE email = '') AS without_address, count(*) FILTER (WHERE username = '') AS without_username
		FROM people WHERE organization_id = $1 AND kind = 'INVITATION'`, []any{key}, postgres.One(&counts, &found))
	return func() {
		into.Groups, into.Projects, into.Domains = counts.Groups, counts.Projects, counts.Domains
		into.Waiting, into.Guests = counts.Waiting, counts.Guests
		into.WithoutAddress, into.WithoutUsername = counts.WithoutAddress, counts.WithoutUsername
		into.Held = make(map[id.Role]org.Held)
		for _, h := range holders {
			into.Held[h.RoleID] = org.Held{Use: org.Use{Members: h.Members, Invitations: h.Invitations, Grants: h.Grants}, Active: h.Active}
		}
		into.Dead = make(map[string]id.Role)
		for _, d := range dead {
			into.Dead[d.Key] = d.RoleID
		}
	}
}

// PutRole writes a role, new, changed or come back, with the next Fetch: members may get it in this transaction.
func (q Queries) PutRole(key id.Organization, r org.Role) {
	q.Read(`
		INSERT INTO roles AS was (organization_id, `+roleColumns+`, name_key)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
		ON CONFLICT (organization_id, role_id) DO UPDATE
		SET display_name = excluded.display_name, name_key = excluded.name_key, description = excluded.description, color = excluded.color,
		    rank = excluded.rank, permissions = excluded.permissions, version = greatest(was.version + 1, excluded.version),
		    delete_time = NULL, replacement_role_id = NULL`,
		[]any{key, r.ID, r.Key, r.DisplayName, r.Description, r.Color, r.Rank, r.Owner, r.BuiltIn, r.Permissions, r.Version, r.NameKey()}, nothing)
}

// SaveSoleOwner notes whether the holder of the owner's role is the only one that there can be.
func (q Queries) SaveSoleOwner(key id.Organization, owner id.Role, sole bool) {
	q.Write(`UPDATE members SET sole_owner = $3 WHERE organization_id = $1 AND role_id = $2 AND state <> 'REMOVED'`, key, owner, sole)
}
