package main

import (
	"context"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

//go:embed sql
var scripts embed.FS

// scratch is the database of the yardstick, beside those of the services.
const scratch = "yardstick"

// yardstick is pgbench on the suite's own PostgreSQL, and what PostgreSQL tells about itself.
type yardstick struct {
	config     *pgx.ConnConfig // of the scratch database, as its superuser
	conn       *pgx.Conn
	postmaster int
	program    string
	clients    int    // of pgbench, as many as everything else has callers
	folder     string // of the scripts
}

func newYardstick(ctx context.Context, s *suite, folder string, clients int) (*yardstick, error) {
	config, err := superuser(s)
	if err != nil {
		return nil, err
	}
	admin, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	defer admin.Close(ctx)
	if _, err := admin.Exec(ctx, `CREATE DATABASE `+scratch+` TEMPLATE template0`); err != nil {
		return nil, err
	}
	y := &yardstick{config: config.Copy(), clients: clients, folder: folder}
	y.config.Database = scratch
	if y.conn, err = pgx.ConnectConfig(ctx, y.config); err != nil {
		return nil, err
	}
	for _, name := range []string{"schema.sql", "spread.sql", "hot.sql"} {
		text, err := scripts.ReadFile("sql/" + name)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o644); err != nil {
			return nil, err
		}
		if name == "schema.sql" {
			if _, err := y.conn.Exec(ctx, string(text)); err != nil {
				return nil, err
			}
		}
	}
	var backend int
	if err := y.conn.QueryRow(ctx, `SELECT pg_backend_pid()`).Scan(&backend); err != nil {
		return nil, err
	}
	own, err := readProcess(backend)
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL is not on this machine: %w", err)
	}
	y.postmaster = own.parent
	return y, y.find()
}

// superuser is how to reach the cluster as the one who may do everything.
func superuser(s *suite) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(s.Owner)
	if err != nil {
		return nil, err
	}
	config.User, config.Database = "postgres", "postgres"
	return config, nil
}

// find looks for pgbench where the server's own program is.
func (y *yardstick) find() error {
	server, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", y.postmaster))
	if err == nil {
		y.program = filepath.Join(filepath.Dir(server), "pgbench")
		if _, err = os.Stat(y.program); err == nil {
			return nil
		}
	}
	if y.program, err = exec.LookPath("pgbench"); err != nil {
		return fmt.Errorf("pgbench, which comes with PostgreSQL's contrib programs: %w", err)
	}
	return nil
}

func (y *yardstick) close() { y.conn.Close(context.Background()) }

// tidy does what autovacuum does within the first minutes of a database: until the planner has counted rows, it may plan
// as if every table were empty.
func (y *yardstick) tidy(ctx context.Context) error {
	for _, database := range []string{"membership", "invitation", "identity", "billing", scratch} {
		config := y.config.Copy()
		config.Database = database
		conn, err := pgx.ConnectConfig(ctx, config)
		if err != nil {
			return err
		}
		_, err = conn.Exec(ctx, `VACUUM ANALYZE`)
		conn.Close(ctx)
		if err != nil {
			return err
		}
	}
	return nil
}

// written counts the transactions that wrote something, in all databases, since the cluster was made.
func (y *yardstick) written(ctx context.Context) (n int64, err error) {
	err = y.conn.QueryRow(ctx, `SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint`).Scan(&n)
	return n, err
}

var (
	tps     = regexp.MustCompile(`(?m)^tps = ([0-9.]+)`)
	average = regexp.MustCompile(`(?m)^latency average = ([0-9.]+) ms`)
)

// run returns what measures a script. pgbench tells the average of the latencies, which stands in for their median.
func (y *yardstick) run(script string) func(context.Context, time.Duration) (sample, error) {
	return func(ctx context.Context, dur time.Duration) (s sample, err error) {
		cmd := exec.CommandContext(ctx, y.program, "-n", "-M", "prepared",
			"-c", strconv.Itoa(y.clients), "-j", strconv.Itoa(min(2, y.clients)),
			"-T", strconv.Itoa(max(1, int(dur.Seconds()))), "-f", filepath.Join(y.folder, script),
			"-h", y.config.Host, "-p", strconv.Itoa(int(y.config.Port)), "-U", y.config.User, y.config.Database)
		said, err := cmd.CombinedOutput()
		rate, latency := tps.FindSubmatch(said), average.FindSubmatch(said)
		if err != nil || rate == nil || latency == nil {
			return s, fmt.Errorf("pgbench: %w: %s", err, said)
		}
		if s.rate, err = strconv.ParseFloat(string(rate[1]), 64); err != nil {
			return s, err
		}
		ms, err := strconv.ParseFloat(string(latency[1]), 64)
		s.p50 = time.Duration(ms * float64(time.Millisecond))
		s.calls = int(s.rate * dur.Seconds())
		s.cpu.client = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		return s, err
	}
}
