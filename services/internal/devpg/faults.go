package devpg

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Crash ends the server at once, as `pg_ctl stop -m immediate` does: nobody is told, nothing is written. Restart recovers
// from the log.
func (c *Cluster) Crash() error {
	if err := c.server.cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		return fmt.Errorf("crash PostgreSQL in %s: %w", c.dir, err)
	}
	<-c.server.done
	c.server.err = nil // how it ended is what was asked for
	return nil
}

// Restart starts a cluster again that was stopped, crashed or ended by itself: same data, same addresses. One that runs is
// stopped first.
func (c *Cluster) Restart(ctx context.Context) error {
	err := c.Stop()
	select {
	case <-c.server.done: // how it ended matters no more: it recovers
	default:
		return err
	}
	if err := c.launch(ctx); err != nil {
		return fmt.Errorf("restart PostgreSQL in %s: %w", c.dir, err)
	}
	return nil
}

// Pause stops every process of the cluster where it is, as a machine does that hangs: connections stay open and nobody
// answers. Resume lets it go on. They know processes as Linux shows them.
func (c *Cluster) Pause() error { return c.signal(syscall.SIGSTOP) }

// Resume undoes Pause.
func (c *Cluster) Resume() error { return c.signal(syscall.SIGCONT) }

// signal tells the server, which then starts no more processes when it is stopped, and all that it has started.
func (c *Cluster) signal(s syscall.Signal) error {
	if err := c.server.cmd.Process.Signal(s); err != nil {
		return err
	}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return err
	}
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		// The name, in parentheses, may hold anything; state and parent follow it.
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if len(fields) < 2 || fields[1] != strconv.Itoa(c.server.pid()) {
			continue
		}
		if err := syscall.Kill(pid, s); err != nil && err != syscall.ESRCH {
			return err
		}
	}
	return nil
}
