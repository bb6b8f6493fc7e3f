package outbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rosterhq/roster/pkg/events"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

	"github.com/rosterhq/roster/services/internal/devnats"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/testkit"
)

// bench is a service with nothing but its log, and a NATS server.
type bench struct {
	dsns testkit.DSNs
	db   *postgres.DB
	js   jetstream.JetStream
}

func newBench(t *testing.T) *bench {
	t.Helper()
	dsns := testkit.Database(t, "membership", nil)
	return &bench{dsns: dsns, db: dsns.Open(t, postgres.Options{}), js: jetStream(t, testkit.NATS(t))}
}

func jetStream(t testing.TB, server *devnats.Server, options ...nats.Option) jetstream.JetStream {
	t.Helper()
	conn, err := server.Connect(options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func (b *bench) relay(t *testing.T) *Relay {
	return NewRelay(b.dsns.Open(t, postgres.Options{Role: postgres.RelayRole, Conns: 2}), b.js, 1, quiet)
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// run runs something until the test ends or stop is called.
func run(t testing.TB, what func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- what(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("ended with %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Error("does not end")
		}
	})
	t.Cleanup(stop)
	return stop
}

// publish commits one event per organization.
func (b *bench) publish(t testing.TB, organizations ...id.Organization) {
	t.Helper()
	for _, organization := range organizations {
		err := b.db.InTx(context.Background(), postgres.In(organization), func(tx *postgres.Tx) error {
			return Publish(tx, organization, time.Now(), &eventv1.MemberAdded{Personal: &eventv1.Personal{DisplayName: "Ann"}})
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// waiting counts the rows of the outbox.
func (b *bench) waiting(t testing.TB) (n int) {
	t.Helper()
	b.asOwner(t, func(conn *pgx.Conn) error {
		return conn.QueryRow(t.Context(), `SELECT count(*) FROM outbox`).Scan(&n)
	})
	return n
}

func (b *bench) asOwner(t testing.TB, do func(*pgx.Conn) error) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), b.dsns.Owner)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := do(conn); err != nil {
		t.Fatal(err)
	}
}

// drained waits until the outbox is empty.
func (b *bench) drained(t testing.TB) {
	t.Helper()
	eventually(t, "the outbox is not empty", func() bool { return b.waiting(t) == 0 })
}

func eventually(t testing.TB, complaint string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(complaint)
		}
	}
}

// published reads the whole stream.
func published(t testing.TB, js jetstream.JetStream) (found []events.Event) {
	t.Helper()
	stream, err := js.Stream(t.Context(), events.Stream("membership"))
	if err != nil {
		t.Fatal(err)
	}
	for seq := uint64(1); seq <= stream.CachedInfo().State.LastSeq; seq++ {
		msg, err := stream.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		e, err := events.Parse(msg.Data)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, e)
	}
	return found
}

// inOrder checks that the events of each aggregate are revisions 1 to n, once each and chained.
func inOrder(t testing.TB, found []events.Event, want int) {
	t.Helper()
	last := make(map[string]events.Event)
	for _, e := range found {
		if l := last[e.Aggregate]; e.Revision != l.Revision+1 || l.Hash != "" && e.PrevHash != l.Hash {
			t.Errorf("revision %d of %s comes after %d", e.Revision, e.Aggregate, l.Revision)
		}
		last[e.Aggregate] = e
	}
	if len(found) != want {
		t.Errorf("%d events, want %d", len(found), want)
	}
}

func organizations(n int) []id.Organization {
	made := make([]id.Organization, n)
	for i := range made {
		made[i] = id.NewOrganization()
	}
	return made
}

