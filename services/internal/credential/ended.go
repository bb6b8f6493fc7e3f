package credential

import (
	"context"
	"sync"
	"time"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// silence is how long what was remembered is believed without a word from identity. With what a beat takes to arrive, a
// session or a key that ended is refused within five seconds, whatever is cut off from whatever.
const silence = 4 * time.Second

// errSilent ends a stream of which nobody can tell any more whether its session goes on.
var errSilent = fault.New(errorv1.Reason_REASON_UNAVAILABLE, "Whether you are still signed in cannot be told at the moment. Try again.")

// Ended is what a process has heard of sessions and keys that ended, and since when it has missed nothing. Identity tells of each
// end, and beats: all that had ended before a beat was told before it.
type Ended struct {
	now func() time.Time

	mu      sync.Mutex
	latest  map[id.Any]struct{} // ended since turned
	earlier map[id.Any]struct{} // and in the time before, in which tokens of theirs may have been made
	turned  time.Time
	since   time.Time // of what ended since then, all is known
	heard   time.Time // the latest beat
	streams map[id.Any]map[chan struct{}]struct{}
}

func newEnded(now func() time.Time) *Ended {
	return &Ended{now: now, latest: make(map[id.Any]struct{}), streams: make(map[id.Any]map[chan struct{}]struct{})}
}

// End notes that a session or a key has ended: its tokens are refused, and its streams are cut.
func (e *Ended) End(credential id.Any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if now := e.now(); now.Sub(e.turned) > Lifetime+2*leeway { // the tokens of those before are all too old by now
		e.turned, e.earlier, e.latest = now, e.latest, make(map[id.Any]struct{})
	}
	e.latest[credential] = struct{}{}
	for stream := range e.streams[credential] {
		close(stream)
	}
	delete(e.streams, credential)
}

// Beat notes that all ends up to now have been told, unless missed: something may have been lost since the last beat.
func (e *Ended) Beat(missed bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	if missed || e.since.IsZero() || now.Sub(e.heard) > silence {
		e.since = now
	}
	e.heard = now
}

// has tells whether a session or a key is known to have ended.
func (e *Ended) has(credential id.Any) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, latest := e.latest[credential]
	_, earlier := e.earlier[credential]
	return latest || earlier
}

// covers tells whether the end of what was live at a time would be known.
func (e *Ended) covers(live time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	return now.Sub(live) < silence || !e.since.IsZero() && live.After(e.since) && now.Sub(e.heard) < silence
}

// Follow returns a context that ends with the session or the key, or when nobody can tell any more; its cause is the fault to answer. It
// is for what lasts longer than a call.
func (e *Ended) Follow(ctx context.Context, credential id.Any) (context.Context, context.CancelFunc) {
	ctx, cut := context.WithCancelCause(ctx)
	ended, begin := make(chan struct{}), e.now()
	e.mu.Lock()
	_, latest := e.latest[credential]
	_, earlier := e.earlier[credential]
	if latest || earlier {
		close(ended)
	} else {
		if e.streams[credential] == nil {
			e.streams[credential] = make(map[chan struct{}]struct{})
		}
		e.streams[credential][ended] = struct{}{}
	}
	e.mu.Unlock()
	go func() {
		defer e.leave(credential, ended)
		look := time.NewTicker(silence / 8)
		defer look.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ended:
				cut(errRefused)
				return
			case <-look.C:
				if !e.covers(begin) {
					cut(errSilent)
					return
				}
			}
		}
	}()
	return ctx, func() { cut(nil) }
}

func (e *Ended) leave(credential id.Any, stream chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if delete(e.streams[credential], stream); len(e.streams[credential]) == 0 {
		delete(e.streams, credential)
	}
}
