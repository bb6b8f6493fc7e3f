package seat_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/billing/internal/seat"
)

func limit(n int32) *int32 { return &n }

func TestUsage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		usage     seat.Usage
		state     seat.UsageState
		available *int32
	}{
		"NobodyHasHeardOfIt":           {seat.Usage{}, seat.Unlimited, nil},
		"WithoutALimit":                {seat.Usage{Occupied: 500}, seat.Unlimited, nil},
		"T01_FortyFourAndOneOfHundred": {seat.Usage{Occupied: 44, Reserved: 1, Cap: limit(100)}, seat.OK, limit(55)},
		"JustBelowFourFifths":          {seat.Usage{Occupied: 79, Cap: limit(100)}, seat.OK, limit(21)},
		"FourFifths":                   {seat.Usage{Occupied: 79, Reserved: 1, Cap: limit(100)}, seat.Near, limit(20)},
		"FourOfFive":                   {seat.Usage{Occupied: 4, Cap: limit(5)}, seat.Near, limit(1)},
		"TwoOfFour":                    {seat.Usage{Occupied: 2, Cap: limit(4)}, seat.OK, limit(2)},
		"OneLeftOfThree":               {seat.Usage{Occupied: 2, Cap: limit(3)}, seat.Near, limit(1)},
		"NoneOfOne":                    {seat.Usage{Cap: limit(1)}, seat.Near, limit(1)},
		"OneOfOne":                     {seat.Usage{Reserved: 1, Cap: limit(1)}, seat.At, limit(0)},
		"All":                          {seat.Usage{Occupied: 90, Reserved: 10, Cap: limit(100)}, seat.At, limit(0)},
		"MoreThanAll":                  {seat.Usage{Occupied: 120, Cap: limit(100)}, seat.Over, limit(0)},
		"LargeNumbersDoNotOverflow":    {seat.Usage{Occupied: math.MaxInt32 - 1, Cap: limit(math.MaxInt32)}, seat.Near, limit(1)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.state, c.usage.State())
			require.Equal(t, c.available, c.usage.Available())
			require.True(t, c.usage.Cap != nil || c.usage.Admits(math.MaxInt32))
			if left := c.usage.Available(); left != nil {
				require.Equal(t, *left > 0, c.usage.Admits(1))
				require.False(t, c.usage.Admits(int(*left)+1))
			}
		})
	}
}

func TestSetCap(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before, after *int32
		changed       bool
		err           error
	}{
		"Lowers":        {limit(5), limit(3), true, nil},
		"Lifts":         {limit(5), nil, true, nil},
		"SetsTheFirst":  {nil, limit(1), true, nil},
		"Keeps":         {limit(5), limit(5), false, nil},
		"KeepsNone":     {nil, nil, false, nil},
		"IsNeverZero":   {limit(5), limit(0), false, seat.ErrLimit},
		"IsNotNegative": {nil, limit(-1), false, seat.ErrLimit},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			usage := seat.Usage{Occupied: 4, Cap: c.before}
			changed, err := usage.SetCap(c.after)
			require.ErrorIs(t, err, c.err)
			require.Equal(t, c.changed, changed)
			if err == nil {
				require.Equal(t, seat.Usage{Occupied: 4, Cap: c.after}, usage)
			}
		})
	}
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	require.Equal(t, seat.Denied, seat.Answer(seat.Occupied, seat.Released, seat.Denied))
	require.Equal(t, seat.Released, seat.Answer(seat.Reserved, seat.Released))
	require.Equal(t, seat.Reserved, seat.Answer(seat.Occupied, seat.Reserved))
	require.Equal(t, seat.Occupied, seat.Answer(seat.Occupied))
	require.Equal(t, seat.Unknown, seat.Answer())
}
