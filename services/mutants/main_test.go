package main

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Code moves on; a mutant that does not apply any more proves nothing.
func TestEveryMutantApplies(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.patch")
	require.NoError(t, err)
	require.Len(t, files, mutants)
	for _, file := range files {
		_, err := read(file)
		require.NoError(t, err)
		apply := exec.Command("git", "apply", "--check", "services/mutants/"+file)
		apply.Dir = "../.."
		said, err := apply.CombinedOutput()
		require.NoError(t, err, "%s: %s", file, said)
	}
}

func TestFailuresAreOfTestsAndNotOfTheirParents(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"TestSeats/T02", "TestAlone"}, failures([]byte(`{"Action":"run","Test":"TestSeats"}
{"Action":"fail","Test":"TestSeats/T02"}
{"Action":"fail","Test":"TestSeats"}
{"Action":"pass","Test":"TestOther"}
{"Action":"fail","Test":"TestAlone"}
{"Action":"fail","Package":"p"}
no json
`)))
}
