package outbox

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rosterhq/roster/pkg/events"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// directory is a copy of what a service has: how many events each aggregate had. It notes what it would be told twice, or
// past a gap.
type directory struct {
	t     testing.TB
	mu    sync.Mutex
	at    map[string]events.Position
	count map[string]int64
}

func newDirectory(t testing.TB) *directory {
	return &directory{t: t, at: make(map[string]events.Position), count: make(map[string]int64)}
}

func (d *directory) handle(_ context.Context, e events.Event) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if before := d.at[e.Aggregate]; e.Revision != before.Revision+1 {
		d.t.Errorf("told revision %d of %s after %d", e.Revision, e.Aggregate, before.Revision)
	}
	d.count[e.Aggregate]++
	d.at[e.Aggregate] = e.Position()
	return nil
}

// replace puts the state that was copied in the place of what there was.
func (d *directory) replace(aggregate string, at events.Position, count int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at[aggregate], d.count[aggregate] = at, count
}

func (d *directory) Applied(_ context.Context, _, aggregate string) (events.Position, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.at[aggregate], nil
}

func (d *directory) read() (count map[string]int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	count = make(map[string]int64)
	for aggregate, n := range d.count {
		count[aggregate] = n
	}
	return count
}

// copyOf reads the state of a service in pages of two aggregates, each in a transaction of its own. between runs behind
// each page.
func (b *bench) copyOf(t testing.TB, d *directory, between func()) events.Snapshot {
	return func(ctx context.Context, _, aggregate string, stamp func(string, events.Position)) error {
		conn, err := pgx.Connect(ctx, b.dsns.Owner)
		if err != nil {
			return err
		}
		defer conn.Close(context.Background())
		var last, only id.Organization
		if aggregate != "" {
			if only, err = id.ParseOrganization(aggregate); err != nil {
				return err
			}
		}
		for {
			rows, _ := conn.Query(ctx, `
				SELECT aggregate_id, epoch, revision, encode(hash, 'hex'), (SELECT count(*) FROM events e WHERE e.aggregate_id = h.aggregate_id)
				FROM heads h
				WHERE aggregate_id > coalesce($1::uuid, '00000000-0000-0000-0000-000000000000') AND ($2::uuid IS NULL OR aggregate_id = $2)
				ORDER BY aggregate_id LIMIT 2`, last, only)
			var at events.Position
			var count int64
			page := 0
			_, err := pgx.ForEachRow(rows, []any{&last, &at.Epoch, &at.Revision, &at.Hash, &count}, func() error {
				page++
				d.replace(last.String(), at, count)
				stamp(last.String(), at)
				return nil
			})
			if err != nil || page == 0 {
				return err
			}
			between()
		}
	}
}

// complete waits until a copy equals the log.
func (b *bench) complete(t testing.TB, d *directory) {
	t.Helper()
	var got, want map[string]int64
	defer func() {
		if t.Failed() {
			t.Logf("got %v, want %v", got, want)
		}
	}()
	eventually(t, "the copy is not complete", func() bool {
		want = make(map[string]int64)
		b.asOwner(t, func(conn *pgx.Conn) error {
			rows, _ := conn.Query(t.Context(), `SELECT aggregate_id, count(*) FROM events GROUP BY 1`)
			var key id.Organization
			var n int64
			_, err := pgx.ForEachRow(rows, []any{&key, &n}, func() error {
				want[key.String()] = n
				return nil
			})
			return err
		})
		got = d.read()
		return fmt.Sprint(got) == fmt.Sprint(want)
	})
}