func TestRelay(t *testing.T) {
	t.Parallel()
	t.Run("KeepsTheOrderOfParallelWriters", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		relay := b.relay(t)
		b.db.Committed = func(postgres.Waiting) { relay.Wake() }
		run(t, relay.Run)
		orgs := organizations(5)
		var writers sync.WaitGroup
		for w := range 16 {
			writers.Go(func() {
				for n := range 30 {
					b.publish(t, orgs[(w+n)%len(orgs)])
				}
			})
		}
		writers.Wait()
		b.drained(t)
		inOrder(t, published(t, b.js), 16*30)
	})
	t.Run("PublishesABacklogAsBatches", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		orgs := organizations(3)
		for range 100 {
			b.publish(t, orgs...)
		}
		run(t, b.relay(t).Run)
		b.drained(t)
		inOrder(t, published(t, b.js), 300)
		stream, err := b.js.Stream(t.Context(), events.Stream("membership"))
		if err != nil {
			t.Fatal(err)
		}
		for _, seq := range []uint64{1, 300} {
			if msg, err := stream.GetMsg(t.Context(), seq); err != nil || msg.Header.Get("Nats-Batch-Id") == "" {
				t.Errorf("message %d came alone: %v", seq, err)
			}
		}
	})
	t.Run("PublishesAgainWhatAnotherDidNotDelete", func(t *testing.T) {
		t.Parallel()
		for name, size := range map[string]int{"one by one": 10, "in batches": backlog + 10} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				b := newBench(t)
				orgs := organizations(2)
				for range size / 2 {
					b.publish(t, orgs...)
				}
				dies := b.relay(t)
				if err := EnsureStream(t.Context(), b.js, "membership", 1); err != nil {
					t.Fatal(err)
				}
				queued, err := dies.read(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if _, _, err := dies.publish(t.Context(), queued[:size/2]); err != nil {
					t.Fatal(err)
				}
				if b.waiting(t) != size {
					t.Fatal("something was deleted")
				}
				run(t, b.relay(t).Run)
				b.drained(t)
				inOrder(t, published(t, b.js), size)
			})
		}
	})
	t.Run("PublishesOneByOneWhenABatchIsRefused", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		orgs := organizations(2)
		for range backlog / 2 {
			b.publish(t, orgs...)
		}
		relay := b.relay(t)
		if err := EnsureStream(t.Context(), b.js, "membership", 1); err != nil {
			t.Fatal(err)
		}
		queued, err := relay.read(t.Context())
		if err != nil || len(queued) < backlog {
			t.Fatalf("%d rows, %v", len(queued), err)
		}
		if _, _, err := relay.publish(t.Context(), queued[:1]); err != nil { // stored, and not deleted: the relay died
			t.Fatal(err)
		}
		for range 2 { // as often as one likes
			_, err := relay.publishBatch(t.Context(), queued)
			if refused, ok := errors.AsType[*jetstream.APIError](err); !ok || refused.ErrorCode != 10201 {
				t.Errorf("a batch with one message that is stored: %v", err)
			}
		}
		confirmed, sequence, err := relay.publish(t.Context(), queued)
		if err != nil || len(confirmed) != len(queued) || sequence != uint64(len(queued)) {
			t.Errorf("%d confirmed up to %d, %v", len(confirmed), sequence, err)
		}
		inOrder(t, published(t, b.js), len(queued))
	})
	t.Run("LosesNothingWhileNATSIsDown", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		dir := t.TempDir()
		server, err := devnats.Start(dir, "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := strings.TrimPrefix(server.URL(), "nats://")
		b.js = reconnecting(t, server)
		relay := b.relay(t)
		b.db.Committed = func(postgres.Waiting) { relay.Wake() }
		run(t, relay.Run)
		var writers sync.WaitGroup
		var written atomic.Int64
		enough := make(chan struct{})
		for _, organization := range organizations(4) {
			writers.Go(func() {
				for {
					select {
					case <-enough:
						return
					case <-time.After(2 * time.Millisecond):
						b.publish(t, organization)
						written.Add(1)
					}
				}
			})
		}
		more := func() {
			begin := written.Load()
			eventually(t, "the writers stopped", func() bool { return written.Load() > begin+50 })
		}
		for range 2 {
			more()
			server.Stop()
			more()
			if b.waiting(t) < 50 {
				t.Error("the outbox gets empty while NATS is down")
			}
			if server, err = devnats.Start(dir, addr); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(server.Stop)
			var first, now uint64
			eventually(t, "the relay does not come back", func() bool {
				stream, err := b.js.Stream(t.Context(), events.Stream("membership"))
				if err == nil {
					now = stream.CachedInfo().State.LastSeq
					first = cmp.Or(first, now)
				}
				return now > first+100
			})
		}
		close(enough)
		writers.Wait()
		b.drained(t)
		inOrder(t, published(t, b.js), int(written.Load()))
	})
	t.Run("TooLargeAnEventHoldsUpItsOwnAggregateOnly", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		stuck, free := id.NewOrganization(), id.NewOrganization()
		event, err := NewEvent(stuck, time.Now(), &eventv1.MemberAdded{})
		if err != nil {
			t.Fatal(err)
		}
		event.data = fmt.Appendf(nil, `{"text":%q}`, strings.Repeat("x", maxMsgSize)) // which NewEvent refuses
		if err := b.db.Flight(t.Context(), postgres.In(stuck), func(batch *pgx.Batch) { event.Queue(batch, "true") }); err != nil {
			t.Fatal(err)
		}
		b.publish(t, stuck, free, free, stuck)
		run(t, b.relay(t).Run)
		eventually(t, "the other aggregate does not go on", func() bool { return b.waiting(t) == 3 })
		inOrder(t, published(t, b.js), 2)
	})
	t.Run("SeesALateCommitWithALowId", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		relay := b.relay(t)
		run(t, relay.Run)
		late, early := id.NewOrganization(), id.NewOrganization()
		tx, err := b.db.Pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback(context.Background())
		var batch pgx.Batch
		batch.Queue(`SELECT set_config('app.aggregate_id', $1, true)`, fmt.Sprintf("%x", late[:]))
		event, err := NewEvent(late, time.Now(), &eventv1.MemberAdded{})
		if err != nil {
			t.Fatal(err)
		}
		event.Queue(&batch, "true")
		if err := tx.SendBatch(t.Context(), &batch).Close(); err != nil {
			t.Fatal(err)
		}
		b.publish(t, early)
		b.drained(t)
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.publish(t, late)
		b.drained(t)
		inOrder(t, published(t, b.js), 3)
	})
}

