package apikey_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/identity/internal/apikey"
)

func TestExpiry(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, c := range map[string]struct {
		wanted, expires time.Time
	}{
		"R53 NinetyDaysUnlessSaidOtherwise": {time.Time{}, now.Add(90 * 24 * time.Hour)},
		"AsWanted":                          {now.Add(time.Hour), now.Add(time.Hour)},
		"AYear":                             {now.Add(apikey.Longest), now.Add(apikey.Longest)},
		"R53 NotLonger":                     {now.Add(apikey.Longest + time.Second), time.Time{}},
		"NotOverAlready":                    {now, time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			expires, err := apikey.Expiry(c.wanted, now)
			if c.expires.IsZero() {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.expires, expires)
		})
	}
}
