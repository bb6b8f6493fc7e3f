package outbox

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rosterhq/roster/pkg/events"

	"github.com/rosterhq/roster/services/internal/devnats"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// broker is a NATS server that stops, starts and loses its data.
type broker struct {
	t      testing.TB
	dir    string
	addr   string
	server *devnats.Server
}

func newBroker(t testing.TB) *broker {
	b := &broker{t: t, dir: filepath.Join(t.TempDir(), "nats"), addr: "127.0.0.1:0"}
	b.start()
	b.addr = strings.TrimPrefix(b.server.URL(), "nats://")
	return b
}

func (b *broker) start() {
	b.t.Helper()
	server, err := devnats.Start(b.dir, b.addr)
	if err != nil {
		b.t.Fatal(err)
	}
	b.server = server
	b.t.Cleanup(server.Stop)
}

func (b *broker) wipe() {
	b.t.Helper()
	b.server.Stop()
	if err := os.RemoveAll(b.dir); err != nil {
		b.t.Fatal(err)
	}
	b.start()
}

// rebuilt waits until the whole log was queued for a new stream, and published.
func (b *bench) rebuilt(t testing.TB) {
	t.Helper()
	eventually(t, "the stream is not complete", func() (done bool) {
		b.asOwner(t, func(conn *pgx.Conn) error {
			return conn.QueryRow(t.Context(), `
				SELECT EXISTS (SELECT FROM relay_lease WHERE stream_time IS NOT NULL AND requeued IS NULL) AND NOT EXISTS (SELECT FROM outbox)`).Scan(&done)
		})
		return done
	})
}

// counted is the revisions that a list holds, by aggregate and in its order.
func counted(found []events.Event) map[string]string {
	all := make(map[string]string)
	for _, e := range found {
		all[e.Aggregate] += fmt.Sprint(e.Revision, " ")
	}
	return all
}

