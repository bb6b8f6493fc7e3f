package outbox

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/rosterhq/roster/pkg/events"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

	"github.com/rosterhq/roster/services/internal/devnats"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/testkit"
)

// These are the tests of package events that need events to consume.

// history is a log of one organization, made without a database.
func history(organization id.Organization, n int, messages ...proto.Message) (entries []Entry) {
	prev := make([]byte, sha256.Size)
	for i := range n {
		message := proto.Message(&eventv1.MemberAdded{})
		if i < len(messages) {
			message = messages[i]
		}
		made, err := NewEvent(organization, time.Now(), message)
		if err != nil {
			panic(err)
		}
		e := Entry{
			Aggregate: id.Any(organization), Revision: int64(i + 1), Epoch: 1, ID: made.ID, Type: made.Type, Time: made.Time,
			Data: made.data, PersonalHash: make([]byte, sha256.Size), PrevHash: prev,
		}
		e.Hash = e.chainHash()
		prev = e.Hash
		entries = append(entries, e)
	}
	return entries
}

// tell publishes entries as they are, however often they were published before.
func tell(t testing.TB, js jetstream.JetStream, entries ...Entry) {
	t.Helper()
	for _, e := range entries {
		msg, err := e.Message("membership")
		if err != nil {
			t.Fatal(err)
		}
		msg.Header.Del(nats.MsgIdHdr)
		if _, err := js.PublishMsg(context.Background(), msg); err != nil {
			t.Fatal(err)
		}
	}
}

func newStream(t testing.TB) jetstream.JetStream {
	t.Helper()
	js := jetStream(t, testkit.NATS(t))
	if err := EnsureStream(t.Context(), js, "membership", 1); err != nil {
		t.Fatal(err)
	}
	return js
}

// diary remembers what a handler was told.
type diary struct {
	mu   sync.Mutex
	told []events.Event
}

func (d *diary) handle(_ context.Context, e events.Event) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.told = append(d.told, e)
	return nil
}

func (d *diary) read() []events.Event {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]events.Event(nil), d.told...)
}

// wait waits for n entries, and returns them.
func (d *diary) wait(t testing.TB, n int) []events.Event {
	t.Helper()
	for deadline := time.Now().Add(25 * time.Second); len(d.read()) < n; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("told %d events, want %d: %s", len(d.read()), n, d.revisions(""))
		}
	}
	return d.read()
}

// revisions lists the revisions that were told of an aggregate.
func (d *diary) revisions(aggregate string) string {
	var list []int64
	for _, e := range d.read() {
		if aggregate == "" || e.Aggregate == aggregate {
			list = append(list, e.Revision)
		}
	}
	return fmt.Sprint(list)
}

// consume runs a consumer of membership's events.
func consume(t testing.TB, js jetstream.JetStream, c events.Config, h events.Handler) (stop func()) {
	t.Helper()
	c.Services, c.Log = []string{"membership"}, cmp.Or(c.Log, quiet)
	consumer, err := events.New(js, c, h)
	if err != nil {
		t.Fatal(err)
	}
	return run(t, consumer.Run)
}

