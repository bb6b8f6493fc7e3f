package store

import (
	"fmt"
	"sync/atomic"

	"github.com/jackc/pgx/v5"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

func init() {
	postgres.Refusal("registry_pkey", fault.New(errorv1.Reason_REASON_STATE_CONFLICT,
		"Somebody else applied permissions at the same moment. See what there is now, and apply yours again."))
}

// remembered is some registry that was read. It saves reading it again, never asking: every statement that needs the registry
// names this one's version, and gets what counts if that is another.
var remembered atomic.Pointer[org.Registry]

func registryInMind() org.Registry {
	if r := remembered.Load(); r != nil {
		return *r
	}
	return org.Registry{}
}

// otherRegistry finds the registry that counts, unless its version is the argument.
const otherRegistry = `
	SELECT r.revision, r.version, r.permissions
	FROM (SELECT revision, version, permissions FROM registry ORDER BY revision DESC LIMIT 1) r
	WHERE r.version IS DISTINCT FROM %s::uuid`

// Registry queues a read of what is registered. It comes before what is read by it.
func (q Queries) Registry(into *org.Registry) {
	*into = registryInMind()
	q.Read(fmt.Sprintf(otherRegistry, "$1"), []any{into.Version}, func(rows pgx.Rows) error {
		var found bool
		if err := postgres.One(into, &found)(rows); err != nil || !found {
			return err
		}
		remembered.Store(new(*into))
		return nil
	})
}

// InsertRegistry makes what is registered another, after the one that was read.
func (q Queries) InsertRegistry(r org.Registry, by id.Operator) {
	q.Write(`INSERT INTO registry (revision, version, permissions, operator_id, apply_time) VALUES ($1, $2, $3, $4, now())`,
		r.Revision+1, id.New[any](), r.Permissions, by)
}
