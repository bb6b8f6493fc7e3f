package identity

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/identity/internal/budget"
	"github.com/rosterhq/roster/services/identity/internal/password"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
)

// The turns of people and of floods, without what they are for.
func TestTurns(t *testing.T) {
	t.Parallel()
	newService := func() *Service {
		return &Service{hashes: password.NewGate(), attempts: budget.New(100, time.Now), strangers: budget.New(100, time.Now), pace: budget.NewPace(time.Now)}
	}
	from := func(t *testing.T, address string) context.Context {
		return caller.With(t.Context(), caller.Caller{Address: address})
	}

	t.Run("R7 WhoHasJustComeIsBeforeWhoAsksAgainAndAgain", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := newService()
			var flood sync.WaitGroup
			defer flood.Wait()
			for i := range 500 { // networks, none of which has failed yet
				address := fmt.Sprintf("10.%d.%d.1", i/250, i%250)
				flood.Go(func() {
					for begin := time.Now(); time.Since(begin) < 10*time.Second; {
						if leave, err := s.turn(from(t, address)); err == nil {
							time.Sleep(100 * time.Millisecond) // a hash
							leave()
						}
					}
				})
			}
			time.Sleep(5 * time.Second)
			for _, address := range []string{"192.0.2.1", "192.0.2.2", "2001:db8::1"} {
				begin := time.Now()
				leave, err := s.turn(from(t, address))
				if !assert.NoError(t, err) {
					break
				}
				assert.LessOrEqual(t, time.Since(begin), 100*time.Millisecond, "one hash ends")
				leave()
			}
		})
	})
	t.Run("R7 WhoHasNoTriesLeftIsHeldBackWithoutAHash", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := newService()
			s.attempts = budget.New(1, time.Now)
			_, err := s.attempts.Take("192.0.2.1/32")
			require.NoError(t, err)
			begin, refusals := time.Now(), 0
			for ; time.Since(begin) < 10*time.Second && refusals < 100; refusals++ {
				_, err := s.checkPassword(from(t, "192.0.2.1"), "", store.Identifier{}, "wrong")
				requireReason(t, rateLimited, err)
			}
			require.LessOrEqual(t, refusals, 14, "one a second, and the first ones")
		})
	})
}