func TestConsumer(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]events.Config{"Ephemeral": {}, "Durable": {Name: "late"}} {
		t.Run(name+"StartsLateAndHearsAllInOrder", func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			relay := b.relay(t)
			b.db.Committed = func(postgres.Waiting) { relay.Wake() }
			run(t, relay.Run)
			orgs := organizations(4)
			for range 30 {
				b.publish(t, orgs...)
			}
			b.drained(t)
			var d diary
			stop := consume(t, b.js, config, d.handle)
			for range 30 { // while it catches up
				b.publish(t, orgs...)
			}
			inOrder(t, d.wait(t, 240), 240)
			stop()
			inOrder(t, d.read(), 240)
		})
	}
	t.Run("FailureHoldsUpItsAggregateOnly", func(t *testing.T) {
		t.Parallel()
		js := newStream(t)
		bad, good := id.NewOrganization(), id.NewOrganization()
		var d diary
		var handled atomic.Int32 // of the good
		consume(t, js, events.Config{Name: "c"}, func(ctx context.Context, e events.Event) error {
			if e.Aggregate == bad.String() && e.Revision == 2 && handled.Load() < 5 {
				return events.Later(errors.New("not now"))
			}
			if e.Aggregate == good.String() {
				handled.Add(1)
			}
			return d.handle(ctx, e)
		})
		tell(t, js, history(bad, 5)...)
		tell(t, js, history(good, 5)...)
		inOrder(t, d.wait(t, 10), 10)
	})
	t.Run("DuplicateIsDropped", func(t *testing.T) {
		t.Parallel()
		js := newStream(t)
		var d diary
		consume(t, js, events.Config{Name: "c"}, d.handle)
		log := history(id.NewOrganization(), 4)
		tell(t, js, log[:3]...)
		tell(t, js, log[1:3]...)
		tell(t, js, log[2:]...)
		inOrder(t, d.wait(t, 4), 4)
		settled(t, js, "c")
		inOrder(t, d.read(), 4)
	})
	t.Run("GapIsReportedAndCloses", func(t *testing.T) {
		t.Parallel()
		js := newStream(t)
		var d diary
		gaps := make(chan *events.GapError, 100)
		consume(t, js, events.Config{Name: "c", OnGap: func(_ context.Context, g *events.GapError) error {
			gaps <- g
			return g
		}}, d.handle)
		log := history(id.NewOrganization(), 5)
		tell(t, js, log[0], log[1], log[3], log[4])
		if g := <-gaps; g.Fork || g.Applied.Revision != 2 || g.Event.Revision != 4 {
			t.Errorf("got %v", g)
		}
		if told := d.revisions(""); told != "[1 2]" {
			t.Errorf("told %s", told)
		}
		tell(t, js, log[2])
		inOrder(t, d.wait(t, 5), 5)
	})
	t.Run("GapThatIsRepairedIsPassed", func(t *testing.T) {
		t.Parallel()
		js := newStream(t)
		var d diary
		consume(t, js, events.Config{Name: "c", OnGap: func(context.Context, *events.GapError) error { return nil }}, d.handle)
		log := history(id.NewOrganization(), 5)
		tell(t, js, log[0], log[3], log[4])
		d.wait(t, 3)
		if told := d.revisions(""); told != "[1 4 5]" {
			t.Errorf("told %s", told)
		}
	})
	t.Run("ForkIsReported", func(t *testing.T) {
		t.Parallel()
		js := newStream(t)
		var d diary
		gaps := make(chan *events.GapError, 100)
		consume(t, js, events.Config{Name: "c", OnGap: func(_ context.Context, g *events.GapError) error {
			gaps <- g
			return g
		}}, d.handle)
		organization := id.NewOrganization()
		tell(t, js, history(organization, 2)...)
		d.wait(t, 2)
		tell(t, js, history(organization, 2)[1]) // the same revision of another history
		if g := <-gaps; !g.Fork || g.Applied.Revision != 2 || g.Event.Revision != 2 {
			t.Errorf("got %v", g)
		}
	})
	t.Run("FilterMakesNoGap", func(t *testing.T) {
		t.Parallel()
		js := newStream(t)
		organization := id.NewOrganization()
		log := history(organization, 4, &eventv1.MemberAdded{}, &eventv1.OrganizationUpdated{}, &eventv1.MemberRemoved{}, &eventv1.MemberAdded{})
		tell(t, js, log...)
		tell(t, js, history(id.NewOrganization(), 2)...)
		for want, config := range map[string]events.Config{
			"[1 3 4]":   {Types: []string{"member.>"}, Organization: organization.String()},
			"[2]":       {Types: []string{"organization.updated"}},
			"[1 2 3 4]": {Organization: organization.String()},
		} {
			var d diary
			consume(t, js, config, d.handle)
			d.wait(t, strings.Count(want, " ")+1)
			if told := d.revisions(""); told != want {
				t.Errorf("told %s, want %s", told, want)
			}
		}
	})
	t.Run("UnknownTypeIsIgnored", func(t *testing.T) {
		t.Parallel()
		js := newStream(t)
		log := history(id.NewOrganization(), 3)
		log[1].Type = "member.promoted" // the chain holds: it is not recomputed
		tell(t, js, log...)
		var d diary
		consume(t, js, events.Config{Name: "c"}, func(ctx context.Context, e events.Event) error {
			if _, err := e.Message(); err != nil {
				return err
			}
			return d.handle(ctx, e)
		})
		d.wait(t, 2)
		settled(t, js, "c")
		if told := d.revisions(""); told != "[1 3]" {
			t.Errorf("told %s", told)
		}
	})
	t.Run("MessageThatIsNoEventIsIgnored", func(t *testing.T) {
		t.Parallel()
		js := newStream(t)
		log := history(id.NewOrganization(), 2)
		tell(t, js, log[0])
		if _, err := js.Publish(t.Context(), "roster.v1.member.added.00.x", []byte("hello")); err != nil {
			t.Fatal(err)
		}
		tell(t, js, log[1])
		var d diary
		consume(t, js, events.Config{Name: "c"}, d.handle)
		inOrder(t, d.wait(t, 2), 2)
		settled(t, js, "c")
	})
	t.Run("LatestHearsOnlyWhatIsNew", func(t *testing.T) {
		t.Parallel()
		js := newStream(t)
		log := history(id.NewOrganization(), 4)
		tell(t, js, log[:2]...)
		var d diary
		stop := consume(t, js, events.Config{Name: "c", Start: events.Latest}, d.handle)
		eventually(t, "no consumer", func() bool { _, err := js.Consumer(t.Context(), "ROSTER_MEMBERSHIP", "c"); return err == nil })
		tell(t, js, log[2])
		d.wait(t, 1)
		stop()
		tell(t, js, log[3]) // a durable consumer does not miss it
		consume(t, js, events.Config{Name: "c", Start: events.Latest}, d.handle)
		d.wait(t, 2)
		if told := d.revisions(""); told != "[3 4]" {
			t.Errorf("told %s", told)
		}
	})
	t.Run("RestartHearsInOrderWhatWasUnderWay", func(t *testing.T) {
		t.Parallel()
		js := newStream(t)
		a, b := id.NewOrganization(), id.NewOrganization()
		tell(t, js, history(a, 3)...)
		tell(t, js, history(b, 3)...)
		var before diary
		stuck := make(chan struct{}, 100)
		stop := consume(t, js, events.Config{Name: "c"}, func(ctx context.Context, e events.Event) error {
			if e.Aggregate == a.String() {
				stuck <- struct{}{}
				<-ctx.Done()
				return ctx.Err()
			}
			return before.handle(ctx, e)
		})
		before.wait(t, 3)
		<-stuck
		stop()
		tell(t, js, history(id.NewOrganization(), 3)...)
		var after diary
		consume(t, js, events.Config{Name: "c"}, after.handle)
		inOrder(t, after.wait(t, 9), 9) // from the first that was not acknowledged on: without Positions some come again
	})
	t.Run("PositionsSpareWhatWasApplied", func(t *testing.T) {
		t.Parallel()
		js := newStream(t)
		a, b := id.NewOrganization(), id.NewOrganization()
		first, second := history(a, 5), history(b, 2)
		tell(t, js, first...)
		tell(t, js, second...)
		var d diary
		positions := positions{a.String(): first[2], b.String(): second[1]}
		consume(t, js, events.Config{Name: "c", Positions: positions}, d.handle)
		d.wait(t, 2)
		settled(t, js, "c")
		if told := d.revisions(""); told != "[4 5]" {
			t.Errorf("told %s", told)
		}
	})
	t.Run("BeginningThatIsMissingIsAGap", func(t *testing.T) {
		t.Parallel()
		js := newStream(t)
		gaps := make(chan *events.GapError, 100)
		consume(t, js, events.Config{Name: "c", Positions: positions{}, OnGap: func(_ context.Context, g *events.GapError) error {
			gaps <- g
			return g
		}}, func(context.Context, events.Event) error { t.Error("told what follows the gap"); return nil })
		tell(t, js, history(id.NewOrganization(), 3)[1:]...)
		if g := <-gaps; g.Applied.Revision != 0 || g.Event.Revision != 2 {
			t.Errorf("got %v", g)
		}
	})
}

