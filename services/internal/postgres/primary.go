package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rosterhq/roster/pkg/fault"
)

// Two servers may believe that they are the primary: one that was cut off, and the standby that was promoted in its
// place. The old one cannot commit, because its standby does not answer, but it goes on reading a past in which whoever was
// removed since is still a member. So whoever reads must know that the server was the primary when it answered:
//
// A beat is a commit of one small row that waits for the standby, as all commits do. When it succeeds, no other server had
// been promoted when it was sent. What the same server read before that, or up to delta after it, is therefore at most
// delta behind.
//
// And whoever takes something away on a server that was promoted a moment ago waits until delta has passed: by then no
// instance of the service answers from the old one. This process did not know the new server before it was promoted, so
// it counts from there.
const (
	delta      = time.Second
	drift      = delta / 100 // of clocks, within delta
	beatPeriod = delta / 5
	beatTime   = 2 * time.Second
)

// proof is the last beat that succeeded.
type proof struct {
	timeline uint64
	sent     time.Time // not when it was answered: the server may have been replaced in between
}

// covers tells whether what the server on this timeline answered at some time was true then, or at most delta before now.
func (p *proof) covers(timeline uint64, answered, now time.Time) bool {
	return p != nil && p.timeline == timeline && (!p.sent.Before(answered) || younger(p.sent, now, delta))
}

// younger compares by both clocks, the steady one and the one on the wall: the first stands still while a machine is
// suspended, the second can be set.
func younger(then, now time.Time, age time.Duration) bool {
	return now.Sub(then) < age && now.Round(0).Sub(then.Round(0)) < age
}

// beat is one that is under way; any number of readers wait for it.
type beat struct {
	ended chan struct{}
	err   error // read after ended
}

// queueBeat adds what makes a commit wait for the standby even if it changes nothing else.
func (db *DB) queueBeat(batch *pgx.Batch) { batch.Queue(writeBeat, db.instance) }

const writeBeat = `INSERT INTO beats (instance, time) VALUES ($1, now()) ON CONFLICT (instance) DO UPDATE SET time = excluded.time`

// Beats keeps the proof young until ctx ends, so that readers need not wait for one.
func (db *DB) Beats(ctx context.Context) error {
	tick := time.NewTicker(beatPeriod)
	defer tick.Stop()
	db.Heart.Exec(ctx, `DELETE FROM beats WHERE time < now() - interval '1 day'`) // of instances that are gone; else the next one does it
	for {
		db.beat()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// beat starts a beat, unless one is under way.
func (db *DB) beat() *beat {
	db.beating.Lock()
	defer db.beating.Unlock()
	if db.underWay != nil {
		return db.underWay
	}
	b := &beat{ended: make(chan struct{})}
	db.underWay = b
	go func() {
		err := db.tryBeat()
		if err != nil {
			db.shake()
		} else {
			db.shaken.Store(false)
		}
		db.beating.Lock()
		defer db.beating.Unlock()
		b.err, db.underWay = err, nil
		close(b.ended)
	}()
	return b
}

// tryBeat beats, over another connection when one was lost.
func (db *DB) tryBeat() (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), beatTime)
	defer cancel()
	for range attempts {
		var unknown *unknownError
		if err = db.beatOnce(ctx); err == nil || !lost(err) && !errors.As(err, &unknown) {
			return err
		}
	}
	return err
}

func (db *DB) beatOnce(ctx context.Context) error {
	conn, err := db.Heart.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	var batch pgx.Batch
	db.queueBeat(&batch)
	sent := time.Now()
	if err := land(ctx, conn, &batch); err != nil {
		return err
	}
	db.proof.Store(&proof{linkOf(conn.Conn()).timeline, sent})
	return nil
}

// shake makes every connection be made anew: perhaps another server is the primary.
func (db *DB) shake() {
	db.shaken.Store(true)
	db.Pool.Reset()
	db.Heart.Reset()
}

// tryOut beats over a new connection, when the last commit has failed: a server that cannot commit is passed over for the next
// of several.
func (db *DB) tryOut(ctx context.Context, conn *pgconn.PgConn) error {
	if !db.shaken.Load() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, delta)
	defer cancel()
	if err := conn.ExecParams(ctx, writeBeat, [][]byte{[]byte(db.instance)}, nil, nil, nil).Read().Err; err != nil {
		return fmt.Errorf("the server does not commit: %w", err)
	}
	return nil
}

// prove returns nil if what the server on this timeline has just answered can be relied on.
func (db *DB) prove(ctx context.Context, timeline uint64, answered time.Time) error {
	for !db.proof.Load().covers(timeline, answered, time.Now()) {
		if db.era.Load().timeline != timeline {
			return unproven(errPast)
		}
		b := db.beat()
		select {
		case <-b.ended:
		case <-ctx.Done():
			return ctx.Err()
		}
		if b.err != nil {
			return unproven(b.err)
		}
	}
	return nil
}

// refusal returns a decision to refuse, if it was taken on what the primary has; anything else that went wrong it returns as
// it is.
func (db *DB) refusal(ctx context.Context, conn *pgxpool.Conn, err error) error {
	answered, timeline := time.Now(), linkOf(conn.Conn()).timeline
	conn.Release()
	decided, schema := fault.From(err) != nil, hasClass(err, "23")
	if !decided && !schema {
		return err
	}
	if unproven := db.prove(ctx, timeline, answered); unproven != nil {
		return unproven
	}
	return err
}

// hasClass tells whether a statement was refused with a code of the class; 23 is what the schema forbids.
func hasClass(err error, class string) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && strings.HasPrefix(refused.Code, class)
}

var errUnproven = errors.New("the primary is not proved")

// unproven refuses to answer from a server that may be the wrong one.
func unproven(err error) error { return unavailable(fmt.Errorf("%w: %w", errUnproven, err)) }

// acquire takes a connection from the pool. When the server has just failed to commit, whoever comes is sent away soon, while
// other servers are tried: another process of the service may reach the right one.
func (db *DB) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	if db.shaken.Load() {
		b := db.beat()
		select {
		case <-b.ended:
			if b.err != nil {
				return nil, unproven(b.err)
			}
		case <-time.After(delta):
			return nil, unproven(errors.New("no server commits"))
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return db.Pool.Acquire(ctx)
}

// Read runs do, which only reads, in one statement or one flight, and returns nil only if the server that it asked was the
// primary: at most a second behind, if another was promoted meanwhile.
func (db *DB) Read(ctx context.Context, do func(*pgx.Conn) error) error {
	return db.retry(ctx, func(ctx context.Context, _ bool) error { return db.read(ctx, do) })
}

func (db *DB) read(ctx context.Context, do func(*pgx.Conn) error) error {
	conn, err := db.acquire(ctx)
	if err != nil {
		return err
	}
	timeline := linkOf(conn.Conn()).timeline
	err = do(conn.Conn())
	conn.Release()
	if err != nil {
		return err
	}
	return db.prove(ctx, timeline, time.Now())
}

// settle returns when nobody relies on an older primary any more. The first timeline has none before it.
func (db *DB) settle() {
	if e := db.era.Load(); e.timeline > 1 {
		if rest := delta + drift - time.Since(e.since); rest > 0 {
			time.Sleep(rest)
		}
	}
}