func TestLostStream(t *testing.T) {
	t.Parallel()
	t.Run("IsRebuiltFromTheLogWhileOthersWrite", func(t *testing.T) {
		t.Parallel()
		broker, b := newBroker(t), newBench(t)
		b.js = reconnecting(t, broker.server)
		orgs := organizations(2*piece + 10)
		b.publish(t, orgs...)
		b.publish(t, orgs...)
		relay := b.relay(t)
		b.db.Committed = func(postgres.Waiting) { relay.Wake() }
		run(t, relay.Run)
		b.rebuilt(t)
		enough := make(chan struct{})
		var written atomic.Int64
		var writers sync.WaitGroup
		for w := range 4 {
			writers.Go(func() {
				for n := w; ; n += 7 {
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
			eventually(t, "the writers stopped", func() bool { return written.Load() > begin+50 })
		}
		more()
		broker.wipe()
		more()
		eventually(t, "the relay did not notice", func() bool {
			stream, err := b.js.Stream(t.Context(), events.Stream("membership"))
			return err == nil && stream.CachedInfo().State.LastSeq > 20
		})
		close(enough)
		writers.Wait()
		b.rebuilt(t)
		inOrder(t, published(t, b.js), 2*len(orgs)+int(written.Load()))
	})
	t.Run("IsRebuiltByWhoeverComesNext", func(t *testing.T) {
		t.Parallel()
		broker, b := newBroker(t), newBench(t)
		b.js = reconnecting(t, broker.server)
		orgs := organizations(3 * piece)
		b.publish(t, orgs...)
		stop := run(t, b.relay(t).Run)
		b.rebuilt(t)
		stop()
		broker.wipe()
		eventually(t, "no connection", b.js.Conn().IsConnected)
		dies := b.relay(t)
		if _, err := dies.round(t.Context()); err != nil { // the first piece
			t.Fatal(err)
		}
		if !dies.rebuilding || b.waiting(t) != 0 {
			t.Fatalf("rebuilding %v, %d waiting", dies.rebuilding, b.waiting(t))
		}
		b.publish(t, orgs...) // most of them are not queued yet
		dies.release(t.Context())
		run(t, b.relay(t).Run)
		b.rebuilt(t)
		inOrder(t, published(t, b.js), 2*len(orgs))
	})
	t.Run("IsRebuiltThoughItTakesLong", func(t *testing.T) {
		t.Parallel()
		broker, b := newBroker(t), newBench(t)
		b.js = reconnecting(t, broker.server)
		orgs := organizations(piece + 5)
		b.publish(t, orgs...)
		b.lengthen(t, orgs[7], stretch+5)
		b.slow(t, stretch)
		run(t, b.relay(t).Run)
		b.rebuilt(t)
		inOrder(t, published(t, b.js), len(orgs)+stretch+4)
	})
	t.Run("ThatLostItsEndIsNoticed", func(t *testing.T) {
		t.Parallel()
		broker, b := newBroker(t), newBench(t)
		b.js = reconnecting(t, broker.server)
		orgs := organizations(3)
		run(t, b.relay(t).Run)
		b.publish(t, orgs...)
		b.rebuilt(t)
		broker.server.Stop()
		backup := filepath.Join(t.TempDir(), "backup")
		if err := os.CopyFS(backup, os.DirFS(broker.dir)); err != nil {
			t.Fatal(err)
		}
		broker.start()
		b.publish(t, orgs...)
		b.drained(t)
		broker.server.Stop()
		broker.dir = backup
		broker.start()
		eventually(t, "the stream lacks its end", func() bool {
			stream, err := b.js.Stream(t.Context(), events.Stream("membership"))
			return err == nil && stream.CachedInfo().State.LastSeq >= 6
		})
		b.rebuilt(t)
		last := make(map[string]int64)
		for _, e := range published(t, b.js) { // what came before may come again
			last[e.Aggregate] = max(last[e.Aggregate], e.Revision)
		}
		for _, organization := range orgs {
			if last[organization.String()] != 2 {
				t.Errorf("got %v", last)
			}
		}
	})
	t.Run("GetsWhatIsNotOlderThanItKeeps", func(t *testing.T) {
		t.Parallel()
		broker, b := newBroker(t), newBench(t)
		b.js = reconnecting(t, broker.server)
		old, both := id.NewOrganization(), id.NewOrganization()
		b.publish(t, old, old, both, both, both)
		stop := run(t, b.relay(t).Run)
		b.rebuilt(t)
		stop()
		b.asOwner(t, func(conn *pgx.Conn) error {
			_, err := conn.Exec(t.Context(), `UPDATE events SET time = now() - interval '15 days' WHERE aggregate_id = $1 OR revision = 1`, old)
			return err
		})
		broker.wipe()
		eventually(t, "no connection", b.js.Conn().IsConnected)
		run(t, b.relay(t).Run)
		b.rebuilt(t)
		b.publish(t, old)
		b.drained(t)
		if got, want := counted(published(t, b.js)), map[string]string{old.String(): "3 ", both.String(): "2 3 "}; !maps.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

func TestRepublish(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	orgs := organizations(piece + 5)
	one := orgs[0]
	b.publish(t, orgs...)
	b.publish(t, orgs...)
	b.publish(t, one)
	rows := func() (all map[string][]int64) {
		all = make(map[string][]int64)
		b.asOwner(t, func(conn *pgx.Conn) error {
			rows, _ := conn.Query(t.Context(), `SELECT aggregate_id, revision FROM outbox ORDER BY id`)
			var aggregate id.Any
			var revision int64
			_, err := pgx.ForEachRow(rows, []any{&aggregate, &revision}, func() error {
				key := id.Organization(aggregate).String()
				all[key] = append(all[key], revision)
				return nil
			})
			return err
		})
		return all
	}
	empty := func() {
		b.asOwner(t, func(conn *pgx.Conn) error {
			_, err := conn.Exec(t.Context(), `DELETE FROM outbox`)
			return err
		})
	}
	db := b.dsns.Open(t, postgres.Options{Role: postgres.RelayRole, Conns: 2})
	again := func(what Again, want int64) {
		t.Helper()
		if n, err := Republish(t.Context(), db, what); err != nil || n != want {
			t.Errorf("queued %d, %v, want %d", n, err, want)
		}
	}

	again(Again{From: 1, Aggregate: id.Any(one)}, 3) // all of it waits: it is not queued twice
	if got := rows(); len(got) != len(orgs) || !slices.Equal(got[one.String()], []int64{1, 2, 3}) {
		t.Errorf("got %v", got[one.String()])
	}
	empty()
	b.publish(t, one)
	again(Again{From: 2, Aggregate: id.Any(one)}, 3) // what waits goes behind what comes before it
	if got := rows(); len(got) != 1 || !slices.Equal(got[one.String()], []int64{2, 3, 4}) {
		t.Errorf("got %v", got)
	}
	empty()
	b.publish(t, one)
	again(Again{From: 9, Aggregate: id.Any(one)}, 1) // what waits stays
	empty()
	again(Again{Since: time.Now().Add(time.Hour)}, 0)
	b.asOwner(t, func(conn *pgx.Conn) error {
		_, err := conn.Exec(t.Context(), `UPDATE events SET time = now() - interval '2 hours' WHERE revision = 1`)
		return err
	})
	again(Again{Since: time.Now().Add(-time.Hour)}, int64(len(orgs))+3)
	for organization, revisions := range rows() {
		if want := []int64{2, 3, 4, 5}; !slices.Equal(revisions, want[:len(revisions)]) || len(revisions) != 1 && organization != one.String() {
			t.Errorf("%s: %v", organization, revisions)
		}
	}
	again(Again{Since: time.Now().Add(-time.Hour)}, int64(len(orgs))+3) // once more: the same
	again(Again{Aggregate: id.Any(id.NewOrganization()), From: 1}, 0)

	if _, err := db.Pool.Exec(t.Context(), `UPDATE heads SET part = part`); err == nil {
		t.Error("the relay changes heads") // it only locks them
	}
}

// slow makes the server stop statements that queue more events than this.
func (b *bench) slow(t testing.TB, most int) {
	t.Helper()
	b.asOwner(t, func(conn *pgx.Conn) error {
		_, err := conn.Exec(t.Context(), fmt.Sprintf(`
			CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$
			BEGIN
				IF (SELECT count(*) FROM added) > %d THEN
					RAISE EXCEPTION 'canceling statement due to statement timeout' USING ERRCODE = '57014';
				END IF;
				RETURN NULL;
			END $$;
			CREATE TRIGGER slow AFTER INSERT ON outbox REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION slow()`, most))
		return err
	})
}

// lengthen makes a history, which has one event, as long as this. All but its last three are old.
func (b *bench) lengthen(t testing.TB, organization id.Organization, length int) {
	t.Helper()
	b.asOwner(t, func(conn *pgx.Conn) error {
		return pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
			for statement, arguments := range map[string][]any{
				`INSERT INTO events (aggregate_id, revision, epoch, id, type, time, data, personal_hash, trace_id, prev_hash, hash)
				SELECT aggregate_id, n, epoch, gen_random_uuid(), type, CASE WHEN n > $2 - 3 THEN time ELSE time - interval '2 hours' END,
					data, personal_hash, trace_id, hash, hash
				FROM events, generate_series(2, $2) AS n
				WHERE aggregate_id = $1`: {organization, length},
				`UPDATE heads SET revision = $2 WHERE aggregate_id = $1`: {organization, length},
			} {
				if _, err := tx.Exec(t.Context(), statement, arguments...); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// queued is the revisions of one aggregate that wait, in the order of their ids.
func (b *bench) queued(t testing.TB, organization id.Organization) (revisions []int64) {
	t.Helper()
	b.asOwner(t, func(conn *pgx.Conn) (err error) {
		rows, _ := conn.Query(t.Context(), `SELECT revision FROM outbox WHERE aggregate_id = $1 ORDER BY id`, organization)
		revisions, err = pgx.CollectRows(rows, pgx.RowTo[int64])
		return err
	})
	return revisions
}

// beforeLock does something before a transaction locks a head.
type beforeLock struct {
	pgx.Tx
	do func()
}

func (b beforeLock) Exec(ctx context.Context, sql string, arguments ...any) (pgconn.CommandTag, error) {
	if strings.HasSuffix(sql, "FOR NO KEY UPDATE") {
		b.do()
	}
	return b.Tx.Exec(ctx, sql, arguments...)
}

func TestRepublishThatTakesLong(t *testing.T) {
	t.Parallel()
	inRow := func(t *testing.T, b *bench, organization id.Organization, from, to int64) {
		t.Helper()
		got := b.queued(t, organization)
		if int64(len(got)) != to-from+1 {
			t.Fatalf("%d events wait, want those from %d to %d", len(got), from, to)
		}
		for i, revision := range got {
			if revision != from+int64(i) {
				t.Fatalf("revision %d waits in place %d of those from %d on", revision, i, from)
			}
		}
	}
	relay := func(t *testing.T, b *bench) *postgres.DB {
		return b.dsns.Open(t, postgres.Options{Role: postgres.RelayRole, Conns: 2})
	}

	t.Run("APieceIsHalved", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		orgs := organizations(piece + 5)
		b.publish(t, orgs...)
		b.publish(t, orgs...)
		b.slow(t, 7)
		if n, err := Republish(t.Context(), relay(t, b), Again{From: 1}); err != nil || n != int64(2*len(orgs)) {
			t.Errorf("queued %d, %v, want %d", n, err, 2*len(orgs))
		}
		for _, organization := range orgs {
			inRow(t, b, organization, 1, 2)
		}
	})
	t.Run("SmallerPiecesGrowAgain", func(t *testing.T) {
		t.Parallel()
		size, canceled := portion(piece), &pgconn.PgError{Code: "57014"}
		for _, step := range []struct {
			err  error
			want portion
		}{{canceled, 25}, {canceled, 12}, {nil, 25}, {nil, 50}, {nil, 50}, {canceled, 25}, {canceled, 12}, {canceled, 6}, {canceled, 3}, {canceled, 1}, {canceled, 0}, {nil, 1}} {
			if err := size.fit(step.err); err != nil || size != step.want {
				t.Fatalf("after %v %d, %v, want %d", step.err, size, err, step.want)
			}
		}
		size = 0
		for _, err := range []error{canceled, &pgconn.PgError{Code: "55P03"}, context.Canceled} {
			if got := size.fit(err); !errors.Is(got, err) {
				t.Errorf("%v became %v", err, got)
			}
		}
	})
	t.Run("AnAggregateIsQueuedInStretches", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		const length = 2*stretch + 5
		orgs := organizations(3)
		b.publish(t, orgs...)
		b.lengthen(t, orgs[1], length)
		b.slow(t, stretch)
		if n, err := Republish(t.Context(), relay(t, b), Again{From: 1}); err != nil || n != length+2 {
			t.Errorf("queued %d, %v, want %d", n, err, length+2)
		}
		inRow(t, b, orgs[0], 1, 1)
		inRow(t, b, orgs[1], 1, length)
		inRow(t, b, orgs[2], 1, 1)
	})
	t.Run("OnlyWhatIsYoungEnoughIsQueuedInStretches", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		const length = stretch + 2 // the youngest are in two stretches
		organization := id.NewOrganization()
		b.publish(t, organization)
		b.lengthen(t, organization, length)
		db := relay(t, b)
		for _, c := range []struct {
			what Again
			from int64
		}{
			{Again{Since: time.Now().Add(-time.Hour)}, 1}, // the first waits
			{Again{Since: time.Now().Add(-time.Hour)}, length - 2},
			{Again{Since: time.Now().Add(-3 * time.Hour)}, 1},
			{Again{Since: time.Now().Add(time.Hour)}, length + 1},
			{Again{From: length - 1}, length - 1},
			{Again{From: length + 9}, length + 1},
		} {
			err := pgx.BeginFunc(t.Context(), db.Pool, func(tx pgx.Tx) error {
				n, err := requeueLong(t.Context(), tx, c.what, id.Any(organization))
				if n != length-c.from+1 {
					t.Errorf("queued %d of %+v", n, c.what)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			inRow(t, b, organization, c.from, length)
			b.asOwner(t, func(conn *pgx.Conn) error {
				_, err := conn.Exec(t.Context(), `DELETE FROM outbox`)
				return err
			})
		}
	})
	t.Run("WhatIsAddedMeanwhileIsQueuedBehind", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		organization, other := id.NewOrganization(), id.NewOrganization()
		b.publish(t, organization, other, organization, organization)
		err := pgx.BeginFunc(t.Context(), relay(t, b).Pool, func(tx pgx.Tx) error {
			meddle := func() { b.publish(t, organization, other, organization) } // its head is not locked
			n, err := requeueLong(t.Context(), beforeLock{tx, meddle}, Again{From: 2}, id.Any(organization))
			if n != 5 {
				t.Errorf("queued %d, want 5", n)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		b.publish(t, organization)
		inRow(t, b, organization, 1, 6)
		inRow(t, b, other, 1, 2)
	})
	t.Run("TheRelayLooksForIdsThatWereDrawnLongAgo", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		organization := id.NewOrganization()
		b.publish(t, organization)
		b.lengthen(t, organization, 5)
		published := func() {
			b.asOwner(t, func(conn *pgx.Conn) error {
				_, err := conn.Exec(t.Context(), `DELETE FROM outbox`)
				return err
			})
		}
		published()
		r := b.relay(t)
		read := func() (revisions []int64) {
			queued, err := r.read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, q := range queued {
				revisions = append(revisions, q.Revision)
			}
			return revisions
		}
		err := pgx.BeginFunc(t.Context(), relay(t, b).Pool, func(tx pgx.Tx) error {
			if _, err := requeueLong(t.Context(), tx, Again{From: 1}, id.Any(organization)); err != nil {
				return err
			}
			b.publish(t, id.NewOrganization())
			for range 3 {
				read()
				r.scanned = time.Time{} // a whole scan later
			}
			published()
			for range 3 {
				read()
				r.scanned = time.Time{}
			}
			r.scanned = time.Now()
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		b.publish(t, organization)
		if got := read(); !slices.Equal(got, []int64{1, 2, 3, 4, 5, 6}) {
			t.Errorf("the relay publishes %v", got)
		}
	})
}
