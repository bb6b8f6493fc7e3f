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

func timelineOf(ctx context.Context, conn *pgconn.PgConn) (uint64, error) {
	results, err := conn.Exec(ctx, `SELECT CASE WHEN NOT pg_is_in_recovery() THEN left(pg_walfile_name(pg_current_wal_lsn()), 8) END`).ReadAll()
	if err != nil {
		return 0, fmt.Errorf("read the server's timeline: %w", err)
	}
	timeline := results[0].Rows[0][0]
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
