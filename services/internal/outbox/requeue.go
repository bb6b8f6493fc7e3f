package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// Again says what of the log is to be published again. Duplicates harm nobody.
type Again struct {
	Since     time.Time // events that are not older
	Aggregate id.Any    // of one aggregate only; zero: of all
	From      int64     // from this revision on, instead of Since
}

// piece is how many aggregates one transaction queues. Their writers wait for it.
const piece = 50

// Republish queues what was published before once more, and returns how many events that are. db is opened as
// postgres.RelayRole. What was queued when it fails stays queued; it may be called again.
func Republish(ctx context.Context, db *postgres.DB, what Again) (queued int64, err error) {
	var after id.Any
	for done := false; !done; {
		err := pgx.BeginFunc(ctx, db.Pool, func(tx pgx.Tx) (err error) {
			var n int64
			after, n, done, err = requeue(ctx, tx, what, after)
			queued += n
			return err
		})
		if err != nil {
			return queued, fmt.Errorf("queue events again: %w", err)
		}
	}
	return queued, nil
}

// requeue queues the events of the next aggregates behind after, in the order of their ids, and returns the last of
// them and how many events that were. It is done when there were no more.
//
// The head of an aggregate is locked, so nobody adds to its history meanwhile, and what waits already is queued anew,
// behind what comes before it. So the ids of one aggregate's rows stay in the order of its revisions. Every piece is
// whole aggregates: who stops between two loses nothing, and may do them again.
func requeue(ctx context.Context, tx pgx.Tx, what Again, after id.Any) (last id.Any, queued int64, done bool, err error) {
	if _, err := tx.Exec(ctx, `SET LOCAL statement_timeout = '1min'`); err != nil {
		return after, 0, false, err
	}
	rows, _ := tx.Query(ctx, `
		SELECT aggregate_id FROM heads
		WHERE aggregate_id > coalesce($1::uuid, '00000000-0000-0000-0000-000000000000') AND ($2 OR aggregate_id = $3)
		ORDER BY aggregate_id LIMIT $4
		FOR NO KEY UPDATE`, after, what.Aggregate.IsZero(), what.Aggregate, piece) // collecting reports the error
	locked, err := pgx.CollectRows(rows, pgx.RowTo[id.Any])
	if err != nil {
		return after, 0, false, fmt.Errorf("lock heads: %w", err)
	}
	if len(locked) == 0 {
		return after, 0, true, nil
	}
	// A statement of its own, that sees what was committed before the locks were given. What is young enough is found by
	// walking back from the head.
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
	if err != nil {
		return after, 0, false, err
	}
	return locked[len(locked)-1], tag.RowsAffected(), false, nil
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
		last, _, done, err := requeue(ctx, tx, Again{Since: time.Now().Add(-retention - time.Hour)}, *after)
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
	if err != nil {
		return fmt.Errorf("queue the log for a new stream: %w", err)
	}
	return nil
}
