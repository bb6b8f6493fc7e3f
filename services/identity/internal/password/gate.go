package password

import (
	"context"
	"runtime"
	"sync/atomic"
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

// Gate keeps the number of hashes at work at that of the processors. More of them would each take longer, and 19 MiB
// more: a flood of sign-ins would take the whole service down with it.
type Gate struct {
	permits chan struct{}
	waiting atomic.Int32
}

// NewGate returns a gate for this machine.
func NewGate() *Gate { return &Gate{permits: make(chan struct{}, runtime.GOMAXPROCS(0))} }

// Enter waits for its turn, first come first served, and returns what gives the turn back. A caller keeps it until
// its hash has really ended, also when the client has left: the processor is busy for as long.
func (g *Gate) Enter(ctx context.Context) (leave func(), err error) {
	select {
	case g.permits <- struct{}{}:
		return g.leave, nil
	default:
	}
	if g.waiting.Add(1) > queue {
		g.waiting.Add(-1)
		return nil, ErrBusy
	}
	defer g.waiting.Add(-1)
	patience := time.NewTimer(wait)
	defer patience.Stop()
	select {
	case g.permits <- struct{}{}:
		return g.leave, nil
	case <-patience.C:
		return nil, ErrBusy
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (g *Gate) leave() { <-g.permits }
