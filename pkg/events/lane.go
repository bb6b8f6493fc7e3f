package events

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// How long a lane waits before it tries again: twice as long each time.
const (
	firstPause = 200 * time.Millisecond
	lastPause  = 30 * time.Second
	tries      = 5 // of a handler with one event, before a durable consumer parks it
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
	pause, failures := firstPause, 0
	var away time.Time // since when the handler says Later
	for {
		d := s.first(l)
		err := s.pass(ctx, l, d)
		if ctx.Err() != nil && err != nil {
			return
		}
		if poison := (*refused)(nil); errors.As(err, &poison) && s.config.Name != "" {
			if failures++; failures == tries {
				if err = s.park(ctx, d, poison.error); err == nil {
					s.log.ErrorContext(ctx, "aggregate parked: its events wait in the dead letters", "aggregate", d.Aggregate,
						"event", d.ID, "type", d.Type, "revision", d.Revision, "error", poison.error)
				}
			}
			failures %= tries
		}
		if err == nil {
			d.msg.Ack() // when it gets lost, the event comes again and is known
			pause, failures, away = firstPause, 0, time.Time{}
			if s.remove(l, d) {
				return
			}
			continue
		}
		if _, gap := errors.AsType[*GapError](err); !gap || pause == firstPause {
			s.log.WarnContext(ctx, "event not handled, trying again", "event", d.ID, "type", d.Type, "aggregate", d.Aggregate,
				"revision", d.Revision, "pause", pause, "error", err)
		}
		if _, ok := errors.AsType[later](err); !ok {
			away = time.Time{}
		} else if away.IsZero() {
			away = time.Now()
		} else if s.config.Name != "" && time.Since(away) > awayTime {
			select {
			case s.stuck <- struct{}{}:
			default: // said already
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
			pause = min(2*pause, lastPause)
		case <-l.earlier:
			failures = 0 // of another event
		}
	}
}

// refused is an event that the handler did not take, though nothing else was in the way.
type refused struct{ error }

func (r *refused) Unwrap() error { return r.error }

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
	if (verdict == gap || verdict == fork) && s.config.OnGap == nil && s.config.Snapshot != nil {
		s.log.WarnContext(ctx, "taking a snapshot", "aggregate", e.Aggregate, "error", &GapError{e, l.Position, verdict == fork})
		if err := s.repair(ctx, l, e.Aggregate); err != nil {
			return err
		}
		verdict = l.judge(e, len(s.config.Types) == 0)
	}
	switch verdict {
	case duplicate:
		return nil
	case gap, fork:
		g := &GapError{Event: e, Applied: l.Position, Fork: verdict == fork}
		if s.config.OnGap == nil {
			return g
		}
		if err := s.config.OnGap(ctx, g); err != nil {
			return err
		}
	}
	return s.tell(ctx, l, e)
}

// tell calls the handler.
func (s *source) tell(ctx context.Context, l *lane, e Event) error {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := s.handle(ctx, e); err != nil && !errors.Is(err, ErrUnknownType) {
		if _, ok := errors.AsType[later](err); ok {
			return err
		}
		return &refused{err}
	}
	l.applied = applied{true, e.Position()}
	return nil
}

// recall asks what was applied of the event's aggregate. Who begins in the middle knows nothing, and takes what
// comes first for the next; after a snapshot, of an aggregate without a stamp nothing had happened.
func (s *source) recall(ctx context.Context, l *lane, e Event) error {
	if s.config.Positions == nil {
		l.known = l.known || s.config.Snapshot != nil
		return nil
	}
	at, err := s.config.Positions.Applied(ctx, s.service, e.Aggregate)
	if err == nil && (at.Revision > 0 || s.config.Start == All || s.config.Snapshot != nil) {
		l.applied = applied{true, at}
	}
	return err
}

// repair takes a snapshot of one aggregate.
func (s *source) repair(ctx context.Context, l *lane, aggregate string) error {
	found := applied{known: true} // without a stamp: there is none
	err := s.config.Snapshot(ctx, s.service, aggregate, func(stamped string, at Position) {
		if stamped == aggregate {
			found.Position = at
		}
	})
	if err != nil {
		return fmt.Errorf("snapshot of %s: %w", aggregate, err)
	}
	l.applied = found
	return nil
}

// applied is what is known of an aggregate.
type applied struct {
	known bool
	Position
}

type verdict int

const (
	next      verdict = iota
	duplicate         // applied before, or of a history that was left behind
	gap               // events before it are missing
	fork              // it belongs to another history than what was applied
)

// judge compares an event with what was applied. Only who hears everything can tell a gap. Within a history epochs
// never fall, so a lower one is of a history that has ended, and a higher one at a revision that was applied shows
// that what was applied is.
func (a applied) judge(e Event, everything bool) verdict {
	rewritten := a.Epoch > 0 && e.Epoch > a.Epoch
	switch {
	case !a.known:
		return next
	case e.Epoch < a.Epoch:
		return duplicate
	case e.Revision <= a.Revision && rewritten, e.Revision == a.Revision && a.Hash != "" && a.Hash != e.Hash:
		return fork
	case e.Revision <= a.Revision:
		return duplicate
	case e.Revision == a.Revision+1 && a.Hash != "" && a.Hash != e.PrevHash:
		return fork
	case everything && e.Revision > a.Revision+1:
		return gap
	}
	return next
}
