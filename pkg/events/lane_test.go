package events

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/nats-io/nats.go/jetstream"
)

// ledger applies what it is told, and knows how far it is with every aggregate.
type ledger struct {
	mu    sync.Mutex
	at    map[string]Position
	told  map[string][]int64
	asked int
}

func (l *ledger) handle(_ context.Context, e Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at[e.Aggregate] = e.Position()
	l.told[e.Aggregate] = append(l.told[e.Aggregate], e.Revision)
	return nil
}

func (l *ledger) Applied(_ context.Context, _, aggregate string) (Position, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	return l.at[aggregate], nil
}

func (l *ledger) read(aggregate string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return fmt.Sprint(l.told[aggregate])
}

// brought is a message that NATS delivered, and counts how often one was acknowledged.
type brought struct {
	jetstream.Msg
	body  []byte
	acked *atomic.Int64
}

func (b brought) Data() []byte    { return b.body }
func (b brought) Subject() string { return "roster.v1.member.added.00.x" }
func (b brought) Ack() error      { b.acked.Add(1); return nil }

// few is how many lanes are remembered here.
const few = 100

// hearing is a source that is brought events without NATS.
type hearing struct {
	*source
	ledger
	acked    atomic.Int64
	sequence uint64
}

func newHearing(t *testing.T, c Config) *hearing {
	h := &hearing{ledger: ledger{at: make(map[string]Position), told: make(map[string][]int64)}}
	c.Services, c.Log = []string{"membership"}, slog.New(slog.NewTextHandler(io.Discard, nil))
	if c.Positions != nil {
		c.Positions = &h.ledger
	}
	consumer, err := New(nil, c, h.handle)
	if err != nil {
		t.Fatal(err)
	}
	h.source = consumer.sources[0]
	if h.remember != remembered {
		t.Errorf("it remembers %d", h.remember)
	}
	h.lanes, h.remember = make(map[string]*lane), few
	return h
}

func (h *hearing) bring(ctx context.Context, aggregate string, revision int) {
	h.sequence++
	body, _ := json.Marshal(map[string]string{
		"type": "roster.v1.member.added", "source": "/roster/membership", "aggregate": aggregate, "id": "evt_1",
		"revision": fmt.Sprint(revision), "epoch": "1", "prevhash": fmt.Sprint("h", revision-1), "hash": fmt.Sprint("h", revision),
		"time": "2026-03-01T12:00:00Z",
	})
	h.receive(ctx, brought{body: body, acked: &h.acked}, h.sequence)
}

func (h *hearing) known() int {
	h.source.mu.Lock()
	defer h.source.mu.Unlock()
	all := maps.Clone(h.lanes)
	maps.Copy(all, h.earlier)
	if len(all) != len(h.lanes)+len(h.earlier) {
		return -1 // a lane is in both
	}
	return len(all)
}

// crowd brings an event of each of n aggregates that were never heard of.
func (h *hearing) crowd(ctx context.Context, n int) {
	for range n {
		h.bring(ctx, fmt.Sprint("org_of_crowd_", h.sequence), 1)
		h.working.Wait()
	}
}

func TestLanesAreFreed(t *testing.T) {
	t.Parallel()
	t.Run("ThereAreNoMoreThanTwiceWhatIsRemembered", func(t *testing.T) {
		t.Parallel()
		h := newHearing(t, Config{})
		for revision := 1; revision <= 5; revision++ {
			h.crowd(t.Context(), few/2)
			h.bring(t.Context(), "org_often", revision) // again and again: it stays
			h.working.Wait()
		}
		if n := h.known(); n > 2*few || n < few {
			t.Errorf("%d lanes", n)
		}
		if h.lanes["org_often"] == nil || h.read("org_often") != "[1 2 3 4 5]" {
			t.Errorf("what is heard often was freed, and told %s", h.read("org_often"))
		}
	})
	t.Run("OrderDuplicatesAndGapsAreSeenInALaneThatWasFreed", func(t *testing.T) {
		t.Parallel()
		gaps := make(chan *GapError, 10)
		h := newHearing(t, Config{Positions: &ledger{}, OnGap: func(_ context.Context, g *GapError) error {
			gaps <- g
			return nil
		}})
		for revision := 1; revision <= 3; revision++ {
			h.bring(t.Context(), "org_a", revision)
		}
		h.working.Wait()
		h.crowd(t.Context(), 2*few)
		if h.known() < 0 || h.lanes["org_a"] != nil || h.earlier["org_a"] != nil {
			t.Fatal("the lane was not freed")
		}
		acked := h.acked.Load()
		h.bring(t.Context(), "org_a", 2) // again
		h.bring(t.Context(), "org_a", 4)
		h.bring(t.Context(), "org_a", 3) // again, and late
		h.working.Wait()
		if told := h.read("org_a"); told != "[1 2 3 4]" || len(gaps) != 0 || h.acked.Load() != acked+3 {
			t.Errorf("told %s, %d gaps, %d acknowledged", told, len(gaps), h.acked.Load()-acked)
		}
		h.crowd(t.Context(), 2*few)
		h.bring(t.Context(), "org_a", 6)
		h.working.Wait()
		if len(gaps) != 1 {
			t.Fatal("what is missing was not noticed")
		}
		if g := <-gaps; g.Applied.Revision != 4 || g.Event.Revision != 6 {
			t.Errorf("got %v", g)
		}
	})
	t.Run("OneWhoseEventWaitsIsNot", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			h := newHearing(t, Config{Parallel: 2})
			release := make(chan struct{})
			handle := h.handle
			h.source.handle = func(ctx context.Context, e Event) error {
				if e.Aggregate == "org_slow" {
					<-release
				}
				return handle(ctx, e)
			}
			h.bring(t.Context(), "org_slow", 1)
			for range 3 * few {
				h.bring(t.Context(), fmt.Sprint("org_of_crowd_", h.sequence), 1)
				synctest.Wait()
			}
			held := 0
			h.each(func(*delivery) { held++ })
			if held != 1 {
				t.Errorf("%d events are held, of the one that is under way", held)
			}
			h.bring(t.Context(), "org_slow", 2)
			close(release)
			h.working.Wait()
			if told := h.read("org_slow"); told != "[1 2]" {
				t.Errorf("told %s", told)
			}
		})
	})
	t.Run("ACopyWithoutPositionsKeepsAll", func(t *testing.T) {
		t.Parallel()
		h := newHearing(t, Config{Snapshot: func(context.Context, string, string, func(string, Position)) error { return nil }})
		h.crowd(t.Context(), 3*few)
		if n := h.known(); n != 3*few {
			t.Errorf("%d lanes of %d", n, 3*few)
		}
	})
}
