package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

func init() {
	postgres.Refusal("projects_name", org.ErrProjectNameTaken)
}

const projectColumns = `project_id, display_name, description, version, create_time`

// Project queues a read of a project; the zero one stays when the organization has none such.
func (q Queries) Project(key id.Organization, project id.Project, into *org.Project) {
	var found bool
	q.Read(`SELECT `+projectColumns+` FROM projects WHERE organization_id = $1 AND project_id = $2`,
		[]any{key, project}, postgres.One(into, &found))
}

// CountProjects queues a count, of which the limit keeps the cost low.
func (q Queries) CountProjects(key id.Organization, into *int64) {
	q.Read(`SELECT count(*) FROM projects WHERE organization_id = $1`, []any{key}, func(rows pgx.Rows) (err error) {
		*into, err = pgx.CollectExactlyOneRow(rows, pgx.RowTo[int64])
		return err
	})
}

// ListProjects returns a page, by name.
func (q Queries) ListProjects(ctx context.Context, key id.Organization, after Cursor, limit int) (page []org.Project, err error) {
	q.Read(`
		SELECT `+projectColumns+`
		FROM projects
		WHERE organization_id = $1 AND name_key > $2
		ORDER BY name_key
		LIMIT $3`, []any{key, after.Name, limit}, postgres.All(&page))
	return page, q.Fetch(ctx)
}

// AfterProject is where a page goes on that ends with a project. Names are unique.
func AfterProject(p org.Project) Cursor { return Cursor{Name: nameKey(p.DisplayName)} }

// InsertProject writes a new project.
func (q Queries) InsertProject(key id.Organization, p org.Project) {
	q.Write(`
		INSERT INTO projects (organization_id, project_id, display_name, name_key, description, version, create_time)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		key, p.ID, p.DisplayName, nameKey(p.DisplayName), p.Description, p.Version, p.CreateTime)
}

// SaveProject writes what may change of a project.
func (q Queries) SaveProject(key id.Organization, p org.Project) {
	q.Write(`UPDATE projects SET display_name = $3, name_key = $4, description = $5, version = $6 WHERE organization_id = $1 AND project_id = $2`,
		key, p.ID, p.DisplayName, nameKey(p.DisplayName), p.Description, p.Version)
}

// DeleteProject takes a project away, with all that was given in it.
func (q Queries) DeleteProject(key id.Organization, project id.Project) {
	q.Write(`DELETE FROM projects WHERE organization_id = $1 AND project_id = $2`, key, project)
}

// ProjectMember queues a read of a direct membership; the zero one stays when there is none.
func (q Queries) ProjectMember(key id.Organization, project id.Project, account id.Account, into *org.ProjectMember) {
	var found bool
	q.Read(`
		SELECT account_id, project_id, role_id, join_time
		FROM project_members WHERE organization_id = $1 AND account_id = $2 AND project_id = $3`,
		[]any{key, account, project}, postgres.One(into, &found))
}

// InsertProjectMember writes a new direct membership.
func (q Queries) InsertProjectMember(key id.Organization, m org.ProjectMember) {
	q.Write(`INSERT INTO project_members (organization_id, account_id, project_id, role_id, join_time) VALUES ($1, $2, $3, $4, $5)`,
		key, m.Account, m.Project, m.Role, m.JoinTime)
}

// DeleteProjectMember ends a direct membership.
func (q Queries) DeleteProjectMember(key id.Organization, m org.ProjectMember) {
	q.Write(`DELETE FROM project_members WHERE organization_id = $1 AND account_id = $2 AND project_id = $3`, key, m.Account, m.Project)
}

// DeleteProjectMemberships ends all direct memberships of somebody.
func (q Queries) DeleteProjectMemberships(key id.Organization, account id.Account) {
	q.Write(`DELETE FROM project_members WHERE organization_id = $1 AND account_id = $2`, key, account)
}

// ProjectEntry is a row of the list of direct members.
type ProjectEntry struct {
	org.ProjectMember
	DisplayName string // empty for a guest, who is not on the list of people
	Guest       bool
}

// ListProjectMembers returns a page of direct members, by id.
func (q Queries) ListProjectMembers(ctx context.Context, key id.Organization, project id.Project, after id.Account, limit int) (page []ProjectEntry, err error) {
	q.Read(`
		SELECT pm.account_id, pm.project_id, pm.role_id, pm.join_time, coalesce(nullif(p.overlay_display_name, ''), p.display_name, '') AS display_name, m.state = 'REMOVED' AS guest
		FROM project_members pm
		JOIN members m ON m.organization_id = pm.organization_id AND m.account_id = pm.account_id
		LEFT JOIN people p ON p.organization_id = pm.organization_id AND p.person_id = pm.account_id
		WHERE pm.organization_id = $1 AND pm.project_id = $2
		  AND pm.account_id > coalesce($3, '00000000-0000-0000-0000-000000000000'::uuid)
		ORDER BY pm.account_id
		LIMIT $4`, []any{key, project, after, limit}, postgres.All(&page))
	return page, q.Fetch(ctx)
}
