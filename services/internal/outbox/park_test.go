package outbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rosterhq/roster/pkg/events"

	"github.com/rosterhq/roster/services/internal/devnats"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/testkit"
)

// lazaret is a stream, one for dead letters, and a handler that refuses one aggregate's events for as long as it is told to.
type lazaret struct {
	diary
	server  *devnats.Server
	js      jetstream.JetStream
	refusal error
	ill     id.Organization
	heals   atomic.Bool
	fails   atomic.Int64
}

func newLazaret(t *testing.T) *lazaret {
	t.Helper()
	l := &lazaret{server: testkit.NATS(t), ill: id.NewOrganization(), refusal: errors.New("cannot\nread this")}
	l.js = jetStream(t, l.server)
	if err := EnsureStream(t.Context(), l.js, "membership", 1); err != nil {
		t.Fatal(err)
	}
	return l
}

// handle refuses the second event of the ill one.
func (l *lazaret) handle(ctx context.Context, e events.Event) error {
	if e.Aggregate == l.ill.String() && e.Revision == 2 && !l.heals.Load() {
		l.fails.Add(1)
		return l.refusal
	}
	return l.diary.handle(ctx, e)
}

// parked waits until n events of the ill one are parked.
func (l *lazaret) parked(t *testing.T, n uint64) events.Parked {
	t.Helper()
	var p []events.Parked
	eventually(t, fmt.Sprintf("not %d events are parked", n), func() bool {
		var err error
		if p, err = events.ListParked(t.Context(), l.js); err != nil {
			t.Fatal(err)
		}
		return n == 0 && len(p) == 0 || n > 0 && len(p) == 1 && p[0].Events == n
	})
	if n == 0 {
		return events.Parked{}
	}
	return p[0]
}

func (l *lazaret) retry(t *testing.T) error {
	return events.Retry(t.Context(), l.js, "c", "membership", l.ill.String())
}

// meddler does something just before each message is published.
type meddler struct {
	jetstream.JetStream
	before func(*nats.Msg)
}

func (m meddler) PublishMsg(ctx context.Context, msg *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	m.before(msg)
	return m.JetStream.PublishMsg(ctx, msg, opts...)
}

