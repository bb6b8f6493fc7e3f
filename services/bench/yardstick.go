package main

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
)

//go:embed sql
var scripts embed.FS

// scratch is the database of the yardstick, beside those of the services.
const scratch = "yardstick"

// yardstick is what the suite's own PostgreSQL can do: with pgbench, and with programs that do the least. It also asks what
// PostgreSQL tells about itself.
type yardstick struct {
	config     *pgx.ConnConfig // of the scratch database, as its superuser
	conn       *pgx.Conn
	pool       *pgxpool.Pool // of the scratch database, with a connection for every caller
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
	pool, err := pgxpool.ParseConfig(fmt.Sprintf("%s user=%s dbname=%s pool_max_conns=%d", s.Owner, y.config.User, scratch, clients+1)) // the last word counts
	if err != nil {
		return nil, err
	}
	if y.pool, err = pgxpool.NewWithConfig(ctx, pool); err != nil {
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

func (y *yardstick) close() {
	y.pool.Close()
	y.conn.Close(context.Background())
}

// tidy does what autovacuum does within the first minutes of a database: until the planner has counted rows, it may plan
// as if every table were empty.
func (y *yardstick) tidy(ctx context.Context) error {
	for _, database := range []string{"membership", "invitation", "identity", "billing", rigDatabase, scratch} {
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

// fiveRows is the transaction of sql/spread.sql in one flight.
func fiveRows(batch *pgx.Batch, organization int, key string) {
	name := fmt.Sprintf("org_%d", organization)
	batch.Queue(`BEGIN`)
	batch.Queue(`INSERT INTO request (id, answer) VALUES ($1, '\x00')`, key)
	batch.Queue(`INSERT INTO member (organization, account, role, name, email) VALUES ($1, $2, 3, 'Grace Hopper', $2 || '@example.com')`, name, key)
	batch.Queue(`INSERT INTO history (organization, actor, action, detail) VALUES ($1, 'acc_1', 'member.added', '{"role": "member"}')`, name)
	batch.Queue(`INSERT INTO queue (organization, subject, event) VALUES ($1, $2, '{"account": "acc_1", "role": "member", "revision": 1}')`, name, key)
	batch.Queue(`UPDATE organization SET used = used + 1 WHERE organization = $1 AND used < seats`, name) // last, so that its lock is short
	batch.Queue(`COMMIT`)
}

// flight writes five rows and waits for the commit, in any organization or in one.
func (y *yardstick) flight(hot bool) call {
	return func(ctx context.Context, _ int) error {
		organization := 7
		if !hot {
			organization = 1 + mathrand.IntN(10_000)
		}
		var batch pgx.Batch
		fiveRows(&batch, organization, rand.Text())
		return y.pool.SendBatch(ctx, &batch).Close()
	}
}

// bareRelay is the least that brings a queue to JetStream: it deletes a page, publishes it, and commits when all is
// confirmed. It keeps no order when something fails.
func (y *yardstick) bareRelay(ctx context.Context, b *broker) (moved int, err error) {
	err = pgx.BeginFunc(ctx, y.pool, func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, `
			WITH page AS (DELETE FROM queue WHERE id IN (SELECT id FROM queue ORDER BY id LIMIT 500) RETURNING id, subject)
			SELECT subject FROM page ORDER BY id`)
		keys, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		var sent []jetstream.PubAckFuture
		for _, key := range keys {
			future, err := b.js.PublishMsgAsync(message(key), jetstream.WithStallWait(patience))
			if err != nil {
				return err
			}
			sent = append(sent, future)
		}
		for _, future := range sent {
			select {
			case <-future.Ok():
			case err := <-future.Err():
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		moved = len(keys)
		return nil
	})
	return moved, err
}

// bareLatency is how long an event takes from its commit to a consumer, with the bare relay.
func (y *yardstick) bareLatency(b *broker) func(context.Context, time.Duration) (sample, error) {
	return func(ctx context.Context, dur time.Duration) (s sample, err error) {
		if err := b.fresh(ctx); err != nil {
			return s, err
		}
		if _, err := y.pool.Exec(ctx, `TRUNCATE queue`); err != nil {
			return s, err
		}
		w := newStopwatch()
		hearing, err := b.hear(ctx, w)
		if err != nil {
			return s, err
		}
		defer hearing.Stop()

		ctx, stop := context.WithCancel(ctx)
		var relay errgroup.Group
		defer func() {
			stop()
			err = errors.Join(err, relay.Wait())
		}()
		wake := make(chan struct{}, 1)
		relay.Go(func() error {
			for {
				moved, err := y.bareRelay(ctx, b)
				switch {
				case ctx.Err() != nil:
					return nil
				case err != nil:
					return err
				case moved > 0:
					continue
				}
				select {
				case <-wake:
				case <-ctx.Done():
				}
			}
		})
		made, err := pace(ctx, steadyRate, dur, func(ctx context.Context, _ int) error {
			key := rand.Text()
			var batch pgx.Batch
			fiveRows(&batch, 1+mathrand.IntN(10_000), key)
			if err := y.pool.SendBatch(ctx, &batch).Close(); err != nil {
				return err
			}
			w.begin(key)
			select {
			case wake <- struct{}{}:
			default:
			}
			return nil
		})
		if err != nil {
			return s, err
		}
		return w.wait(ctx, made)
	}
}

// bareDrain is how fast the bare relay works on a queue that is as long as the backlog of a drain, while the measurement
// lasts.
func (y *yardstick) bareDrain(b *broker) func(context.Context, time.Duration) (sample, error) {
	return func(ctx context.Context, dur time.Duration) (s sample, err error) {
		if err := b.fresh(ctx); err != nil {
			return s, err
		}
		for _, command := range []string{
			`TRUNCATE queue`,
			`INSERT INTO queue (organization, subject, event)
			 SELECT 'org_' || n % 10000, n, '{"account": "acc_1", "role": "member", "revision": 1}' FROM generate_series(1, ` + strconv.Itoa(backlog) + `) n`,
			`VACUUM ANALYZE queue`,
		} {
			if _, err := y.pool.Exec(ctx, command); err != nil {
				return s, err
			}
		}
		begin := time.Now()
		for s.calls < backlog && time.Since(begin) < dur {
			moved, err := y.bareRelay(ctx, b)
			if err != nil {
				return s, err
			}
			s.calls += moved
		}
		s.rate = float64(s.calls) / time.Since(begin).Seconds()
		return s, nil
	}
}
