package failpoint_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/internal/failpoint"
)

func TestPoints(t *testing.T) {
	t.Parallel()
	shipped, armed := build(t), build(t, "-tags", "failpoints")
	step := failpoint.Place{Point: "victim.step", About: "one"}

	t.Run("WhereAProcessWasIsNoted", func(t *testing.T) {
		t.Parallel()
		folder := failpoint.Folder(t.TempDir())
		require.Equal(t, "one two one two", run(t, armed, folder, nil))
		reached, err := folder.Reached("victim")
		require.NoError(t, err)
		require.Equal(t, []failpoint.Place{{Point: "victim.begun"}, step, {Point: "victim.step", About: "two"}, step,
			{Point: "victim.step", About: "two"}}, reached)

		require.NoError(t, folder.Forget("victim"))
		reached, err = folder.Reached("victim")
		require.NoError(t, err)
		require.Empty(t, reached)
		require.NoError(t, folder.Forget("victim"), "there is nothing to forget")
	})

	t.Run("ItDiesWhereItIsTold", func(t *testing.T) {
		t.Parallel()
		folder := failpoint.Folder(t.TempDir())
		require.NoError(t, folder.Arm("victim", step, 2, 1))
		require.Equal(t, "one two", run(t, armed, folder, killed), "the second time, before the step")
		require.Equal(t, "one two one two", run(t, armed, folder, nil), "once")
		left, err := folder.Disarm("victim")
		require.NoError(t, err)
		require.Zero(t, left)
	})

	t.Run("ItDiesAsOftenAsItIsTold", func(t *testing.T) {
		t.Parallel()
		folder := failpoint.Folder(t.TempDir())
		require.NoError(t, folder.Arm("victim", failpoint.Place{Point: "victim.begun"}, 1, 3))
		require.Empty(t, run(t, armed, folder, killed))
		require.Empty(t, run(t, armed, folder, killed))
		left, err := folder.Disarm("victim")
		require.NoError(t, err)
		require.Equal(t, 1, left)
		require.Equal(t, "one two one two", run(t, armed, folder, nil))
	})

	t.Run("AnotherRoleLives", func(t *testing.T) {
		t.Parallel()
		folder := failpoint.Folder(t.TempDir())
		require.NoError(t, folder.Arm("billing", step, 1, 1))
		require.Equal(t, "one two one two", run(t, armed, folder, nil))
	})

	t.Run("WhatCannotBeReadIsNoReasonToLive", func(t *testing.T) {
		t.Parallel()
		folder := failpoint.Folder(t.TempDir())
		require.NoError(t, os.WriteFile(filepath.Join(string(folder), "victim.armed"), []byte("nonsense\n"), 0o600))
		require.Empty(t, run(t, armed, folder, func(t *testing.T, exit *exec.ExitError) { require.Equal(t, 2, exit.ExitCode()) }))
	})

	t.Run("WhatShipsHasNone", func(t *testing.T) {
		t.Parallel()
		folder := failpoint.Folder(t.TempDir())
		require.NoError(t, folder.Arm("victim", step, 1, 1))
		require.Equal(t, "one two one two", run(t, shipped, folder, nil))
		reached, err := folder.Reached("victim")
		require.NoError(t, err)
		require.Empty(t, reached)
		binary, err := os.ReadFile(shipped)
		require.NoError(t, err)
		require.False(t, bytes.Contains(binary, []byte("ROSTER_FAILPOINTS")))
	})

	t.Run("NoTwoHaveOneName", func(t *testing.T) {
		t.Parallel()
		failpoint.New("test.once")
		require.Contains(t, failpoint.All(), "test.once")
		require.Panics(t, func() { failpoint.New("test.once") })
	})
}

// build builds the victim.
func build(t *testing.T, flags ...string) (binary string) {
	t.Helper()
	binary = filepath.Join(t.TempDir(), "victim")
	said, err := exec.CommandContext(t.Context(), "go", append(append([]string{"build"}, flags...), "-o", binary, "./testdata/victim")...).CombinedOutput()
	require.NoError(t, err, "%s", said)
	return binary
}

func killed(t *testing.T, exit *exec.ExitError) {
	t.Helper()
	require.Equal(t, syscall.SIGKILL, exit.Sys().(syscall.WaitStatus).Signal())
}

// run runs the victim, and returns what it said.
func run(t *testing.T, binary string, folder failpoint.Folder, died func(*testing.T, *exec.ExitError)) string {
	t.Helper()
	victim := exec.CommandContext(t.Context(), binary, "victim")
	victim.Env = []string{"ROSTER_FAILPOINTS=" + string(folder)}
	said, err := victim.Output()
	if died == nil {
		require.NoError(t, err)
	} else {
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit)
		died(t, exit)
	}
	return strings.Join(strings.Fields(string(said)), " ")
}