func TestTwoRelays(t *testing.T) {
	t.Parallel()
	t.Run("OneTakesOverWhenTheOtherStops", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		orgs := organizations(3)
		first, second := b.relay(t), b.relay(t)
		stopFirst := run(t, first.Run)
		b.publish(t, orgs...)
		b.drained(t)
		run(t, second.Run)
		b.publish(t, orgs...)
		b.drained(t)
		if holder := b.holder(t); holder != first.holder {
			t.Errorf("%s holds the lease, want the first, %s", holder, first.holder)
		}
		stopFirst()
		b.publish(t, orgs...)
		b.drained(t)
		if holder := b.holder(t); holder != second.holder {
			t.Errorf("%s holds the lease, want the second, %s", holder, second.holder)
		}
		inOrder(t, published(t, b.js), 9)
	})
	t.Run("TwoThatWorkAtOnceOnlyDouble", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		if err := EnsureStream(t.Context(), b.js, "membership", 1); err != nil {
			t.Fatal(err)
		}
		orgs := organizations(3)
		for range 10 {
			b.publish(t, orgs...)
		}
		var both sync.WaitGroup
		for range 2 { // each takes itself for the holder
			relay := b.relay(t)
			both.Go(func() {
				queued, err := relay.read(t.Context())
				if err != nil || len(queued) != 30 {
					t.Errorf("%d rows, %v", len(queued), err)
				}
				if confirmed, _, err := relay.publish(t.Context(), queued); err != nil || len(confirmed) != 30 {
					t.Errorf("%d confirmed, %v", len(confirmed), err)
				}
			})
		}
		both.Wait()
		inOrder(t, published(t, b.js), 30) // within the window NATS drops what is double; consumers do it always
	})
	t.Run("OneThatLosesTheLeaseWhilePublishingStops", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		orgs := organizations(2)
		for range 10 {
			b.publish(t, orgs...)
		}
		slow, quick := b.relay(t), b.relay(t)
		if err := slow.acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		queued, err := slow.read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		stop := run(t, quick.Run) // stands by
		b.asOwner(t, func(conn *pgx.Conn) error {
			_, err := conn.Exec(t.Context(), `UPDATE relay_lease SET expire_time = now() - interval '1 second'`)
			return err
		})
		b.drained(t) // the quick one has published everything
		expired, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
		defer cancel()
		if confirmed, _, err := slow.publish(expired, queued); err == nil || len(confirmed) != 0 {
			t.Errorf("it published %d when its time was up, %v", len(confirmed), err)
		}
		if _, _, err := slow.publish(t.Context(), queued); err != nil { // what was on its way arrives late
			t.Error(err)
		}
		if err := slow.delete(t.Context(), []int64{queued[0].id}, 0); err != nil || !slow.until.IsZero() {
			t.Errorf("it went on: %v", err)
		}
		b.publish(t, orgs...)
		b.drained(t)
		stop()
		inOrder(t, published(t, b.js), 22)
	})
	t.Run("OneThatLostTheLeaseDeletesNothing", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		slow, quick := b.relay(t), b.relay(t)
		b.publish(t, id.NewOrganization())
		if err := slow.acquire(t.Context()); err != nil || slow.until.IsZero() {
			t.Fatalf("no lease: %v", err)
		}
		if err := quick.acquire(t.Context()); err != nil || !quick.until.IsZero() {
			t.Fatalf("two relays hold the lease: %v", err)
		}
		queued, err := slow.read(t.Context())
		if err != nil || len(queued) != 1 {
			t.Fatalf("%d rows, %v", len(queued), err)
		}
		b.asOwner(t, func(conn *pgx.Conn) error { // the machine slept
			_, err := conn.Exec(t.Context(), `UPDATE relay_lease SET expire_time = now() - interval '1 second'`)
			return err
		})
		if err := quick.acquire(t.Context()); err != nil || quick.fence != slow.fence+1 {
			t.Fatalf("the second relay has fence %d after %d: %v", quick.fence, slow.fence, err)
		}
		if err := slow.delete(t.Context(), []int64{queued[0].id}, 0); err != nil || b.waiting(t) != 1 || !slow.until.IsZero() {
			t.Errorf("it went on: %d rows, %v", b.waiting(t), err)
		}
		if err := slow.acquire(t.Context()); err != nil || !slow.until.IsZero() {
			t.Errorf("it took the lease back: %v", err)
		}
		if err := quick.delete(t.Context(), []int64{queued[0].id}, 0); err != nil || b.waiting(t) != 0 {
			t.Errorf("the holder cannot delete: %v", err)
		}
	})
}