// positions is where a sink keeps what it applied.
type positions map[string]Entry

func (p positions) Applied(_ context.Context, _, aggregate string) (events.Position, error) {
	if e, ok := p[aggregate]; ok {
		return events.Position{Epoch: e.Epoch, Revision: e.Revision, Hash: fmt.Sprintf("%x", e.Hash)}, nil
	}
	return events.Position{}, nil
}

// settled waits until a consumer has acknowledged everything.
func settled(t testing.TB, js jetstream.JetStream, name string) {
	t.Helper()
	eventually(t, "something is not acknowledged", func() bool {
		consumer, err := js.Consumer(context.Background(), "ROSTER_MEMBERSHIP", name)
		if err != nil {
			return false
		}
		info := consumer.CachedInfo()
		return info.NumPending == 0 && info.NumAckPending == 0
	})
}

// Of two processes with one name one hears; the other takes over where it stopped, and back again.
func TestConsumerTakesOver(t *testing.T) {
	t.Parallel()
	server := testkit.NATS(t)
	js := jetStream(t, server)
	if err := EnsureStream(t.Context(), js, "membership", 1); err != nil {
		t.Fatal(err)
	}
	orgs := organizations(3)
	logs := make([][]Entry, len(orgs))
	for i, organization := range orgs {
		logs[i] = history(organization, 30)
	}
	var d diary
	start := func() (stop func()) {
		c := events.Config{Name: "c"}
		return consume(t, jetStream(t, server), c, d.handle)
	}
	stop := start()
	for round := range 3 {
		for _, log := range logs {
			tell(t, js, log[round*10:round*10+5]...)
		}
		d.wait(t, (round*10+5)*3)
		next := start()
		for _, log := range logs {
			tell(t, js, log[round*10+5:round*10+10]...)
		}
		d.wait(t, (round*10+10)*3)
		stop()
		stop = next
	}
	settled(t, js, "c")
	inOrder(t, d.read(), 90)
}

