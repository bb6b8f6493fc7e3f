// Package testkit gives tests the machinery they run against: a real PostgreSQL and a real
// JetStream, started by the tests themselves. Code that ships never imports it.
package testkit

import (
	"fmt"
	"os"
	"testing"
)

// Main runs the tests of a package and then stops what they share. Call it from TestMain:
//
//	func TestMain(m *testing.M) { testkit.Main(m) }
//
// Without it PostgreSQL still ends with the test binary, but its files stay until a later test run
// sweeps them.
func Main(m *testing.M) {
	code := m.Run()
	if err := stopCluster(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}
