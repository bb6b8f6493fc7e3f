package membership

import (
	"context"
	"sync"
	"time"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// activity remembers in memory who has used which organization, so that it is written down once an hour and not with every
// call. What a process has not written when it dies is lost, and noted again at the next use.
type activity struct {
	mu      sync.Mutex
	hour    time.Time
	noted   map[use]struct{} // in this hour
	waiting map[id.Organization][]id.Account
}

type use struct {
	organization id.Organization
	account      id.Account
}

// mostNoted bounds the memory. Beyond it some are noted again within the hour, which costs a look at their rows.
const mostNoted = 100_000

// note remembers that a member has used the organization. For whoever does not belong to it nothing is written.
func (a *activity) note(key id.Organization, account id.Account) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := use{key, account}
	if _, noted := a.noted[now]; noted {
		return
	}
	if a.noted == nil || len(a.noted) >= mostNoted {
		a.noted = make(map[use]struct{})
	}
	if a.waiting == nil {
		a.waiting = make(map[id.Organization][]id.Account)
	}
	a.noted[now] = struct{}{}
	a.waiting[key] = append(a.waiting[key], account)
}

// take returns what is to be written, and begins anew with every hour.
func (a *activity) take(at time.Time) map[id.Organization][]id.Account {
	a.mu.Lock()
	defer a.mu.Unlock()
	if hour := at.Truncate(time.Hour); hour != a.hour {
		a.hour, a.noted = hour, nil
	}
	waiting := a.waiting
	a.waiting = nil
	return waiting
}

// forget makes those be noted again who could not be written.
func (a *activity) forget(key id.Organization, accounts []id.Account) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, account := range accounts {
		delete(a.noted, use{key, account})
	}
}

// How often who was active is written down, and how long a process takes for it when it ends.
const (
	activityPause = 10 * time.Second
	lastActivity  = 2 * time.Second
)

// WatchActivity writes down who was active until ctx ends, and then once more.
func (s *Service) WatchActivity(ctx context.Context) error {
	tick := time.NewTicker(activityPause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastActivity)
			defer cancel()
			s.WriteActivity(ctx, time.Now())
			return nil
		case at := <-tick.C:
			s.WriteActivity(ctx, at)
		}
	}
}

// WriteActivity writes down who was active since the last time.
func (s *Service) WriteActivity(ctx context.Context, at time.Time) {
	for key, accounts := range s.activity.take(at) {
		err := s.inTx(ctx, key, func(q store.Queries) error {
			q.SaveActivity(key, accounts)
			return nil
		})
		if err != nil {
			s.activity.forget(key, accounts)
			s.Log.WarnContext(ctx, "who was active is written later", "organization", key.String(), "members", len(accounts), "error", err)
		}
	}
}