func TestParking(t *testing.T) {
	t.Parallel()
	config := events.Config{Name: "c"}
	t.Run("HoldsUpOneAggregateAndKeepsItsOrder", func(t *testing.T) {
		t.Parallel()
		l := newLazaret(t)
		log, well := history(l.ill, 6), history(id.NewOrganization(), 3)
		consume(t, l.js, config, l.handle)
		tell(t, l.js, log[:3]...)
		tell(t, l.js, well...)
		p := l.parked(t, 2)
		if p.Consumer != "c" || p.Service != "membership" || p.Aggregate != l.ill.String() || p.First.Revision != 2 || p.Since.IsZero() ||
			p.First.ID != log[1].ID.String() || p.Reason != "cannot read this" || !strings.HasPrefix(p.First.Subject, "roster.v1.member.added.") {
			t.Errorf("got %+v", p)
		}
		if n := l.fails.Load(); n != 5 {
			t.Errorf("tried %d times", n)
		}
		tell(t, l.js, log[3:5]...)
		l.parked(t, 4)
		settled(t, l.js, "c") // the event that is parked does not come again
		l.wait(t, 4)
		if err := l.retry(t); err == nil || !strings.Contains(err.Error(), "cannot") {
			t.Errorf("a retry that fails says %v", err)
		}
		l.parked(t, 4)
		l.heals.Store(true)
		if err := l.retry(t); err != nil {
			t.Error(err)
		}
		l.parked(t, 0)
		tell(t, l.js, log[5])
		inOrder(t, l.wait(t, 9), 9)
		if err := l.retry(t); !errors.Is(err, events.ErrNotParked) {
			t.Errorf("nothing is parked, and retry says %v", err)
		}
	})
	t.Run("ARetryThatOvertakesAnEventLeavesNothingBehind", func(t *testing.T) {
		t.Parallel()
		l := newLazaret(t)
		log := history(l.ill, 4)
		var buried atomic.Int32
		consume(t, meddler{l.js, func(msg *nats.Msg) {
			if strings.HasPrefix(msg.Subject, events.DeadLetterRoot) && buried.Add(1) == 2 { // on its way, behind one that is handled just now
				l.heals.Store(true)
				if err := l.retry(t); err != nil {
					t.Error(err)
				}
			}
		}}, config, l.handle)
		tell(t, l.js, log[:2]...)
		l.parked(t, 1)
		tell(t, l.js, log[2:]...)
		inOrder(t, l.wait(t, 4), 4)
		l.parked(t, 0)
	})
	t.Run("SurvivesARestart", func(t *testing.T) {
		t.Parallel()
		l := newLazaret(t)
		log := history(l.ill, 5)
		stop := consume(t, l.js, config, l.handle)
		tell(t, l.js, log[:2]...)
		l.parked(t, 1)
		stop()
		l.heals.Store(true)
		tell(t, l.js, log[1:4]...) // the second once more, as if its acknowledgement got lost
		if err := l.retry(t); err == nil || !strings.Contains(err.Error(), "does not run") {
			t.Errorf("nobody can retry, and it says %v", err)
		}
		stop = consume(t, l.js, config, l.handle)
		l.parked(t, 3)
		settled(t, l.js, "c")
		if got := l.revisions(""); got != "[1]" {
			t.Errorf("told %s", got)
		}
		if err := l.retry(t); err != nil {
			t.Error(err)
		}
		stop()
		consume(t, l.js, config, l.handle)
		tell(t, l.js, log[4])
		inOrder(t, l.wait(t, 5), 5)
	})
	t.Run("GoesOverToTheProcessThatTakesOver", func(t *testing.T) {
		t.Parallel()
		l := newLazaret(t)
		log := history(l.ill, 6)
		stop := consume(t, jetStream(t, l.server), config, l.handle)
		tell(t, l.js, log[0])
		l.wait(t, 1)
		consume(t, jetStream(t, l.server), config, l.handle) // stands by while the aggregate is parked
		tell(t, l.js, log[1:3]...)
		l.parked(t, 2)
		stop()
		tell(t, l.js, log[3])
		l.parked(t, 3)
		l.heals.Store(true)
		if err := l.retry(t); err != nil {
			t.Error(err)
		}
		tell(t, l.js, log[4:]...)
		inOrder(t, l.wait(t, 6), 6)
	})
	t.Run("IsNotForWhatIsNotTheEventsFault", func(t *testing.T) {
		t.Parallel()
		l := newLazaret(t)
		var failures atomic.Int64
		consume(t, l.js, config, func(ctx context.Context, e events.Event) error {
			if e.Revision == 2 && failures.Add(1) <= 6 {
				return fmt.Errorf("wrapped: %w", events.Later(errors.New("the database is away")))
			}
			return l.diary.handle(ctx, e)
		})
		tell(t, l.js, history(l.ill, 3)...)
		inOrder(t, l.wait(t, 3), 3)
		l.parked(t, 0)
	})
	t.Run("EndsWhenWhatCannotBeHandledIsSkipped", func(t *testing.T) {
		t.Parallel()
		l := newLazaret(t)
		log := history(l.ill, 6)
		at := applied{}
		refuse := map[int64]bool{2: true, 5: true}
		consume(t, l.js, events.Config{Name: "c", Positions: &at}, func(ctx context.Context, e events.Event) error {
			if refuse[e.Revision] {
				return errors.New("no")
			}
			at.set(e)
			return l.diary.handle(ctx, e)
		})
		tell(t, l.js, log[:3]...)
		l.parked(t, 2)
		skip := func(revision int64) {
			t.Helper()
			if e, err := events.Skip(t.Context(), l.js, "c", "membership", l.ill.String()); err != nil || e.Revision != revision {
				t.Errorf("skipped revision %d, %v", e.Revision, err)
			}
		}
		skip(2)
		if p := l.parked(t, 1); p.First.Revision != 3 || p.Reason != "" {
			t.Errorf("got %+v", p)
		}
		if err := l.retry(t); err != nil {
			t.Error(err)
		}
		tell(t, l.js, log[3:5]...)
		l.parked(t, 1)
		skip(5) // the last: there is nothing to retry, and still the next follows
		l.parked(t, 0)
		if _, err := events.Skip(t.Context(), l.js, "c", "membership", l.ill.String()); !errors.Is(err, events.ErrNotParked) {
			t.Errorf("nothing is parked, and skip says %v", err)
		}
		if err := l.retry(t); !errors.Is(err, events.ErrNotParked) {
			t.Errorf("nothing is parked, and retry says %v", err)
		}
		tell(t, l.js, log[5])
		l.wait(t, 4)
		if got := l.revisions(""); got != "[1 3 4 6]" {
			t.Errorf("told %s", got)
		}
	})
}

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	// park parks the ill one at its second event, of a person, and has a third wait behind it.
	park := func(t *testing.T, l *lazaret, c events.Config) (log []Entry) {
		log = history(l.ill, 4)
		log[1].Personal = []byte(`{"displayName":"Ada Lovelace","email":"ada@example.com"}`)
		consume(t, l.js, c, l.handle)
		tell(t, l.js, log[:3]...)
		l.parked(t, 2)
		return log
	}
	letters := func(t *testing.T, l *lazaret) jetstream.Stream {
		t.Helper()
		stream, err := l.js.Stream(t.Context(), events.DeadLetters("c"))
		if err != nil {
			t.Fatal(err)
		}
		return stream
	}
	// expire ends the time of what a stream holds.
	expire := func(t *testing.T, l *lazaret, stream jetstream.Stream) {
		t.Helper()
		config := stream.CachedInfo().Config
		config.MaxAge, config.Duplicates = 100*time.Millisecond, 100*time.Millisecond
		if _, err := l.js.UpdateStream(t.Context(), config); err != nil {
			t.Fatal(err)
		}
	}
	empty := func(t *testing.T, stream jetstream.Stream) {
		t.Helper()
		eventually(t, "it does not expire", func() bool {
			info, err := stream.Info(t.Context())
			return err == nil && info.State.Msgs == 0
		})
	}

	t.Run("AreInAStreamOfTheConsumerThatKeepsThemAsLongAsEvents", func(t *testing.T) {
		t.Parallel()
		l := newLazaret(t)
		consume(t, l.js, events.Config{Name: "c"}, l.handle)
		consume(t, l.js, events.Config{Name: "d"}, l.handle)
		tell(t, l.js, history(l.ill, 2)...)
		eventually(t, "two consumers do not have a letter each", func() bool {
			parked, err := events.ListParked(t.Context(), l.js)
			if err != nil {
				t.Fatal(err)
			}
			return len(parked) == 2 && parked[0].Consumer == "c" && parked[1].Consumer == "d"
		})
		c := letters(t, l).CachedInfo().Config
		if c.Name != "DLQ_c" || fmt.Sprint(c.Subjects) != "[roster.dlq.c.>]" || c.MaxAge != 14*24*time.Hour || c.Storage != jetstream.FileStorage ||
			c.Replicas != 1 || c.MaxMsgs != -1 || c.MaxBytes != -1 || c.Discard != jetstream.DiscardNew || c.AllowDirect || !c.DenyPurge {
			t.Errorf("got %+v", c)
		}
		if _, err := events.Skip(t.Context(), l.js, "c", "membership", l.ill.String()); err != nil {
			t.Error(err)
		}
		if p := l.parked(t, 1); p.Consumer != "d" {
			t.Errorf("skipping what one has parked leaves %+v", p)
		}
	})
	t.Run("HoldNothingOfWhatTheEventSays", func(t *testing.T) {
		t.Parallel()
		l := newLazaret(t)
		l.refusal = errors.New("no room for ADA\nlovelace <ada@example.com> in people_pkey")
		park(t, l, events.Config{Name: "c"})
		if p := l.parked(t, 2); p.First.Data != nil || p.Reason != "no room for … … <…> in people_pkey" {
			t.Errorf("got %+v", p)
		}
		stream := letters(t, l)
		for sequence := uint64(1); sequence <= 2; sequence++ {
			msg, err := stream.GetMsg(t.Context(), sequence)
			if err != nil {
				t.Fatal(err)
			}
			if text := strings.ToLower(fmt.Sprint(msg.Subject, msg.Header, string(msg.Data))); strings.Contains(text, "lovelace") || strings.Contains(text, "ada@") ||
				strings.Contains(text, "context") || len(msg.Data) > 1000 {
				t.Errorf("a letter says %s", text)
			}
		}
		l.heals.Store(true)
		if err := l.retry(t); err != nil {
			t.Error(err)
		}
		told := l.wait(t, 3)
		inOrder(t, told, 3)
		if data := string(told[1].Data); !strings.Contains(data, "Ada Lovelace") {
			t.Errorf("the event that was read again says %s", data)
		}
	})
	t.Run("OfAnEventThatIsGoneAskForItsReturn", func(t *testing.T) {
		t.Parallel()
		l := newLazaret(t)
		log := park(t, l, events.Config{Name: "c"})
		l.heals.Store(true)
		stream, err := l.js.Stream(t.Context(), "ROSTER_MEMBERSHIP")
		if err != nil {
			t.Fatal(err)
		}
		before := stream.CachedInfo().Config
		expire(t, l, stream)
		empty(t, stream)
		err = l.retry(t)
		want := fmt.Sprintf("`roster events republish membership --aggregate %s --from-revision 2`", l.ill)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want a word of %s", err, want)
		}
		l.parked(t, 2)
		if _, err := l.js.UpdateStream(t.Context(), before); err != nil {
			t.Fatal(err)
		}
		log[1].Personal = nil      // erased meanwhile
		tell(t, l.js, log[1:3]...) // what republish does
		settled(t, l.js, "c")
		if err := l.retry(t); err != nil {
			t.Error(err)
		}
		l.parked(t, 0)
		tell(t, l.js, log[3])
		told := l.wait(t, 4)
		inOrder(t, told, 4)
		if data := string(told[1].Data); strings.Contains(data, "Ada") {
			t.Errorf("what was erased is still told: %s", data)
		}
	})
	t.Run("FindTheirEventsInAStreamThatWasMadeAnew", func(t *testing.T) {
		t.Parallel()
		l := newLazaret(t)
		tell(t, l.js, history(id.NewOrganization(), 5)...) // so that the sequences were higher
		log := park(t, l, events.Config{Name: "c"})
		if err := l.js.DeleteStream(t.Context(), "ROSTER_MEMBERSHIP"); err != nil {
			t.Fatal(err)
		}
		if err := EnsureStream(t.Context(), l.js, "membership", 1); err != nil {
			t.Fatal(err)
		}
		tell(t, l.js, log[:3]...)
		l.heals.Store(true)
		if err := l.retry(t); err != nil {
			t.Error(err)
		}
		l.parked(t, 0)
	})
	t.Run("ThatExpireAreAsGoodAsSkipped", func(t *testing.T) {
		t.Parallel()
		l := newLazaret(t)
		log := park(t, l, events.Config{Name: "c"})
		stream := letters(t, l)
		expire(t, l, stream)
		empty(t, stream)
		l.parked(t, 0)
		tell(t, l.js, log[3])
		l.wait(t, 2)
		if told := l.revisions(""); told != "[1 4]" {
			t.Errorf("told %s", told)
		}
	})
	t.Run("ThatWereSkippedMakeNoGapHoweverLateTheNextEventComes", func(t *testing.T) {
		t.Parallel()
		l := newLazaret(t)
		log := history(l.ill, 3)
		at := applied{}
		consume(t, l.js, events.Config{Name: "c", Positions: &at}, func(ctx context.Context, e events.Event) error {
			err := l.handle(ctx, e)
			if err == nil {
				at.set(e)
			}
			return err
		})
		tell(t, l.js, log[:2]...)
		l.parked(t, 1)
		if _, err := events.Skip(t.Context(), l.js, "c", "membership", l.ill.String()); err != nil {
			t.Fatal(err)
		}
		stream := letters(t, l)
		if _, err := l.js.Publish(t.Context(), events.DeadLetterRoot+"c.membership.other", nil); err != nil { // behind the note
			t.Fatal(err)
		}
		expire(t, l, stream)
		eventually(t, "nothing expires", func() bool {
			_, err := stream.GetLastMsgForSubject(t.Context(), events.DeadLetterRoot+"c.membership.other")
			return errors.Is(err, jetstream.ErrMsgNotFound)
		})
		tell(t, l.js, log[2])
		l.wait(t, 2)
		if told := l.revisions(""); told != "[1 3]" {
			t.Errorf("told %s", told)
		}
	})
}

// applied is where a sink of one aggregate is.
type applied struct {
	mu sync.Mutex
	at events.Position
}

func (a *applied) set(e events.Event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at = e.Position()
}

func (a *applied) Applied(context.Context, string, string) (events.Position, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.at, nil
}
