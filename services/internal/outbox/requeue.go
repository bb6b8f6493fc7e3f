package outbox

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// Again says what of the log is to be published again. Duplicates harm nobody.
type Again struct {
	Since     time.Time // events that are not older
	Aggregate id.Any    // of one aggregate only; zero: of all
	From      int64     // from this revision on, instead of Since
}

const (
	piece   = 50     // aggregates that one transaction queues; fewer, when that takes the server too long. Their writers wait
	stretch = 10_000 // events of one aggregate that one statement queues, when all of them take too long
)

// requeueing is the lock of whoever queues for longer than the relay takes any transaction to last.
const requeueing = 0x72657175657565

// Republish queues what was published before once more, and returns how many events that are. db is opened as
// postgres.RelayRole. What was queued when it fails stays queued; it may be called again.
func Republish(ctx context.Context, db *postgres.DB, what Again) (queued int64, err error) {
	var after id.Any
	size := portion(piece)
	for done := false; !done; {
		var n int64
		err := pgx.BeginFunc(ctx, db.Pool, func(tx pgx.Tx) (err error) {
			after, n, done, err = requeue(ctx, tx, what, after, size)
			return err
		})
		if err := size.fit(err); err != nil {
			return queued, fmt.Errorf("queue events again: %w", err)
		}
		queued += n
	}
	return queued, nil
}

// portion is how many aggregates the next piece has. At 0 it has one, which is queued in stretches.
type portion int

// fit makes the next piece smaller when the server has stopped this one because a statement took too long, and larger when
// this one was queued. Other errors it returns.
func (p *portion) fit(err error) error {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	switch {
	case err == nil:
		*p = min(2**p+1, piece)
	case ok && refused.Code == "57014" && *p > 0: // query canceled
		*p /= 2
	default:
		return err
	}
	return nil
}

// requeue queues the events of the next aggregates behind after, in the order of their ids, and returns the last of
// them and how many events that were. It is done when there were no more.
//
// The head of an aggregate is locked, so nobody adds to its history meanwhile, and what waits already is queued anew,
// behind what comes before it. So the ids of one aggregate's rows stay in the order of its revisions. Every piece is
// whole aggregates: who stops between two loses nothing, and may do them again.
func requeue(ctx context.Context, tx pgx.Tx, what Again, after id.Any, size portion) (last id.Any, queued int64, done bool, err error) {
	lock := `FOR NO KEY UPDATE`
	if size == 0 {
		lock = `` // not yet
	}
	rows, _ := tx.Query(ctx, `
		SELECT aggregate_id FROM heads
		WHERE aggregate_id > coalesce($1::uuid, '00000000-0000-0000-0000-000000000000') AND ($2 OR aggregate_id = $3)
		ORDER BY aggregate_id LIMIT $4
		`+lock, after, what.Aggregate.IsZero(), what.Aggregate, max(size, 1)) // collecting reports the error
	next, err := pgx.CollectRows(rows, pgx.RowTo[id.Any])
	if err != nil {
		return after, 0, false, fmt.Errorf("lock heads: %w", err)
	}
	if len(next) == 0 {
		return after, 0, true, nil
	}
	last = next[len(next)-1]
	if size == 0 {
		queued, err = requeueLong(ctx, tx, what, last)
	} else {
		queued, err = requeueLocked(ctx, tx, what, next)
	}
	if err != nil {
		return after, 0, false, err
	}
	return last, queued, false, nil
}

// requeueLocked queues aggregates whose heads are locked, in a statement of its own, that sees what was committed before the
// locks were given. What is young enough is found by walking back from the head.
func requeueLocked(ctx context.Context, tx pgx.Tx, what Again, locked []id.Any) (queued int64, err error) {
	tag, err := tx.Exec(ctx, `
		WITH waiting AS (
			DELETE FROM outbox WHERE aggregate_id = ANY($1) RETURNING aggregate_id, revision
		), first AS (
			SELECT a.aggregate_id, least(
				CASE WHEN $2::bigint > 0 THEN $2 ELSE 1 + coalesce((
					SELECT e.revision FROM events e WHERE e.aggregate_id = a.aggregate_id AND e.time < $3
					ORDER BY e.revision DESC LIMIT 1), 0) END,
				(SELECT min(w.revision) FROM waiting w WHERE w.aggregate_id = a.aggregate_id)) AS revision
			FROM unnest($1::uuid[]) AS a (aggregate_id)
		)
		INSERT INTO outbox (part, aggregate_id, revision)
		SELECT h.part, e.aggregate_id, e.revision
		FROM first f JOIN heads h ON h.aggregate_id = f.aggregate_id
		JOIN events e ON e.aggregate_id = f.aggregate_id AND e.revision >= f.revision
		ORDER BY e.aggregate_id, e.revision`, locked, what.From, what.Since)
	return tag.RowsAffected(), err
}

