package testkit

import (
	"testing"

	"github.com/rosterhq/roster/services/internal/devnats"
)

// NATS returns a JetStream server of this test's own, stopped when the test ends. It is reached by
// its Connect only, so tests need no ports.
func NATS(t testing.TB) *devnats.Server {
	t.Helper()
	s, err := devnats.Start(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}
