package outbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
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
)

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
	t.Run("R87 BeatsWhenNothingWaits", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		told := make(chan *nats.Msg, 100) // in the order in which they come
		for _, subject := range []string{"roster.v1.>", BeatSubject("membership")} {
			if _, err := b.js.Conn().ChanSubscribe(subject, told); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.js.Conn().Flush(); err != nil {
			t.Fatal(err)
		}
		b.publish(t, organizations(3)...)
		run(t, b.relay(t).Run)
		for _, want := range []string{"event", "event", "event", "beat", "beat"} {
			select {
			case m := <-told:
				if got := map[bool]string{true: "beat", false: "event"}[m.Subject == BeatSubject("membership")]; got != want {
					t.Fatalf("%s is told, want a %s", m.Subject, want)
				}
			case <-time.After(30 * time.Second):
				t.Fatalf("no %s", want)
			}
		}
	})
	t.Run("R83_NotesWhoseHistoryHasGrown", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		run(t, b.relay(t).Run)
		one, other := id.NewOrganization(), id.NewOrganization()
		grown := func(organization id.Organization) (revision int64) {
			b.asOwner(t, func(conn *pgx.Conn) error {
				return conn.QueryRow(t.Context(), `SELECT coalesce(max(revision), 0) FROM unsigned WHERE aggregate_id = $1`, organization).Scan(&revision)
			})
			return revision
		}
		b.publish(t, one, one, other)
		b.drained(t)
		if grown(one) != 2 || grown(other) != 1 {
			t.Errorf("noted up to %d and %d, want 2 and 1", grown(one), grown(other))
		}
		b.publish(t, one)
		b.drained(t)
		if grown(one) != 3 {
			t.Errorf("noted up to %d, want 3", grown(one))
		}
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
	t.Run("WhoStandsByTellsTheOthersOfItsCommits", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		works, standsBy, hears := b.relay(t), b.relay(t), b.relay(t)
		run(t, works.Run)
		b.publish(t, organizations(1)...)
		b.drained(t)
		run(t, standsBy.Run)
		run(t, hears.Run)
		eventually(t, "nobody stands by", func() bool { return standsBy.standby.Load() && hears.standby.Load() })
		told, err := b.js.Conn().SubscribeSync(wakeSubject("membership"))
		if err != nil {
			t.Fatal(err)
		}
		works.Wake() // needs nobody
		standsBy.Wake()
		eventually(t, "the others hear nothing", func() bool { return len(hears.wake) == 1 }) // where whoever works takes it from
		if messages, _, err := told.Pending(); err != nil || messages != 1 {
			t.Errorf("%d messages, %v, want the one of who stands by", messages, err)
		}
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
