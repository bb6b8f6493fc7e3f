package store

import (
	"github.com/rosterhq/roster/services/internal/id"
)

// HasProject queues a read of whether the organization has a project.
func (q Queries) HasProject(key id.Organization, project id.Project, there *bool) {
	q.Read(`SELECT true AS there FROM projects WHERE organization_id = $1 AND project_id = $2`, []any{key, project}, exists(there))
}
