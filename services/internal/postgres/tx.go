package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rosterhq/roster/services/internal/caller"
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
	send   func(context.Context, *pgx.Batch) error // of a flight before the last
	view   *Scope                                  // of a view, which sets it anew with every flight
	within context.Context                         // the timer of a transaction that finds out what became of another; else nil
	reads  *pgx.Batch
	writes pgx.Batch
	after  func() error // looks at what the first flight brought, before anybody decides on it
	begun  bool
	now    time.Time
	who    caller.Caller

	waiting Waiting
}

// Wake tells whoever waits for the commit.
func (tx *Tx) Wake(who Waiting) { tx.waiting |= who }

// Now is the database's time, one for the whole transaction, known after the first Fetch. What expires is judged
// by it, never by the clock of the machine that happens to ask.
func (tx *Tx) Now() time.Time { return tx.now }

// Caller is whose call the transaction is part of; nobody's when the service does it by itself.
func (tx *Tx) Caller() caller.Caller { return tx.who }

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
	if tx.within != nil {
		ctx = tx.within
	}
	tx.begun = true
	if err := tx.send(ctx, batch); err != nil {
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

// View runs fn, which only reads: each Fetch is one round trip and a transaction of its own. What it reads is the primary's,
// see Read.
func (db *DB) View(ctx context.Context, scope Scope, fn func(*Tx) error) error {
	return db.retry(ctx, func(context.Context, bool) error {
		tx := &Tx{view: &scope, reads: &pgx.Batch{}, who: caller.From(ctx), send: func(ctx context.Context, batch *pgx.Batch) error {
			return db.read(ctx, func(conn *pgx.Conn) error { return conn.SendBatch(ctx, batch).Close() })
		}}
		scope.queue(tx.reads, &tx.now)
		return fn(tx)
	})
}

// InTx runs fn in a transaction and commits what it queued, unless fn fails. Fn touches nothing but tx and what it
// returns, because it may run again: after a serialization failure or a deadlock, and when the connection is lost. If the
// commit was under way then, fn runs again when it has an outcome, and finds what it did the first time, if it did.
func (db *DB) InTx(ctx context.Context, scope Scope, fn func(*Tx) error) error {
	return db.inTx(ctx, scope, nil, fn)
}

func (db *DB) inTx(ctx context.Context, scope Scope, prepare, fn func(*Tx) error) error {
	return db.retry(ctx, func(ctx context.Context, confirm bool) error {
		conn, err := db.acquire(ctx)
		if err != nil {
			return err
		}
		defer conn.Release()
		tx := &Tx{reads: &pgx.Batch{}, who: caller.From(ctx), send: func(ctx context.Context, batch *pgx.Batch) error {
			return conn.SendBatch(ctx, batch).Close()
		}}
		tx.reads.Queue("BEGIN")
		scope.queue(tx.reads, &tx.now)
		if confirm {
			tx.within = ctx
			db.queueBeat(&tx.writes)
		}
		if prepare != nil {
			if err := prepare(tx); err != nil {
				return err
			}
		}
		if err = fn(tx); err == nil && tx.after != nil { // it has decided without reading anything
			err = tx.Fetch(ctx)
		}
		replay := errors.Is(err, errReplay)
		if replay { // somebody may rely on what was committed before: let it be on the standby
			tx.writes = pgx.Batch{}
			db.queueBeat(&tx.writes)
		} else if err != nil {
			tx.rollback(ctx, conn)
			return db.refusal(ctx, conn, err)
		}
		answered := time.Now()
		changes := tx.writes.Len() > 0
		beforeCommit.Hit("")
		if err := tx.commit(ctx, conn); err != nil {
			return db.refusal(ctx, conn, err)
		}
		afterCommit.Hit("")
		timeline := linkOf(conn.Conn()).timeline
		conn.Release()
		db.Committed(tx.waiting)
		if !changes {
			if err := db.prove(ctx, timeline, answered); err != nil {
				return err
			}
		}
		db.settle()
		if replay {
			return errReplay
		}
		return nil
	})
}

// commit sends the writes.
func (tx *Tx) commit(ctx context.Context, conn *pgxpool.Conn) error {
	if !tx.begun { // nothing was read and nothing is to be decided: all in one flight
		tx.begun = true
		tx.writes.QueuedQueries = append(tx.reads.QueuedQueries, tx.writes.QueuedQueries...)
	}
	tx.writes.Queue("COMMIT")
	if err := land(ctx, conn, &tx.writes); err != nil {
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