func TestSnapshot(t *testing.T) {
	t.Parallel()
	for name, durable := range map[string]string{"Ephemeral": "", "Durable": "c"} {
		t.Run(name+"LosesAndDoublesNothingWhileOthersWrite", func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			relay := b.relay(t)
			b.db.Committed = func(postgres.Waiting) { relay.Wake() }
			run(t, relay.Run)
			orgs := organizations(10)
			b.publish(t, orgs[:8]...) // the others are founded meanwhile
			b.drained(t)
			var writers sync.WaitGroup
			enough := make(chan struct{})
			var written atomic.Int64
			for w := range 3 {
				writers.Go(func() {
					for n := w; ; n += 3 {
						select {
						case <-enough:
							return
						default:
							b.publish(t, orgs[n%len(orgs)])
							written.Add(1)
						}
					}
				})
			}
			more := func() {
				begin := written.Load()
				eventually(t, "the writers stopped", func() bool { return written.Load() > begin+10 })
			}
			d := newDirectory(t)
			config := events.Config{Name: durable, Positions: d, Snapshot: b.copyOf(t, d, more)}
			if durable == "" {
				config.Positions = nil // the stamps are remembered
			}
			stop := consume(t, b.js, config, d.handle)
			eventually(t, "no consumer", func() bool {
				stream, err := b.js.Stream(t.Context(), events.Stream("membership"))
				return err == nil && stream.CachedInfo().State.Consumers == 1
			})
			more()
			if durable != "" { // goes on where it was, without another snapshot
				stop()
				more()
				config.Snapshot = func(context.Context, string, string, func(string, events.Position)) error {
					t.Error("another snapshot")
					return nil
				}
				consume(t, b.js, config, d.handle)
				more()
			}
			close(enough)
			writers.Wait()
			b.complete(t, d)
		})
	}
	t.Run("RepairsOneAggregate", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		relay := b.relay(t)
		b.db.Committed = func(postgres.Waiting) { relay.Wake() }
		stop := run(t, relay.Run)
		orgs := organizations(3)
		b.publish(t, orgs...)
		b.drained(t)
		d := newDirectory(t)
		var repaired sync.Map
		copied := b.copyOf(t, d, func() {})
		consume(t, b.js, events.Config{Snapshot: func(ctx context.Context, service, aggregate string, stamp func(string, events.Position)) error {
			if aggregate != "" {
				repaired.Store(aggregate, true)
			}
			return copied(ctx, service, aggregate, stamp)
		}}, d.handle)
		b.publish(t, orgs...)
		b.complete(t, d)
		b.drained(t)
		stop()
		b.publish(t, orgs[0])
		b.asOwner(t, func(conn *pgx.Conn) error { // it is never published
			_, err := conn.Exec(t.Context(), `DELETE FROM outbox`)
			return err
		})
		run(t, b.relay(t).Run)
		b.publish(t, orgs...)
		b.complete(t, d)
		for i, organization := range orgs {
			if _, ok := repaired.Load(organization.String()); ok != (i == 0) {
				t.Errorf("aggregate %d repaired: %v", i, ok)
			}
		}
	})
	t.Run("ComesAgainWhenTheStreamIsLost", func(t *testing.T) {
		t.Parallel()
		broker, b := newBroker(t), newBench(t)
		b.js = reconnecting(t, broker.server)
		relay := b.relay(t)
		b.db.Committed = func(postgres.Waiting) { relay.Wake() }
		run(t, relay.Run)
		b.rebuilt(t)
		orgs := organizations(4)
		b.publish(t, orgs...)
		d := newDirectory(t)
		consume(t, b.js, events.Config{Name: "c", Positions: d, Snapshot: b.copyOf(t, d, func() {})}, d.handle)
		b.complete(t, d)
		broker.server.Stop()
		b.publish(t, orgs...)
		broker.wipe()
		b.publish(t, orgs...)
		b.complete(t, d)
	})
	t.Run("OfADurableConsumerNeedsPositions", func(t *testing.T) {
		t.Parallel()
		_, err := events.New(nil, events.Config{Name: "c", Snapshot: func(context.Context, string, string, func(string, events.Position)) error { return nil }}, nil)
		if err == nil {
			t.Error("the next process would not know the stamps")
		}
	})
}
