package events

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// How long a lane waits before it tries again: twice as long each time.
const (
	firstPause = 200 * time.Millisecond
	lastPause  = 30 * time.Second
)

// lane is one aggregate: what was applied, and what waits. While something waits one goroutine works on it, so the
// aggregate's events are handled one at a time, and no other aggregate waits for them. What was applied belongs to
// that goroutine, the rest to the source's mutex.
type lane struct {
	applied
	waiting []*delivery   // by revision
	earlier chan struct{} // something came that goes before what was first
}

type delivery struct {
	Event
	msg jetstream.Msg
}

// add queues a delivery. It returns true when nobody is at work on the lane.
func (l *lane) add(d *delivery) (idle bool) {
	at, _ := slices.BinarySearchFunc(l.waiting, d, func(a, b *delivery) int {
		if a.Revision <= b.Revision { // behind its equals
			return -1
		}
		return 1
	})
	l.waiting = slices.Insert(l.waiting, at, d)
	if at == 0 && len(l.waiting) > 1 {
		select {
		case l.earlier <- struct{}{}:
		default:
		}
	}
	return len(l.waiting) == 1
}

// work handles what waits in a lane, until nothing does.
func (s *source) work(ctx context.Context, l *lane) {
	pause := firstPause
	for {
		d := s.first(l)
		err := s.apply(ctx, l, d.Event)
		if ctx.Err() != nil && err != nil {
			return
		}
		if err == nil {
			d.msg.Ack() // when it gets lost, the event comes again and is known
			pause = firstPause
			if s.remove(l, d) {
				return
			}
			continue
		}
		if _, gap := errors.AsType[*GapError](err); !gap || pause == firstPause {
			s.log.WarnContext(ctx, "event not handled, trying again", "event", d.ID, "type", d.Type, "aggregate", d.Aggregate,
				"revision", d.Revision, "pause", pause, "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
			pause = min(2*pause, lastPause)
		case <-l.earlier:
		}
	}
}

func (s *source) first(l *lane) *delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return l.waiting[0]
}

// remove takes a delivery out of the lane. It returns true when nothing is left, so that work must end.
func (s *source) remove(l *lane, done *delivery) (idle bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.waiting = slices.DeleteFunc(l.waiting, func(d *delivery) bool { return d == done })
	return len(l.waiting) == 0
}

// apply hands the event to the handler, if it is the next.
func (s *source) apply(ctx context.Context, l *lane, e Event) error {
	if !l.known {
		if err := s.recall(ctx, l, e); err != nil {
			return err
		}
	}
	verdict := l.judge(e, len(s.config.Types) == 0)
	if verdict == gap || verdict == fork { // unless another process has applied more meanwhile
		if err := s.recall(ctx, l, e); err != nil {
			return err
		}
		verdict = l.judge(e, len(s.config.Types) == 0)
	}
	switch verdict {
	case duplicate:
		return nil
	case gap, fork:
		g := &GapError{Event: e, Applied: l.revision, Hash: l.hash, Fork: verdict == fork}
		if s.config.OnGap == nil {
			return g
		}
		if err := s.config.OnGap(ctx, g); err != nil {
			return err
		}
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := s.handle(ctx, e); err != nil && !errors.Is(err, ErrUnknownType) {
		return err
	}
	l.applied = applied{known: true, revision: e.Revision, hash: e.Hash}
	return nil
}

// recall asks what was applied of the event's aggregate. Who begins in the middle knows nothing, and takes what
// comes first for the next.
func (s *source) recall(ctx context.Context, l *lane, e Event) error {
	if s.config.Positions == nil {
		return nil
	}
	revision, hash, err := s.config.Positions.Applied(ctx, s.service, e.Aggregate)
	if err == nil && (revision > 0 || s.config.Start == All) {
		l.applied = applied{known: true, revision: revision, hash: hash}
	}
	return err
}

// applied is what is known of an aggregate.
type applied struct {
	known    bool
	revision int64
	hash     string // empty when not known
}

type verdict int

const (
	next      verdict = iota
	duplicate         // applied before
	gap               // events before it are missing
	fork              // it belongs to another history
)

// judge compares an event with what was applied. Only who hears everything can tell a gap.
func (a applied) judge(e Event, everything bool) verdict {
	switch {
	case !a.known:
		return next
	case e.Revision < a.revision:
		return duplicate
	case e.Revision == a.revision:
		if a.hash != "" && a.hash != e.Hash {
			return fork
		}
		return duplicate
	case !everything:
		return next
	case e.Revision > a.revision+1:
		return gap
	case a.hash != "" && a.hash != e.PrevHash:
		return fork
	}
	return next
}
