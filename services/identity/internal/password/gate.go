package password

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
)

const (
	queue = 64              // callers that may wait
	wait  = 2 * time.Second // for that long
)

// ErrBusy says that more people want to sign in than the machine can hash for.
var ErrBusy = fault.New(errorv1.Reason_REASON_BUSY, "Many people are signing in. Try again in a moment.").WithRetry(wait)

// processors is how many this program may use.
var processors = runtime.GOMAXPROCS(0)

// MakeRoom lets Go run as much again beside the hashes as there may be. A hash does not make way by itself: with a hash on each of
// Go's processors whatever else runs waits 10 ms for one, each time that it has read from the network or the database, which adds up. The kernel
// knows better whose turn it is. (Threads of a lower priority would not do: the library starts a goroutine for each part of a hash.)
func MakeRoom() { runtime.GOMAXPROCS(2 * processors) }

// Gate keeps the number of hashes at work at that of the processors. More of them would each take longer, and 19 MiB
// more: a flood of sign-ins would take the whole service down with it.
type Gate struct {
	mu      sync.Mutex
	free    int       // turns; none while somebody waits
	waiting []*waiter // in the order of their turns
}

// waiter is somebody in the queue.
type waiter struct {
	tries float64
	turn  chan bool // whether it is theirs; false: their place is somebody else's
}

// NewGate returns a gate for this machine.
func NewGate() *Gate { return &Gate{free: processors} }

// Enter waits for its turn, and returns what gives the turn back. Of those who wait, whoever comes from where fewer tries were made is next,
// and has the place of somebody with more when the queue is full: a flood tries, and who comes from elsewhere gets past it. Otherwise it is first come
// first served. A caller keeps the turn until its hash has really ended, also when the client has left: the processor is busy for as long.
func (g *Gate) Enter(ctx context.Context, tries float64) (leave func(), err error) {
	w, err := g.join(tries)
	if err != nil {
		return nil, err
	}
	patience := time.NewTimer(wait)
	defer patience.Stop()
	select {
	case mine := <-w.turn:
		if mine {
			return g.leave, nil
		}
		return nil, ErrBusy
	case <-patience.C:
		err = ErrBusy
	case <-ctx.Done():
		err = ctx.Err()
	}
	g.give(w)
	return nil, err
}

// join takes a turn that is free, or else a place in the queue.
func (g *Gate) join(tries float64) (*waiter, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	w := &waiter{tries, make(chan bool, 1)}
	if g.free > 0 {
		g.free--
		w.turn <- true
		return w, nil
	}
	place := slices.IndexFunc(g.waiting, func(other *waiter) bool { return other.tries > tries })
	if place < 0 {
		place = len(g.waiting)
	}
	if len(g.waiting) == queue {
		if place == queue {
			return nil, ErrBusy
		}
		g.waiting[queue-1].turn <- false
		g.waiting = g.waiting[:queue-1]
	}
	g.waiting = slices.Insert(g.waiting, place, w)
	return w, nil
}

// give gives up the place of somebody in the queue, or the turn that has become theirs meanwhile.
func (g *Gate) give(w *waiter) {
	g.mu.Lock()
	place := slices.Index(g.waiting, w)
	if place >= 0 {
		g.waiting = slices.Delete(g.waiting, place, place+1)
	}
	g.mu.Unlock()
	if place < 0 && <-w.turn {
		g.leave()
	}
}

// leave passes a turn on.
func (g *Gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) == 0 {
		g.free++
		return
	}
	g.waiting[0].turn <- true
	g.waiting = slices.Delete(g.waiting, 0, 1)
}