// A process that cannot reach what its handler needs gives its place to one that can.
func TestConsumerThatIsStuckMakesRoom(t *testing.T) {
	t.Parallel()
	server := testkit.NATS(t)
	js := jetStream(t, server)
	if err := EnsureStream(t.Context(), js, "membership", 1); err != nil {
		t.Fatal(err)
	}
	log := history(id.NewOrganization(), 6)
	var d diary
	var cutOff atomic.Bool
	consume(t, jetStream(t, server), events.Config{Name: "c"}, func(ctx context.Context, e events.Event) error {
		if cutOff.Load() {
			return events.Later(errors.New("the database is away"))
		}
		return d.handle(ctx, e)
	})
	tell(t, js, log[:2]...)
	d.wait(t, 2)
	cutOff.Store(true)
	tell(t, js, log[2:4]...)
	consume(t, jetStream(t, server), events.Config{Name: "c"}, d.handle)
	tell(t, js, log[4:]...)
	d.wait(t, 6)
	settled(t, js, "c")
	inOrder(t, d.read(), 6)
}

// A process that is cut off loses its place, and what it knew is out of date when it gets it back.
func TestConsumerThatWasReplacedStartsAnew(t *testing.T) {
	t.Parallel()
	server := testkit.NATS(t)
	js := jetStream(t, server)
	if err := EnsureStream(t.Context(), js, "membership", 1); err != nil {
		t.Fatal(err)
	}
	log := history(id.NewOrganization(), 6)
	var d diary
	consume(t, jetStream(t, server), events.Config{Name: "c"}, d.handle)
	tell(t, js, log[:2]...)
	d.wait(t, 2)
	stopOther := consume(t, jetStream(t, server), events.Config{Name: "c"}, d.handle)
	stream, err := js.Stream(t.Context(), "ROSTER_MEMBERSHIP")
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.UnpinConsumer(t.Context(), "c", "one"); err != nil {
		t.Fatal(err)
	}
	tell(t, js, log[2:4]...)
	d.wait(t, 4)
	stopOther()
	tell(t, js, log[4:]...)
	d.wait(t, 6)
	settled(t, js, "c")
	inOrder(t, d.read(), 6)
}

func TestConsumerSurvivesNATS(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]events.Config{"Ephemeral": {}, "Durable": {Name: "c"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			server, err := devnats.Start(dir, "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			addr := strings.TrimPrefix(server.URL(), "nats://")
			conn, err := nats.Connect(server.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(conn.Close)
			js, err := jetstream.New(conn)
			if err != nil {
				t.Fatal(err)
			}
			if err := EnsureStream(t.Context(), js, "membership", 1); err != nil {
				t.Fatal(err)
			}
			log := history(id.NewOrganization(), 60)
			var d diary
			release := make(chan struct{})
			consume(t, js, config, func(ctx context.Context, e events.Event) error {
				if e.Revision == 15 {
					<-release // acknowledgements of what is under way get lost
				}
				return d.handle(ctx, e)
			})
			tell(t, js, log[:20]...)
			d.wait(t, 14)
			server.Stop()
			if server, err = devnats.Start(dir, addr); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(server.Stop)
			eventually(t, "no connection", conn.IsConnected)
			close(release)
			eventually(t, "no stream", func() bool { _, err := js.Stream(t.Context(), "ROSTER_MEMBERSHIP"); return err == nil })
			tell(t, js, log[20:]...)
			eventually(t, "the last event was not told", func() bool {
				told := d.read()
				return told[len(told)-1].Revision == 60
			})
			last := int64(0)
			for _, e := range d.read() { // without Positions some may come again, but none is left out
				if e.Revision > last+1 {
					t.Errorf("revision %d comes after %d", e.Revision, last)
				}
				last = e.Revision
			}
		})
	}
}

func TestTail(t *testing.T) {
	t.Parallel()
	js := newStream(t)
	log := history(id.NewOrganization(), 3)
	tell(t, js, log...)
	enough := errors.New("enough")
	var told []int64
	err := events.Tail(t.Context(), js, events.Config{Types: []string{"member.added"}}, func(e events.Event) error {
		told = append(told, e.Revision)
		if e.StreamSequence == 3 && strings.HasPrefix(e.Subject, "roster.v1.member.added.") {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || fmt.Sprint(told) != "[1 2 3]" {
		t.Errorf("told %v, ended with %v", told, err)
	}
}
