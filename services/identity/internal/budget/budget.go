// Package budget limits how often something may be tried: so many times at once, and as many again in every quarter of an hour,
// evenly. It lives in one process and forgets with it; what an account must not forget is counted in its rows.
package budget

import (
	"sync"
	"time"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
)

const (
	period     = 15 * time.Minute
	maxClients = 100_000 // whom it remembers at once
)

// Budget is how many tries each of many clients has left.
type Budget struct {
	most int // 0: any number
	now  func() time.Time

	mu     sync.Mutex
	spends map[string]spend
}

// spend is what a client had spent at a time. It gets less by itself.
type spend struct {
	tries float64
	at    time.Time
}

// New returns a budget of so many tries in a quarter of an hour for each; 0: any number.
func New(most int, now func() time.Time) *Budget {
	return &Budget{most: most, now: now, spends: make(map[string]spend)}
}

// Take takes one try of a client's, and returns what gives it back: only what is in vain is to count. Where none is left it says when
// there is one. Who is nobody in particular has as many as they like.
func (b *Budget) Take(who string) (back func(), err error) {
	if b.most == 0 || who == "" {
		return func() {}, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	tries := b.left(who, now)
	if tries+1 > float64(b.most) {
		wait := time.Duration((tries + 1 - float64(b.most)) / float64(b.most) * float64(period))
		return nil, fault.New(errorv1.Reason_REASON_RATE_LIMITED, "There was too much of this from your network. Wait before the next try.").
			WithRetry(max(wait, time.Second))
	}
	if len(b.spends) >= maxClients {
		b.makeRoom(now)
	}
	b.spends[who] = spend{tries + 1, now}
	return sync.OnceFunc(func() { b.GiveBack(who) }), nil
}

// GiveBack gives a try of a client's back. Whoever has taken it may have been another call.
func (b *Budget) GiveBack(who string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, spent := b.spends[who]; spent {
		now := b.now()
		b.spends[who] = spend{max(b.left(who, now)-1, 0), now}
	}
}

// Spent is how many tries of a client's count by now.
func (b *Budget) Spent(who string) float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.left(who, b.now())
}

// left is what remains of what a client has spent.
func (b *Budget) left(who string, now time.Time) float64 {
	s := b.spends[who]
	return max(s.tries-float64(b.most)*now.Sub(s.at).Seconds()/period.Seconds(), 0)
}

// makeRoom forgets who has spent nothing that counts any more and, when that is little, whoever comes first: enough to be rarely called.
func (b *Budget) makeRoom(now time.Time) {
	for who := range b.spends {
		if b.left(who, now) == 0 {
			delete(b.spends, who)
		}
	}
	for who := range b.spends {
		if len(b.spends) <= maxClients*9/10 {
			return
		}
		delete(b.spends, who)
	}
}