func (b *bench) holder(t testing.TB) (holder string) {
	t.Helper()
	b.asOwner(t, func(conn *pgx.Conn) error {
		return conn.QueryRow(t.Context(), `SELECT holder FROM relay_lease WHERE shard = 0`).Scan(&holder)
	})
	return holder
}

// reconnecting is a connection over TCP that comes back with the server.
func reconnecting(t testing.TB, server *devnats.Server) jetstream.JetStream {
	t.Helper()
	conn, err := nats.Connect(server.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func TestStreamIsAsPromised(t *testing.T) {
	t.Parallel()
	js := newStream(t)
	stream, err := js.Stream(t.Context(), "ROSTER_MEMBERSHIP")
	if err != nil {
		t.Fatal(err)
	}
	c := stream.CachedInfo().Config
	if c.Storage != jetstream.FileStorage || c.Compression != jetstream.S2Compression || !c.AllowAtomicPublish || !c.DenyDelete || !c.DenyPurge ||
		c.MaxAge != 14*24*time.Hour || c.Duplicates != 2*time.Minute || c.MaxMsgSize != 64<<10 || c.Discard != jetstream.DiscardOld ||
		c.Retention != jetstream.LimitsPolicy || c.MaxMsgs != -1 || c.MaxBytes != -1 {
		t.Errorf("got %+v", c)
	}
}

func TestEventThatDoesNotFitIsRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	organization := id.NewOrganization()
	tell := func(size int, personal bool) error {
		message := &eventv1.OrganizationDeleted{Before: &eventv1.Organization{DisplayName: strings.Repeat("x", size)}}
		if !personal {
			return b.db.InTx(t.Context(), postgres.In(organization), func(tx *postgres.Tx) error {
				return Publish(tx, organization, time.Now(), message)
			})
		}
		_, err := NewEvent(organization, time.Now(), &eventv1.MemberAdded{Personal: &eventv1.Personal{DisplayName: strings.Repeat("x", size)}})
		return err
	}
	for _, personal := range []bool{false, true} {
		if err := tell(maxSize, personal); !errors.Is(err, ErrTooLarge) {
			t.Errorf("got %v, want ErrTooLarge", err)
		}
	}
	if b.waiting(t) != 0 {
		t.Error("something was committed")
	}
	if err := tell(maxSize-len(`{"before":{"displayName":""}}`), false); err != nil {
		t.Fatal(err)
	}
	run(t, b.relay(t).Run)
	b.drained(t) // the largest that is taken fits into a message
	inOrder(t, published(t, b.js), 1)
}

func TestEnsureStreamTwice(t *testing.T) {
	t.Parallel()
	js := jetStream(t, testkit.NATS(t))
	for _, service := range events.Services() {
		for range 2 {
			if err := EnsureStream(t.Context(), js, service, 1); err != nil {
				t.Error(err)
			}
		}
	}
	stream, err := js.Stream(t.Context(), "ROSTER_BILLING")
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context()); err == nil {
		t.Error("the stream can be purged")
	}
}
