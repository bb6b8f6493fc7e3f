package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// Access is what questions about access are answered from. Of the organization it has what decides: its state, the rules
// about groups and projects, and the roles of the members. Members who are not there do not belong.
type Access struct {
	Organization org.Organization
	Members      map[id.Account]org.Member
	Projects     map[id.Project]bool // which of those asked about there are
	Registry     org.Registry
	Revision     int64
}

// grantRow is a row of grants, or of access, whose kinds are more.
type grantRow struct {
	Kind        string
	Account     id.Account `db:"account_id"`
	ID          id.Any     // of the group or role
	Project     id.Project `db:"project_id"`
	Name        string
	Role        string
	BuiltIn     bool
	Permissions org.Set
	Opens       org.Set
}

// grants are the rows of what some members have of groups and direct project memberships, see grantRow. The verbs are SQL:
// the organization, the accounts, and a condition on a column project_id. What it costs depends on the members' own groups
// and projects.
const grants = `
	SELECT 'GROUP' AS kind, gm.account_id, g.group_id AS id, b.project_id, g.display_name AS name,
	       coalesce(r.key, '') AS role, coalesce(r.built_in, false) AS built_in, r.permissions, g.opens
	FROM group_members gm
	JOIN groups d ON d.organization_id = gm.organization_id AND d.group_id = gm.group_id
	JOIN groups g ON g.organization_id = gm.organization_id AND g.group_id = ANY (d.path)
	LEFT JOIN group_bindings b ON b.organization_id = g.organization_id AND b.group_id = g.group_id AND (b.project_id IS NULL OR b.%[3]s)
	LEFT JOIN roles r ON r.organization_id = b.organization_id AND r.role_id = b.role_id
	WHERE gm.organization_id = %[1]s AND gm.account_id = ANY (%[2]s)
	UNION ALL
	SELECT 'PROJECT', pm.account_id, NULL, pm.project_id, p.display_name, r.key, r.built_in, r.permissions, NULL
	FROM project_members pm
	JOIN projects p ON p.organization_id = pm.organization_id AND p.project_id = pm.project_id
	JOIN roles r ON r.organization_id = pm.organization_id AND r.role_id = pm.role_id
	WHERE pm.organization_id = %[1]s AND pm.account_id = ANY (%[2]s) AND pm.%[3]s`

// addTo adds the row to the grants of its member.
func (r grantRow) addTo(to []org.Grant, registry org.Registry) []org.Grant {
	g := org.Grant{Group: id.Group(r.ID), Project: r.Project, Name: r.Name, Role: r.Role, Permissions: r.allowed(registry)}
	if r.Kind == string(org.ByProject) {
		g.Source = org.ByProject
		return append(to, g)
	}
	to = append(to, org.Grant{Source: org.ByOpening, Group: g.Group, Name: g.Name, Permissions: r.Opens})
	if r.Role != "" {
		g.Source = org.ByGroup
		to = append(to, g)
	}
	return to
}

// allowed is what the role of the row allows.
func (r grantRow) allowed(registry org.Registry) org.Set {
	return registry.Of(org.Role{Key: r.Role, BuiltIn: r.BuiltIn, Permissions: r.Permissions})
}

