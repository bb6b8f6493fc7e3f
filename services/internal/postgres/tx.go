package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rosterhq/roster/services/internal/id"
)

// Scope is whose rows a transaction may see. Row-level security holds it to that.
type Scope struct {
	Aggregate id.Any     // the organization; in the identity service, the account
	Account   id.Account // whose memberships are read across organizations
}

// In is the scope of one aggregate.
func In[K any](aggregate id.ID[K]) Scope { return Scope{Aggregate: id.Any(aggregate)} }

// Across is the scope of one person's own rows in all organizations.
func Across(account id.Account) Scope { return Scope{Account: account} }

// queue sets the scope until the transaction ends, and reads the transaction's time.
func (s Scope) queue(batch *pgx.Batch, now *time.Time) {
	batch.Queue(`SELECT set_config('app.aggregate_id', $1, true), set_config('app.account_id', $2, true), now()`,
		setting(s.Aggregate), setting(s.Account)).QueryRow(func(row pgx.Row) error {
		return row.Scan(nil, nil, now)
	})
}

func setting[K any](i id.ID[K]) string {
	if i.IsZero() {
		return ""
	}
	return fmt.Sprintf("%x-%x-%x-%x-%x", i[0:4], i[4:6], i[6:8], i[8:10], i[10:])
}

// Tx is a transaction in two flights: reads go when Fetch is called, writes wait for the commit. A
// mutation that reads once costs two round trips, whatever it does.
type Tx struct {
	conn   sender
	view   *Scope // of a view, which sets it anew with every flight
	reads  *pgx.Batch
	writes pgx.Batch
	after  func() error // looks at what the first flight brought, before anybody decides on it
	begun  bool
	now    time.Time

	waiting Waiting
}

// Wake tells whoever waits for the commit.
func (tx *Tx) Wake(who Waiting) { tx.waiting |= who }

// Now is the database's time, one for the whole transaction, known after the first Fetch. What expires is judged
// by it, never by the clock of the machine that happens to ask.
func (tx *Tx) Now() time.Time { return tx.now }

// sender is a connection, or the pool for a view.
type sender interface {
	SendBatch(context.Context, *pgx.Batch) pgx.BatchResults
}

// Read queues a statement whose rows collect gets at the next Fetch.
func (tx *Tx) Read(sql string, args []any, collect func(pgx.Rows) error) {
	tx.reads.Queue(sql, args...).Query(func(rows pgx.Rows) error {
		defer rows.Close()
		if err := collect(rows); err != nil {
			return err
		}
		return rows.Err()
	})
}

// Fetch sends the queued reads in one flight, with BEGIN before the first.
func (tx *Tx) Fetch(ctx context.Context) error {
	batch := tx.reads
	tx.reads = &pgx.Batch{}
	if tx.view != nil {
		tx.view.queue(tx.reads, &tx.now)
	}
	tx.begun = true
	if err := tx.conn.SendBatch(ctx, batch).Close(); err != nil {
		return err
	}
	if tx.after != nil {
		after := tx.after
		tx.after = nil
		return after()
	}
	return nil
}

// Write queues a statement for the commit.
func (tx *Tx) Write(sql string, args ...any) { tx.writes.Queue(sql, args...) }

// WriteRow queues a statement for the commit and reads its one row then. Nothing is decided in scan: what
// it sees is committed with it.
func (tx *Tx) WriteRow(sql string, args []any, scan func(pgx.Row) error) {
	tx.writes.Queue(sql, args...).QueryRow(scan)
}

// View runs fn, which only reads: each Fetch is one round trip and a transaction of its own.
func (db *DB) View(ctx context.Context, scope Scope, fn func(*Tx) error) error {
	return retry(ctx, func() error {
		tx := &Tx{conn: db.Pool, view: &scope, reads: &pgx.Batch{}}
		scope.queue(tx.reads, &tx.now)
		return fn(tx)
	})
}

// InTx runs fn in a transaction and commits what it queued, unless fn fails. After a serialization failure
// or a deadlock fn runs again, so it touches nothing but tx and what it returns.
func (db *DB) InTx(ctx context.Context, scope Scope, fn func(*Tx) error) error {
	return db.inTx(ctx, scope, nil, fn)
}

func (db *DB) inTx(ctx context.Context, scope Scope, prepare, fn func(*Tx) error) error {
	return retry(ctx, func() error {
		conn, err := db.Pool.Acquire(ctx)
		if err != nil {
			return err
		}
		defer conn.Release()
		tx := &Tx{conn: conn, reads: &pgx.Batch{}}
		tx.reads.Queue("BEGIN")
		scope.queue(tx.reads, &tx.now)
		if prepare != nil {
			if err := prepare(tx); err != nil {
				return err
			}
		}
		if err := fn(tx); err != nil {
			tx.rollback(ctx, conn)
			return err
		}
		beforeCommit.Hit("")
		if err := tx.commit(ctx, conn); err != nil {
			return err
		}
		afterCommit.Hit("")
		db.Committed(tx.waiting)
		return nil
	})
}

// commit sends the writes. Once they are on their way only their own timer stops them: a commit that is
// given up half way has an unknown outcome.
func (tx *Tx) commit(ctx context.Context, conn *pgxpool.Conn) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	switch {
	case tx.begun:
	case tx.after == nil: // nothing was read and nothing is to be decided: all in one flight
		tx.begun = true
		tx.writes.QueuedQueries = append(tx.reads.QueuedQueries, tx.writes.QueuedQueries...)
	default:
		if err := tx.Fetch(ctx); err != nil {
			tx.rollback(ctx, conn)
			return err
		}
	}
	tx.writes.Queue("COMMIT")
	if err := tx.conn.SendBatch(ctx, &tx.writes).Close(); err != nil {
		tx.rollback(ctx, conn)
		return err
	}
	return nil
}

// rollback gives the connection back clean, or not at all.
func (tx *Tx) rollback(ctx context.Context, conn *pgxpool.Conn) {
	if !tx.begun {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if _, err := conn.Exec(ctx, "ROLLBACK"); err != nil {
		conn.Conn().Close(ctx)
	}
}

// attempts is how often a transaction runs when others get in its way.
const attempts = 6

func retry(ctx context.Context, run func() error) error {
	for attempt := 1; ; attempt++ {
		err := run()
		var refused *pgconn.PgError
		if err == nil || !errors.As(err, &refused) {
			return err
		}
		if refused.Code != "40001" && refused.Code != "40P01" || attempt == attempts { // serialization failure, deadlock
			return faultOf(refused, err)
		}
		pause := time.Duration(rand.Int64N(int64(attempt) * int64(10*time.Millisecond)))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}
