package budget

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPace(t *testing.T) {
	t.Parallel()
	// refused is how long a client waits for its refusal.
	refused := func(ctx context.Context, p *Pace, who string) time.Duration {
		begin := time.Now()
		p.HoldBack(ctx, p.Ask(who))
		return time.Since(begin)
	}

	t.Run("R7 WhoAsksAgainAtOnceWaitsForTheRefusal", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			p := NewPace(time.Now)
			for range often {
				require.Zero(t, refused(t.Context(), p, "a"))
			}
			require.Equal(t, pause, refused(t.Context(), p, "a"))
			require.Zero(t, refused(t.Context(), p, "b"), "others hear it at once")
			time.Sleep(period)
			require.Zero(t, refused(t.Context(), p, "a"), "nor does who comes back later")
		})
	})
	t.Run("R7 WhoHasLeftDoesNotWait", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			p := NewPace(time.Now)
			ctx, leave := context.WithTimeout(t.Context(), pause/2)
			defer leave()
			begin := time.Now()
			p.HoldBack(ctx, often)
			require.Equal(t, pause/2, time.Since(begin))
			require.Empty(t, p.held)
		})
	})
	t.Run("R7 SoManyWaitAtOnceAndTheOthersDoNot", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			p := NewPace(time.Now)
			for range paused {
				go p.HoldBack(t.Context(), often)
			}
			synctest.Wait()
			require.Len(t, p.held, paused)
			begin := time.Now()
			p.HoldBack(t.Context(), often)
			require.Zero(t, time.Since(begin))
			time.Sleep(pause)
			synctest.Wait()
			require.Empty(t, p.held)
		})
	})
}
