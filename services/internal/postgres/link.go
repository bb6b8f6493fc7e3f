package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// link is what is known of one connection.
type link struct {
	timeline   uint64      // of the server's history; promoting a standby begins the next
	committing atomic.Bool // a commit is on its way, or was when the connection was lost
	doubtful   atomic.Bool // the server warned of what it was committing
}

const linkKey = "roster"

func linkOf(conn *pgx.Conn) *link { return conn.PgConn().CustomData()[linkKey].(*link) }

// era is a timeline, and since when this process knows of it.
type era struct {
	timeline uint64
	since    time.Time
}

var (
	errNoCancel = errors.New("a commit is not cancelled")
	errStandby  = errors.New("the server is a standby")
	errPast     = errors.New("the server is not the primary any more: another has been promoted")
	errPooler   = errors.New("a connection pooler such as PgBouncer answers: give the address of PostgreSQL itself")
)

// link prepares a connection that is about to be made.
func (db *DB) link(_ context.Context, config *pgx.ConnConfig) error {
	l := &link{}
	dial, validate := config.DialFunc, config.ValidateConnect
	// A driver that gives a statement up asks the server to cancel it, over a connection made with the same settings. To
	// cancel a commit that waits for the standby makes it visible though it may yet vanish, so that is never asked.
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if l.committing.Load() {
			return nil, errNoCancel
		}
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &attentive{Conn: conn}, nil
	}
	config.OnNotice = func(_ *pgconn.PgConn, notice *pgconn.Notice) {
		if notice.SeverityUnlocalized == "WARNING" {
			l.doubtful.Store(true)
		}
	}
	// Of several hosts the one that is refused here is passed over.
	config.ValidateConnect = func(ctx context.Context, conn *pgconn.PgConn) (err error) {
		if validate != nil {
			if err := validate(ctx, conn); err != nil {
				return err
			}
		}
		if l.timeline, err = timelineOf(ctx, conn); err != nil {
			return err
		}
		conn.CustomData()[linkKey] = l
		if err := db.meet(l.timeline); err != nil {
			return err
		}
		return db.tryOut(ctx, conn)
	}
	return nil
}

// timelineOf asks the server. A pooler, which passes each transaction to whichever server it likes, gives itself away by the
// process that it names as its own: what is known of a connection would not be true of the next transaction, and who asks
// whether that process has ended, and its commit with it, would be told so at once. Which cluster it is stays with the
// connection, in app.cluster.
func timelineOf(ctx context.Context, conn *pgconn.PgConn) (uint64, error) {
	results, err := conn.Exec(ctx, `
		SELECT pg_backend_pid(), CASE WHEN NOT pg_is_in_recovery() THEN left(pg_walfile_name(pg_current_wal_lsn()), 8) END,
		       set_config('app.cluster', system_identifier::text, false)
		FROM pg_control_system()`).ReadAll()
	if err != nil {
		return 0, fmt.Errorf("read the server's timeline: %w", err)
	}
	backend, timeline := results[0].Rows[0][0], results[0].Rows[0][1]
	if string(backend) != strconv.FormatUint(uint64(conn.PID()), 10) {
		return 0, errPooler
	}
	if timeline == nil {
		return 0, errStandby
	}
	return strconv.ParseUint(string(timeline), 16, 64)
}

// meet takes note of a server. Once a standby was promoted, this process does not go back to the primary before it.
func (db *DB) meet(timeline uint64) error {
	for {
		known := db.era.Load()
		switch {
		case known != nil && timeline < known.timeline:
			return errPast
		case known != nil && timeline == known.timeline, db.era.CompareAndSwap(known, &era{timeline, time.Now()}):
			return nil
		}
	}
}

// current tells whether a connection that was idle still goes to the primary.
func (db *DB) current(_ context.Context, conn *pgx.Conn) (bool, error) {
	return linkOf(conn).timeline == db.era.Load().timeline, nil
}