// question reads all that access is decided from, in one statement. The setting that row-level security looks at is made
// by the same statement: the subquery is evaluated first because the rest depends on it, row by row.
var question = fmt.Sprintf(`
	SELECT a.*
	FROM (SELECT set_config('app.aggregate_id', $1::uuid::text, true) AS organization) s, LATERAL (
		SELECT 'ORGANIZATION' AS kind, NULL::uuid AS account_id, NULL::uuid AS id, NULL::uuid AS project_id, '' AS name, '' AS role, false AS built_in,
		       NULL::text[] AS permissions, NULL::text[] AS opens, '' AS state, false AS owner,
		       coalesce((SELECT h.revision FROM heads h WHERE h.aggregate_id = o.organization_id), 0) AS revision,
		       jsonb_build_object('groups', o.policy -> 'groups', 'projects', o.policy -> 'projects',
		           'mfa_required', o.policy -> 'mfa_required', 'project_guests', o.policy -> 'project_guests', 'gated_permissions', o.policy -> 'gated_permissions') AS policy,
		       NULL::uuid AS version, NULL::jsonb AS registered
		FROM organizations o
		WHERE o.organization_id = s.organization::uuid AND o.state = 'ACTIVE'
		UNION ALL
		SELECT 'MEMBER', m.account_id, r.role_id, NULL, r.display_name, r.key, r.built_in, r.permissions, f.methods, m.state, r.owner, 0, NULL, NULL, NULL
		FROM members m
		JOIN roles r ON r.organization_id = m.organization_id AND r.role_id = m.role_id
		LEFT JOIN account_factors f ON f.account_id = m.account_id
		WHERE m.organization_id = s.organization::uuid AND m.account_id = ANY ($2)
		UNION ALL
		SELECT 'SERVICE_ACCOUNT', p.service_account_id, NULL, NULL, p.display_name, '', false, p.permissions, NULL, '', false, 0, NULL, NULL, NULL
		FROM service_accounts p JOIN service_account_keys k USING (organization_id, service_account_id)
		WHERE p.organization_id = s.organization::uuid AND p.service_account_id = $5 AND k.api_key_id = $6 AND k.expire_time > now()
		UNION ALL
		SELECT g.*, '', false, 0, NULL, NULL, NULL FROM (%s) g
		UNION ALL
		SELECT 'FOUND', NULL, NULL, p.project_id, '', '', false, NULL, NULL, '', false, 0, NULL, NULL, NULL
		FROM projects p
		WHERE p.organization_id = s.organization::uuid AND p.project_id = ANY ($3)
		UNION ALL
		SELECT 'REGISTRY', NULL, NULL, NULL, '', '', false, NULL, NULL, '', false, n.revision, NULL, n.version, n.permissions
		FROM (%s) n
	) a`, fmt.Sprintf(grants, "s.organization::uuid", "$2", "project_id = ANY ($3)"), fmt.Sprintf(otherRegistry, "$4"))

// answerRow is a row of the answer to question.
type answerRow struct {
	grantRow
	State      org.MemberState
	Owner      bool
	Revision   int64
	Policy     *org.Policy
	Version    id.Any
	Registered []org.Registered
}

// GetAccess reads the truth about some accounts, and what projects add, in one statement and one round trip.
func GetAccess(ctx context.Context, db *postgres.DB, key id.Organization, accounts []id.Account, projects ...id.Project) (a Access, err error) {
	var found []answerRow
	registry := registryInMind()
	var program id.ServiceAccount // that asks
	who := caller.From(ctx)
	if asks(who, accounts) {
		program = who.ServiceAccount
	}
	err = db.Read(ctx, func(conn *pgx.Conn) error {
		rows, _ := conn.Query(ctx, question, key, accounts, projects, registry.Version, program, who.Key) // collecting reports the error
		return postgres.All(&found)(rows)
	})
	if err != nil {
		return Access{}, fmt.Errorf("get access: %w", err)
	}
	if i := slices.IndexFunc(found, func(row answerRow) bool { return row.Kind == "REGISTRY" }); i >= 0 {
		registry = org.Registry{Revision: found[i].Revision, Version: found[i].Version, Permissions: found[i].Registered}
		remembered.Store(&registry)
	}
	a = Access{Registry: registry, Members: make(map[id.Account]org.Member), Projects: make(map[id.Project]bool)}
	for _, row := range found {
		member := a.Members[row.Account]
		switch row.Kind {
		case "ORGANIZATION":
			a.Organization.ID, a.Organization.State, a.Organization.Policy, a.Revision = key, org.Active, *row.Policy, row.Revision
			continue
		case "REGISTRY":
			continue
		case "FOUND":
			a.Projects[row.Project] = true
			continue
		case string(org.ByServiceAccount):
			member = org.ServiceAccount{ID: id.ServiceAccount(row.Account), DisplayName: row.Name, Permissions: row.Permissions}.Acting(registry)
		case "MEMBER":
			member.Account, member.State, member.Role = row.Account, row.State, id.Role(row.ID)
			member.Unprotected = unprotected(who, row.Account, row.Opens)
			if _, known := a.Organization.Roles.ByID(member.Role); !known {
				a.Organization.Roles = append(a.Organization.Roles,
					org.Role{ID: member.Role, Key: row.Role, DisplayName: row.Name, Owner: row.Owner, BuiltIn: row.BuiltIn, Permissions: row.allowed(registry)})
			}
		default:
			member.Grants = row.addTo(member.Grants, registry)
		}
		a.Members[row.Account] = member
	}
	a.Organization.UseKey(who.Scopes)
	if a.Organization.State != org.Active {
		return Access{Registry: registry}, nil
	}
	return a, nil
}

