package session

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLive(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		used, expires time.Duration
		live          bool
	}{
		"R41 UsedLately":    {used: -time.Hour, expires: time.Hour, live: true},
		"R41 JustNotIdle":   {used: -Idle + time.Second, expires: time.Hour, live: true},
		"R41 Idle":          {used: -Idle, expires: time.Hour},
		"R41 JustNotTooOld": {used: 0, expires: time.Second, live: true},
		"R41 TooOld":        {used: 0, expires: 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := Session{LastUseTime: now.Add(c.used), ExpireTime: now.Add(c.expires)}
			require.Equal(t, c.live, s.Live(now))
		})
	}
}

func TestLabel(t *testing.T) {
	t.Parallel()
	require.Equal(t, "curl/8.5 (x)", Label("curl/8.5 (x)"))
	require.Equal(t, "a[31mb", Label("a\x1b[31m\r\nb\xff"))
	require.LessOrEqual(t, len(Label(strings.Repeat("é", 1000))), 512)
}
