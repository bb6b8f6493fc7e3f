package main

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/internal/fleet"
)

// What is printed for checking the data is run as it stands.
func TestDataCanBeChecked(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "roster-processes-*")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o711)) // PostgreSQL's user has to pass through
	ctx, stop := context.WithCancel(t.Context())
	said, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, fleet.Config{Dir: dir}, "127.0.0.1:0", out)
		out.Close()
		ended <- err
	}()
	lines, verify := bufio.NewScanner(said), ""
	for verify == "" && lines.Scan() {
		if strings.Contains(lines.Text(), " verify ") {
			verify = lines.Text()
		}
	}
	go io.Copy(io.Discard, said)
	if verify != "" {
		report, err := exec.CommandContext(ctx, "sh", "-c", verify+" --settled --wait 30s").CombinedOutput()
		require.NoError(t, err, "%s", report)
		require.Contains(t, string(report), "Everything holds: 0 organizations")
	}
	stop()
	require.NoError(t, <-ended)
	require.NotEmpty(t, verify)
}
