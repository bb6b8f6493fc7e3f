package budget

import (
	"context"
	"time"
)

const (
	unhurried = 90          // in a period: how often a client may ask, and nothing is counted
	often     = 3           // refusals of a client at once that are not held back
	pause     = time.Second // for which the others are
	paused    = 512         // that are held back at once
)

// Pace slows down clients that ask again as soon as they are refused. Refusing costs little, but hundreds of clients that do nothing else take the
// processors from everybody.
type Pace struct {
	asks *Budget
	held chan struct{}
}

// NewPace returns a pace at which each client may ask once in ten seconds.
func NewPace(now func() time.Time) *Pace {
	return &Pace{asks: New(unhurried, now), held: make(chan struct{}, paused)}
}

// Ask counts that a client asks, and returns how many times too often they have by now.
func (p *Pace) Ask(who string) (before float64) {
	before = p.asks.Spent(who)
	_, _ = p.asks.Take(who) // none left: it cannot be more often
	return before
}

// HoldBack waits for a moment before a client hears that they are refused who had asked too often, unless so many wait already, who take up
// connections, that it would do harm.
func (p *Pace) HoldBack(ctx context.Context, before float64) {
	if before < often {
		return
	}
	select {
	case p.held <- struct{}{}:
	default:
		return
	}
	defer func() { <-p.held }()
	moment := time.NewTimer(pause)
	defer moment.Stop()
	select {
	case <-moment.C:
	case <-ctx.Done():
	}
}
