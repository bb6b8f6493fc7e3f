package devpg

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"
)

// Standby makes a synchronous standby of the primary, which must have a password, in dir: from then on the primary's
// commits wait until the standby has them too. through is the address where the standby reaches the primary; empty is
// the primary's own.
func Standby(ctx context.Context, dir string, primary *Cluster, through string) (*Cluster, error) {
	c, err := standby(ctx, dir, primary, through)
	if err != nil {
		return nil, fmt.Errorf("start a standby in %s: %w", dir, err)
	}
	return c, nil
}

// standbyName is what the standby calls itself, its slot included: there is one.
const standbyName = "standby"

func standby(ctx context.Context, dir string, primary *Cluster, through string) (*Cluster, error) {
	options := primary.options
	options.Log = nil
	c, err := place(ctx, dir, options)
	if err != nil {
		return nil, err
	}
	c.bin = primary.bin
	if through == "" {
		through = primary.Address()
	}
	host, port, err := net.SplitHostPort(through)
	if err != nil {
		return nil, err
	}
	err = c.fill(func(fresh string) error {
		backup := c.user.command(filepath.Join(c.bin, "pg_basebackup"), "-D", fresh, "--write-recovery-conf",
			"--wal-method=stream", "--create-slot", "--slot="+standbyName, "--checkpoint=fast", "--no-sync",
			"-d", fmt.Sprintf("host=%s port=%s user=postgres application_name=%s", host, port, standbyName))
		backup.Env = append(backup.Env, "PGPASSWORD="+options.Password)
		return run(ctx, backup)
	})
	if err != nil {
		return nil, err
	}
	if err := c.launch(ctx); err != nil {
		return nil, err
	}
	if err := primary.execute(ctx, `ALTER SYSTEM SET synchronous_standby_names = '`+standbyName+`'`, `SELECT pg_reload_conf()`); err != nil {
		return nil, err
	}
	return c, primary.awaitStandby(ctx)
}

// awaitStandby waits until commits wait for the standby.
func (c *Cluster) awaitStandby(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, c.DSN("postgres", "postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for {
		var synchronous bool
		err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_stat_replication WHERE sync_state = 'sync')`).Scan(&synchronous)
		if err != nil || synchronous {
			return err
		}
		select {
		case <-time.After(20 * time.Millisecond): // PostgreSQL tells nobody: look
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Promote makes a primary of a standby: it takes what it has received, begins a timeline of its own and lets clients
// write. It asks nobody whether the old primary still lives.
func (c *Cluster) Promote(ctx context.Context) error {
	if err := c.execute(ctx, `SELECT pg_promote()`); err != nil {
		return fmt.Errorf("promote the standby in %s: %w", c.dir, err)
	}
	return nil
}
