// Package postgres is how services reach their database: one pool, transactions that know whose rows they
// may see, migrations, and refusals by the schema as faults.
package postgres

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rosterhq/roster/services/internal/failpoint"
	"github.com/rosterhq/roster/services/internal/seal"
)

// Either side of every commit.
var (
	beforeCommit = failpoint.New("postgres.before_commit")
	afterCommit  = failpoint.New("postgres.after_commit")
)

// Roles that migrations grant to. The login role of a service may become either; it owns nothing.
const (
	AppRole   = "roster_app"   // rows of the tenant that the transaction is for
	RelayRole = "roster_relay" // events of all tenants, to publish them
)

// DB is the database of one service.
type DB struct {
	Pool  *pgxpool.Pool
	Heart *pgxpool.Pool // one connection for beats: they say how the server is, not how long the queue for the others
	Name  string        // of the service, in errors and in revision tokens
	seal  *seal.Key     // stored answers
	sums  *seal.Key     // what is secret of requests

	instance string              // of the service, which tells its beats from those of others
	era      atomic.Pointer[era] // of the newest server seen
	proof    atomic.Pointer[proof]
	beating  sync.Mutex
	underWay *beat
	shaken   atomic.Bool // a commit has failed, and no beat succeeded since

	// Committed is called after every commit, to wake whoever waits for it. It must not block.
	Committed func(Waiting)
}

// Waiting is who carries out what was committed.
type Waiting uint8

// Who may wait for a commit.
const (
	Relay   Waiting = 1 << iota // events
	Sweeper                     // tasks that are due at once
)

// Options say how to open a database. The zero value works.
type Options struct {
	Role    string // AppRole by default
	Conns   int32  // 16 by default
	Tracing bool   // a span per statement
}

// Open connects to the database at dsn. Stored answers are sealed with key.
func Open(ctx context.Context, service, dsn string, key *seal.Key, o Options) (*DB, error) {
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("%s database: the DSN is not valid", service) // the parser's error may hold the password
	}
	if config.ConnConfig.DefaultQueryExecMode == pgx.QueryExecModeSimpleProtocol {
		return nil, fmt.Errorf("%s database: the DSN asks for the simple protocol, which writes values into the statement", service)
	}
	if o.Role == "" {
		o.Role = AppRole
	}
	if o.Conns == 0 {
		o.Conns = 16
	}
	config.MaxConns = o.Conns
	config.MaxConnLifetime = time.Hour
	config.PingTimeout = 2 * time.Second // of connections that were idle, whose server may be gone
	config.ConnConfig.ConnectTimeout = 5 * time.Second
	for name, value := range map[string]string{
		"role":                                o.Role,
		"application_name":                    "roster-" + service,
		"timezone":                            "UTC",
		"statement_timeout":                   "5s",
		"lock_timeout":                        "2s",
		"idle_in_transaction_session_timeout": "10s",
	} {
		config.ConnConfig.RuntimeParams[name] = value
	}
	if o.Tracing {
		config.ConnConfig.Tracer = otelpgx.NewTracer()
	}
	db := &DB{Name: service, instance: rand.Text(), Committed: func(Waiting) {}}
	if key != nil {
		db.seal, db.sums = key.Derive("idempotency"), key.Derive("request")
	}
	config.BeforeConnect, config.PrepareConn = db.link, db.current
	if db.Pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, fmt.Errorf("%s database: %w", service, err)
	}
	config = config.Copy()
	config.MaxConns, config.MinConns, config.MinIdleConns = 1, 0, 0
	if db.Heart, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		db.Pool.Close()
		return nil, fmt.Errorf("%s database: %w", service, err)
	}
	if err := db.Pool.Ping(ctx); err != nil {
		db.Close()
		if hasCode(err, "08P01") { // PgBouncer refuses what a connection begins with
			err = fmt.Errorf("%w: %w", errPooler, err)
		}
		return nil, fmt.Errorf("%s database: %w", service, err)
	}
	return db, nil
}

// Close ends all connections, once they are idle.
func (db *DB) Close() {
	db.Pool.Close()
	db.Heart.Close()
}

// Flight sends statements in one round trip, as one implicit transaction. It is for decisions that SQL makes
// by itself; a decision in Go takes InTx. The callbacks only read. The flight may be sent again after it was committed, so
// it finds then what it did.
func (db *DB) Flight(ctx context.Context, scope Scope, queue func(*pgx.Batch)) error {
	return db.retry(ctx, func(ctx context.Context, confirm bool) error {
		conn, err := db.acquire(ctx)
		if err != nil {
			return err
		}
		var batch pgx.Batch
		var now time.Time
		scope.queue(&batch, &now)
		if confirm {
			db.queueBeat(&batch)
		}
		queue(&batch)
		timeline := linkOf(conn.Conn()).timeline
		beforeCommit.Hit("")
		err = land(ctx, conn, &batch)
		conn.Release()
		if err != nil {
			return err
		}
		afterCommit.Hit("")
		db.Committed(Relay)
		if err := db.prove(ctx, timeline, time.Now()); err != nil { // it may have had nothing to write
			return err
		}
		db.settle()
		return nil
	})
}