// Candidate is somebody who may be allowed something.
type Candidate struct {
	Account     id.Account `db:"account_id"`
	DisplayName string     // empty for a guest
}

// ListCandidates returns the next of those who are where it says, by account. It reads that many of each place at most.
func (q Queries) ListCandidates(ctx context.Context, key id.Organization, in org.Holders, after id.Account, limit int) (page []Candidate, err error) {
	q.Read(`
		SELECT c.account_id, coalesce(nullif(p.overlay_display_name, ''), p.display_name, '') AS display_name
		FROM (
			SELECT m.account_id
			FROM unnest($2::uuid[]) r (role_id), LATERAL (
				SELECT account_id FROM members
				WHERE organization_id = $1 AND role_id = r.role_id AND account_id > coalesce($5, '00000000-0000-0000-0000-000000000000'::uuid)
				ORDER BY account_id LIMIT $6) m
			UNION
			SELECT gm.account_id
			FROM unnest($3::uuid[]) g (group_id), LATERAL (
				SELECT account_id FROM group_members
				WHERE organization_id = $1 AND group_id = g.group_id AND account_id > coalesce($5, '00000000-0000-0000-0000-000000000000'::uuid)
				ORDER BY account_id LIMIT $6) gm
			UNION
			(SELECT account_id FROM project_members
			WHERE organization_id = $1 AND project_id = $4 AND account_id > coalesce($5, '00000000-0000-0000-0000-000000000000'::uuid)
			ORDER BY account_id LIMIT $6)
			ORDER BY account_id LIMIT $6
		) c
		LEFT JOIN people p ON p.organization_id = $1 AND p.person_id = c.account_id
		ORDER BY c.account_id`, []any{key, in.Roles, in.Groups, in.Project, after, limit}, postgres.All(&page))
	return page, q.Fetch(ctx)
}

// GetWorld returns what a change would be decided on: the organization with its groups, an actor and the target, if there is one,
// and whether that is in a group.
func (q Queries) GetWorld(ctx context.Context, key id.Organization, actor, target id.Account, group id.Group) (at Standing, groups org.Groups, inside bool, err error) {
	var others bool
	accounts := []id.Account{actor}
	if !target.IsZero() {
		accounts = append(accounts, target)
		q.othersFull(key, []id.Account{target}, &others)
		q.InGroup(key, group, target, &inside)
	}
	at, groups, err = q.Groups(ctx, key, accounts...)
	at.OthersFull = others
	return at, groups, inside, err
}

// ListClasses returns the active members who have one of the roles or are in one of the groups, or are one of the accounts, by what
// decides about them. It costs what they are.
func (q Queries) ListClasses(ctx context.Context, key id.Organization, in org.Holders, accounts []id.Account) (classes []org.Class, err error) {
	q.Read(`
		SELECT c.role, c.groups, count(*) AS members, (array_agg(c.account_id ORDER BY c.account_id))[1:$5] AS first
		FROM (
			SELECT m.account_id, m.role_id AS role, (
				SELECT coalesce(array_agg(gm.group_id ORDER BY gm.group_id), '{}')
				FROM group_members gm WHERE gm.organization_id = $1 AND gm.account_id = m.account_id) AS groups
			FROM members m
			WHERE m.organization_id = $1 AND m.state = 'ACTIVE' AND (m.role_id = ANY ($2) OR m.account_id = ANY ($4) OR m.account_id IN (
				SELECT account_id FROM group_members WHERE organization_id = $1 AND group_id = ANY ($3)))
		) c
		GROUP BY c.role, c.groups`, []any{key, in.Roles, in.Groups, accounts, org.NamedInEffect}, postgres.All(&classes))
	return classes, q.Fetch(ctx)
}
