package testkit

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rosterhq/roster/services/internal/postgres"
)

// Cut is what happens to the connection of a flight that may commit.
type Cut int

// Where a connection breaks.
const (
	Whole   Cut = iota
	Unsent      // nothing of the flight reaches the server
	Unheard     // the server has done it, and the answer is lost
	Late        // the answer takes a second and a half
)

// Cuts breaks connections of db from here on, as plan says for the first, second and further commit.
func Cuts(t testing.TB, db *postgres.DB, plan func(commit int) Cut) {
	t.Helper()
	var commits atomic.Int64
	dials(t, db, func(conn net.Conn) net.Conn { return &brittle{Conn: conn} }, scissors(func(conn *brittle, batch *pgx.Batch) {
		queued := batch.QueuedQueries
		if first, last := queued[0].SQL, queued[len(queued)-1].SQL; last == "COMMIT" || first != "BEGIN" {
			conn.arm(plan(int(commits.Add(1))), len(queued))
		}
	}))
}

// Mutes returns what makes the server silent on the connections that db has by then. They do not end.
func Mutes(t testing.TB, db *postgres.DB) (mute func()) {
	t.Helper()
	var mu sync.Mutex
	var made []*quiet
	dials(t, db, func(conn net.Conn) net.Conn {
		mu.Lock()
		defer mu.Unlock()
		made = append(made, &quiet{Conn: conn})
		return made[len(made)-1]
	}, nil)
	return func() {
		mu.Lock()
		defer mu.Unlock()
		for _, conn := range made {
			conn.muted.Store(true)
		}
	}
}

// quiet is a connection over which nothing goes any more once it is muted.
type quiet struct {
	net.Conn
	muted atomic.Bool
}

func (q *quiet) Write(p []byte) (int, error) {
	if q.muted.Load() {
		return len(p), nil
	}
	return q.Conn.Write(p)
}

// dials replaces the connections of db by such as wrap makes.
func dials(t testing.TB, db *postgres.DB, wrap func(net.Conn) net.Conn, tracer pgx.QueryTracer) {
	t.Helper()
	config := db.Pool.Config()
	dial := config.ConnConfig.DialFunc
	config.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return wrap(conn), nil
	}
	config.ConnConfig.Tracer = tracer
	for _, pool := range []**pgxpool.Pool{&db.Pool, &db.Heart} {
		wrapped, err := pgxpool.NewWithConfig(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		(*pool).Close()
		*pool = wrapped
		t.Cleanup(wrapped.Close)
	}
}

// scissors is told of a batch before it is sent.
type scissors func(*brittle, *pgx.Batch)

func (s scissors) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}
func (s scissors) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
func (s scissors) TraceBatchStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	s(conn.PgConn().Conn().(interface{ NetConn() net.Conn }).NetConn().(*brittle), data.Batch)
	return ctx
}
func (s scissors) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (s scissors) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}

// brittle is a connection that breaks on command.
type brittle struct {
	net.Conn
	mu   sync.Mutex
	cut  Cut
	left int    // statements that the server has yet to complete
	part []byte // of a message that has not come whole
}

func (b *brittle) arm(cut Cut, statements int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cut, b.left = cut, statements
}

func (b *brittle) Write(p []byte) (int, error) {
	b.mu.Lock()
	cut := b.cut
	b.mu.Unlock()
	if cut == Unsent {
		b.Conn.Close()
		return 0, io.ErrClosedPipe
	}
	return b.Conn.Write(p)
}

func (b *brittle) Read(p []byte) (int, error) {
	n, err := b.Conn.Read(p)
	b.mu.Lock()
	if b.cut == Late {
		b.cut = Whole
		b.mu.Unlock()
		time.Sleep(1500 * time.Millisecond)
		b.mu.Lock()
	}
	defer b.mu.Unlock()
	if b.cut == Unheard && b.done(p[:n]) {
		b.Conn.Close()
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

// done reads what the server says, and tells whether it says that it is ready after all statements were completed.
func (b *brittle) done(said []byte) bool {
	const header = 5
	b.part = append(b.part, said...)
	for len(b.part) >= header {
		size := 1 + int(binary.BigEndian.Uint32(b.part[1:]))
		if len(b.part) < size {
			break
		}
		kind := b.part[0]
		b.part = b.part[size:]
		switch kind {
		case 'C': // command complete
			b.left--
		case 'Z': // ready for query
			if b.left <= 0 {
				return true
			}
		}
	}
	return false
}
