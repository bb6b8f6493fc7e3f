package store_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/testkit"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// between runs something after a flight with a statement that has the text, and counts those statements.
type between struct {
	text string
	run  func()

	mu    sync.Mutex
	reads int
}

type readsIt struct{}

func (b *between) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}
func (b *between) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
func (b *between) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	for _, query := range data.Batch.QueuedQueries {
		if strings.Contains(query.SQL, b.text) {
			b.mu.Lock()
			b.reads++
			b.mu.Unlock()
			ctx = context.WithValue(ctx, readsIt{}, true)
		}
	}
	return ctx
}
func (b *between) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (b *between) TraceBatchEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchEndData) {
	if ctx.Value(readsIt{}) != nil && b.run != nil {
		b.run()
	}
}

// tracedBy is the database, watched.
func tracedBy(t *testing.T, dsns testkit.DSNs, b *between) *postgres.DB {
	t.Helper()
	db := dsns.Open(t, postgres.Options{})
	config := db.Pool.Config()
	config.ConnConfig.Tracer = b
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	db.Pool.Close()
	db.Pool = pool // closed with the database
	return db
}

// What changes while a window is read and where it ends hides nobody who stands behind it.
func TestWindows(t *testing.T) {
	t.Parallel()
	t.Run("WhoLeavesMeanwhileHidesNobody", func(t *testing.T) {
		t.Parallel()
		dsns := testkit.Database(t, "membership", store.Migrations)
		owner, err := pgx.Connect(t.Context(), dsns.Owner)
		require.NoError(t, err)
		t.Cleanup(func() { owner.Close(t.Context()) })
		key := id.NewOrganization()
		_, err = owner.Exec(t.Context(), `
			INSERT INTO people (organization_id, person_id, kind, sort_name, display_name, email, username, role, state, join_time, activity_time, availability)
			SELECT $1, gen_random_uuid(), 'MEMBER', i::text, i::text, '', '', CASE WHEN i % 2 = 0 THEN 'viewer' ELSE 'admin' END, 'ACTIVE',
			       now() + i * interval '1 second', now(), 'AVAILABLE'
			FROM generate_series(1, 12500) i`, key)
		require.NoError(t, err)
		leaves := &between{text: "LIMIT 10000)", run: sync.OnceFunc(func() {
			_, err := owner.Exec(t.Context(), `DELETE FROM people WHERE role = 'admin' AND sort_name::int <= 200`)
			require.NoError(t, err)
		})}
		db := tracedBy(t, dsns, leaves)
		seen := make(map[id.Any]bool)
		for after := (store.Cursor{}); ; {
			var page []store.Entry
			var next *store.Cursor
			err := db.View(t.Context(), postgres.In(key), func(tx *postgres.Tx) (err error) {
				page, next, err = store.Queries{Tx: tx}.ListPeople(t.Context(), key, store.Filter{Order: store.ByJoinTime, Roles: []string{"viewer"}}, after, 6000)
				return err
			})
			require.NoError(t, err)
			for _, one := range page {
				seen[one.ID] = true
			}
			if next == nil {
				break
			}
			after = *next
		}
		require.Equal(t, 6250, len(seen)) // and not Len, which prints them all
		require.Positive(t, leaves.reads)
	})
	t.Run("EventsAreReadWithTheEndOfTheirWindow", func(t *testing.T) {
		t.Parallel()
		dsns := testkit.Database(t, "membership", store.Migrations)
		reads := &between{text: "FROM audit_events a "}
		db := tracedBy(t, dsns, reads)
		key := id.NewOrganization()
		require.NoError(t, db.View(t.Context(), postgres.In(key), func(tx *postgres.Tx) error {
			_, _, err := store.Queries{Tx: tx}.ListAuditEvents(t.Context(), key, store.AuditFilter{Query: "ada"}, store.AuditCursor{}, 50)
			return err
		}))
		require.Equal(t, 1, reads.reads)
	})
}