// requeueLong queues one aggregate in stretches, each a statement of bounded length. Its writers go on meanwhile, and the
// relay publishes what they add, until all is queued that was there at the beginning. Only then the head is locked. What
// waits from before, or was added since, is taken out, and what was added is queued behind.
func requeueLong(ctx context.Context, tx pgx.Tx, what Again, aggregate id.Any) (queued int64, err error) {
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock_shared($1)`, requeueing); err != nil {
		return 0, err
	}
	var end int64
	var waiting *int64
	err = tx.QueryRow(ctx, `
		SELECT coalesce((SELECT max(revision) FROM events WHERE aggregate_id = $1), 0), (SELECT min(revision) FROM outbox WHERE aggregate_id = $1)`,
		aggregate).Scan(&end, &waiting)
	if err != nil {
		return 0, err
	}
	first, err := firstOf(ctx, tx, what, aggregate, end)
	if err != nil {
		return 0, err
	}
	if waiting != nil {
		first = min(first, *waiting)
	}
	var own int64 // the lowest id that is queued here
	for from := first; from <= end; from += stretch {
		n, lowest, err := requeueStretch(ctx, tx, aggregate, from, min(from+stretch-1, end))
		if err != nil {
			return 0, err
		}
		queued += n
		if own == 0 {
			own = lowest
		}
	}
	if _, err := tx.Exec(ctx, `SELECT FROM heads WHERE aggregate_id = $1 FOR NO KEY UPDATE`, aggregate); err != nil {
		return 0, fmt.Errorf("lock head: %w", err)
	}
	if _, err := tx.Exec(ctx, `DELETE FROM outbox WHERE aggregate_id = $1 AND (revision > $2 OR id < $3)`, aggregate, end, own); err != nil {
		return 0, err
	}
	added, _, err := requeueStretch(ctx, tx, aggregate, end+1, math.MaxInt64)
	return queued + added, err
}

// firstOf returns the first revision to queue again, not behind the one after end. It walks back from there.
func firstOf(ctx context.Context, tx pgx.Tx, what Again, aggregate id.Any, end int64) (first int64, err error) {
	if what.From > 0 {
		return min(what.From, end+1), nil
	}
	for to := end; to > 0; to -= stretch {
		var older *int64
		err := tx.QueryRow(ctx, `
			SELECT max(revision) FROM events
			WHERE aggregate_id = $1 AND revision > $2 AND revision <= $3 AND time < $4`, aggregate, to-stretch, to, what.Since).Scan(&older)
		if err != nil {
			return 0, err
		}
		if older != nil {
			return *older + 1, nil
		}
	}
	return 1, nil
}

// requeueStretch queues some events of one aggregate, and returns how many and the lowest id that they wait under.
func requeueStretch(ctx context.Context, tx pgx.Tx, aggregate id.Any, from, to int64) (queued, lowest int64, err error) {
	err = tx.QueryRow(ctx, `
		WITH queued AS (
			INSERT INTO outbox (part, aggregate_id, revision)
			SELECT $2, aggregate_id, revision FROM events
			WHERE aggregate_id = $1 AND revision BETWEEN $3 AND $4
			ORDER BY revision
			RETURNING id
		)
		SELECT count(*), coalesce(min(id), 0) FROM queued`, aggregate, PartOf(aggregate), from, to).Scan(&queued, &lowest)
	return queued, lowest, err
}

// rebuild queues the next piece of the log for a stream that was made anew.
func (r *Relay) rebuild(ctx context.Context) error {
	err := pgx.BeginFunc(ctx, r.db.Pool, func(tx pgx.Tx) error {
		var after *id.Any // not what we remember: a database that was promoted may have lost the last piece
		err := tx.QueryRow(ctx, `SELECT requeued FROM relay_lease WHERE shard = 0 AND holder = $1 AND fence = $2 FOR UPDATE`,
			r.holder, r.fence).Scan(&after)
		if err != nil {
			return err
		}
		if after == nil {
			r.rebuilding = false
			return nil
		}
		// Whoever is a bit older comes too: revisions are not in the order of times to the second.
		last, _, done, err := requeue(ctx, tx, Again{Since: time.Now().Add(-retention - time.Hour)}, *after, r.portion)
		if err != nil {
			return err
		}
		if done {
			r.rebuilding = false
			r.log.InfoContext(ctx, "the whole log is queued for the new stream")
			_, err = tx.Exec(ctx, `UPDATE relay_lease SET requeued = NULL WHERE shard = 0`)
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE relay_lease SET requeued = $1 WHERE shard = 0`, last)
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		r.lose(ctx)
		return nil
	}
	if err := r.portion.fit(err); err != nil {
		return fmt.Errorf("queue the log for a new stream: %w", err)
	}
	return nil
}
