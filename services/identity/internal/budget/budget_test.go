package budget

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
)

func TestBudget(t *testing.T) {
	t.Parallel()
	begin := time.Unix(1_800_000_000, 0)
	made := func(most int) (*Budget, *time.Time) {
		now := begin
		return New(most, func() time.Time { return now }), &now
	}
	spent := func(t *testing.T, b *Budget, who string) time.Duration {
		t.Helper()
		_, err := b.Take(who)
		require.Equal(t, errorv1.Reason_REASON_RATE_LIMITED, fault.ReasonOf(err))
		return fault.From(err).Retry
	}

	t.Run("R61 SoManyAndThenOneAfterTheOther", func(t *testing.T) {
		t.Parallel()
		b, now := made(90)
		for range 90 {
			_, err := b.Take("a")
			require.NoError(t, err)
		}
		require.Equal(t, 10*time.Second, spent(t, b, "a"))
		*now = now.Add(9 * time.Second)
		require.Equal(t, time.Second, spent(t, b, "a"))
		*now = now.Add(time.Second)
		_, err := b.Take("a")
		require.NoError(t, err)
		spent(t, b, "a")
		_, err = b.Take("b")
		require.NoError(t, err, "others have their own")
	})
	t.Run("R61 WhatSucceedsIsGivenBackOnce", func(t *testing.T) {
		t.Parallel()
		b, _ := made(2)
		_, err := b.Take("a")
		require.NoError(t, err)
		for range 10 {
			back, err := b.Take("a")
			require.NoError(t, err)
			back()
			back()
		}
		_, err = b.Take("a")
		require.NoError(t, err)
		spent(t, b, "a")
	})
	t.Run("R61 WhatAnotherCallHasTakenIsGivenBackAndNoMore", func(t *testing.T) {
		t.Parallel()
		b, _ := made(1)
		b.GiveBack("a")
		require.Empty(t, b.spends, "of whom nothing is known, nothing is remembered")
		for range 3 {
			_, err := b.Take("a")
			require.NoError(t, err)
			spent(t, b, "a")
			b.GiveBack("a")
			b.GiveBack("a")
		}
	})
	t.Run("WithoutALimitThereIsNone", func(t *testing.T) {
		t.Parallel()
		b, _ := made(0)
		for range 1000 {
			_, err := b.Take("a")
			require.NoError(t, err)
		}
		limited, _ := made(1)
		for range 3 {
			_, err := limited.Take("")
			require.NoError(t, err, "nobody in particular")
		}
	})
	t.Run("R61 ItRemembersSoManyAndNoMore", func(t *testing.T) {
		t.Parallel()
		b, now := made(1)
		for i := range maxClients + 1 {
			_, err := b.Take(fmt.Sprint(i))
			require.NoError(t, err)
		}
		require.LessOrEqual(t, len(b.spends), maxClients)
		*now = now.Add(period)
		for i := range maxClients {
			_, err := b.Take("late" + fmt.Sprint(i))
			require.NoError(t, err)
		}
		require.LessOrEqual(t, len(b.spends), maxClients)
	})
}
