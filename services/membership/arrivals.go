package membership

import (
	"sync"

	"github.com/rosterhq/roster/services/internal/id"
)

// arrivals tells lists that wait for a token that events of their organization were applied, in this process. What another
// replica applied is found by looking again.
type arrivals struct {
	mu      sync.Mutex
	waiting map[id.Organization]map[chan struct{}]struct{}
}

// wait returns a channel on which something comes at every arrival, until stop is called. Whoever waits looks after that.
func (a *arrivals) wait(key id.Organization) (arrived <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.waiting == nil {
		a.waiting = make(map[id.Organization]map[chan struct{}]struct{})
	}
	if a.waiting[key] == nil {
		a.waiting[key] = make(map[chan struct{}]struct{})
	}
	a.waiting[key][c] = struct{}{}
	return c, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.waiting[key], c)
		if len(a.waiting[key]) == 0 {
			delete(a.waiting, key)
		}
	}
}

// announce wakes whoever waits for the organization.
func (a *arrivals) announce(key id.Organization) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for c := range a.waiting[key] {
		select {
		case c <- struct{}{}:
		default: // has not looked since the last one
		}
	}
}
