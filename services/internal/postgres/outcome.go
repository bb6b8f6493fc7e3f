package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
)

const (
	commitTime  = 10 * time.Second // for the last flight of a transaction
	resolveTime = 12 * time.Second // to learn what became of one; longer than the server keeps a transaction that has lost its client
)

// unknownError is the end of a transaction of which nobody said whether it was committed.
type unknownError struct {
	backend uint32 // that may still commit it, 0 if it has ended
	cause   error  // nil: committed, but perhaps not on the standby
}

func (e *unknownError) Error() string {
	return fmt.Sprintf("the outcome of a commit is unknown: %v", e.cause)
}

// land sends the last flight of a transaction. Once it is on its way only its own timer stops it: a commit that is given
// up half way has an unknown outcome. Three answers are clear: done, refused by a statement, and not even sent.
func land(ctx context.Context, conn *pgxpool.Conn, batch *pgx.Batch) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTime)
	defer cancel()
	l := linkOf(conn.Conn())
	l.doubtful.Store(false)
	l.committing.Store(true)
	err := conn.SendBatch(ctx, batch).Close()
	backend := conn.Conn().PgConn().PID()
	if !conn.Conn().IsClosed() { // else the driver is about to cancel what it gave up
		l.committing.Store(false)
		backend = 0
	}
	var refused *pgconn.PgError
	switch {
	case l.doubtful.Load(): // the server does not wait for its standby any more
	case err == nil, errors.As(err, &refused) && refused.SeverityUnlocalized == "ERROR", pgconn.SafeToRetry(err):
		return err
	}
	return &unknownError{backend, err}
}

// attempts is how often a transaction runs when others get in its way.
const attempts = 6

// retry runs a transaction until it has an outcome: again after a serialization failure or a deadlock, again when the
// connection was lost before the commit, and again when it was lost with the commit. For that last one run is told to
// confirm: it finds what was committed before, if it was, and makes sure of it by a commit of its own.
func (db *DB) retry(ctx context.Context, run func(ctx context.Context, confirm bool) error) error {
	confirm, begin := false, time.Now()
	for attempt := 1; ; attempt++ {
		err := run(ctx, confirm)
		var unknown *unknownError
		if errors.As(err, &unknown) {
			if !confirm {
				confirm = true
				db.shake()
				patient, cancel := context.WithTimeout(context.WithoutCancel(ctx), resolveTime)
				defer cancel()
				ctx = patient
			}
			if db.awaitEnd(ctx, unknown.backend) != nil {
				return outcomeUnknown(err)
			}
			continue
		}
		var refused *pgconn.PgError
		errors.As(err, &refused)
		isLost := lost(err) && !errors.Is(err, errUnproven)
		switch {
		case err == nil:
			return nil
		case isLost, hasCode(err, "40001"), hasCode(err, "40P01"): // serialization failure, deadlock
		case confirm && errors.Is(err, errUnproven):
		case confirm && (hasCode(err, "55P03") || hasCode(err, "57014")): // lock timeout, statement timeout
		case confirm && ctx.Err() != nil:
			return outcomeUnknown(err)
		case refused != nil:
			return faultOf(refused, err)
		default:
			return err
		}
		if hasCode(err, "25006") { // read-only: a primary became a standby behind its address
			db.Pool.Reset()
		}
		if !confirm && (attempt >= attempts || isLost && attempt > 1 && time.Since(begin) > delta) {
			if isLost {
				return unavailable(err)
			}
			return faultOf(refused, err)
		}
		if pause(ctx, time.Duration(rand.Int64N(int64(min(attempt, attempts))*int64(10*time.Millisecond)))) != nil {
			if confirm {
				return outcomeUnknown(err)
			}
			return ctx.Err()
		}
	}
}

// awaitEnd waits until a backend that may still commit is gone: then what is read is final. A server that was promoted
// meanwhile does not know the backend, nor will it ever hear of what that commits.
func (db *DB) awaitEnd(ctx context.Context, backend uint32) error {
	for {
		var lives bool
		err := db.Pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1 AND pid <> pg_backend_pid())`,
			int64(backend)).Scan(&lives)
		if err == nil && !lives {
			return nil
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// lost tells that the server, or the way to it, is gone, so that another connection may do.
func lost(err error) bool {
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		return refused.SeverityUnlocalized != "ERROR" || refused.Code == "25006"
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || pgconn.SafeToRetry(err)
}

// outcomeUnknown is the answer when nobody can say in time what became of a commit.
func outcomeUnknown(err error) error {
	return fmt.Errorf("%w (%v)", fault.New(errorv1.Reason_REASON_UNAVAILABLE,
		"The database did not say whether the change was made. Look, or repeat the request with the same request id: it is not made twice.").
		WithRetry(5*time.Second), err)
}

// unavailable is the answer when nothing was changed, or nothing can be said, because the database is away.
func unavailable(err error) error {
	return fmt.Errorf("%w (%w)", fault.New(errorv1.Reason_REASON_UNAVAILABLE,
		"The database does not answer as it should. Try again.").WithRetry(time.Second), err)
}
