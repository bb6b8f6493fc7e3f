package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/internal/fleet"
)

// Short floods: what needs no password goes on beside them, and memory is bounded.
func TestFlood(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "roster-bench-*")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o711)) // PostgreSQL's user has to pass through
	suite, err := fleet.Start(t.Context(), fleet.Config{Dir: dir, Env: floodEnv})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, suite.Stop()) })

	measure := func(t *testing.T, networks int) flooded {
		m, err := flood{dur: 3 * time.Second, parallel: 500, networks: networks, callers: 4}.measure(t.Context(), suite)
		require.NoError(t, err)
		var said strings.Builder
		m.print(&said)
		t.Log("\n" + said.String())
		for _, name := range []string{nowhere, resolved, checkSession, checkAccess} {
			require.NotZero(t, m.idle[name].calls, name)
			require.NotZero(t, m.under[name].calls, name)
		}
		require.Less(t, m.peakRSS["identity-1"]-m.idleRSS["identity-1"], 256, "MiB")
		for reason := range m.answers {
			require.Contains(t, []string{"BUSY", "CREDENTIALS_INVALID", "RATE_LIMITED"}, reason)
		}
		return m
	}
	t.Run("R7 a flood from one network spends its budget and the others get in", func(t *testing.T) { // not parallel: one flood at a time
		m := measure(t, 1)
		require.NotZero(t, m.answers["RATE_LIMITED"])
		require.NotZero(t, m.honest)
	})
	t.Run("R7 a flood from many is refused at the gate and what needs no password goes on", func(t *testing.T) { // not parallel: one flood at a time
		require.NotZero(t, measure(t, 500).answers["BUSY"])
	})
}
