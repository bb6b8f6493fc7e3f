package outbox

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rosterhq/roster/pkg/events"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

	"github.com/rosterhq/roster/services/internal/devnats"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/testkit"
)

// bench is a service with nothing but its log, and a NATS server.
type bench struct {
	dsns testkit.DSNs
	db   *postgres.DB
	js   jetstream.JetStream
}

func newBench(t *testing.T) *bench {
	t.Helper()
	dsns := testkit.Database(t, "membership", nil)
	return &bench{dsns: dsns, db: dsns.Open(t, postgres.Options{}), js: jetStream(t, testkit.NATS(t))}
}

func jetStream(t testing.TB, server *devnats.Server, options ...nats.Option) jetstream.JetStream {
	t.Helper()
	conn, err := server.Connect(options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// log reads the history of an organization.
func (b *bench) log(t *testing.T, organization id.Organization) (entries []Entry) {
	t.Helper()
	b.asOwner(t, func(conn *pgx.Conn) (err error) {
		rows, _ := conn.Query(context.Background(), `
			SELECT aggregate_id, revision, epoch, id, type, time, data, personal, personal_salt, personal_hash, trace_id, prev_hash, hash
			FROM events WHERE aggregate_id = $1 ORDER BY revision`, organization)
		entries, err = pgx.CollectRows(rows, pgx.RowToStructByName[Entry])
		return err
	})
	return entries
}

func (b *bench) relay(t *testing.T) *Relay {
	return NewRelay(b.dsns.Open(t, postgres.Options{Role: postgres.RelayRole, Conns: 2}), b.js, 1, quiet)
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// run runs something until the test ends or stop is called.
func run(t testing.TB, what func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- what(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("ended with %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Error("does not end")
		}
	})
	t.Cleanup(stop)
	return stop
}

// publish commits one event per organization.
func (b *bench) publish(t testing.TB, organizations ...id.Organization) {
	t.Helper()
	for _, organization := range organizations {
		err := b.db.InTx(context.Background(), postgres.In(organization), func(tx *postgres.Tx) error {
			return Publish(tx, organization, time.Now(), &eventv1.MemberAdded{Personal: &eventv1.Personal{DisplayName: "Ann"}})
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// waiting counts the rows of the outbox.
func (b *bench) waiting(t testing.TB) (n int) {
	t.Helper()
	b.asOwner(t, func(conn *pgx.Conn) error {
		return conn.QueryRow(t.Context(), `SELECT count(*) FROM outbox`).Scan(&n)
	})
	return n
}

func (b *bench) asOwner(t testing.TB, do func(*pgx.Conn) error) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), b.dsns.Owner)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := do(conn); err != nil {
		t.Fatal(err)
	}
}

// drained waits until the outbox is empty.
func (b *bench) drained(t testing.TB) {
	t.Helper()
	eventually(t, "the outbox is not empty", func() bool { return b.waiting(t) == 0 })
}

func eventually(t testing.TB, complaint string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(complaint)
		}
	}
}

// published reads the whole stream.
func published(t testing.TB, js jetstream.JetStream) (found []events.Event) {
	t.Helper()
	stream, err := js.Stream(t.Context(), events.Stream("membership"))
	if err != nil {
		t.Fatal(err)
	}
	for seq := uint64(1); seq <= stream.CachedInfo().State.LastSeq; seq++ {
		msg, err := stream.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		e, err := events.Parse(msg.Data)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, e)
	}
	return found
}

// inOrder checks that the events of each aggregate are revisions 1 to n, once each and chained.
func inOrder(t testing.TB, found []events.Event, want int) {
	t.Helper()
	last := make(map[string]events.Event)
	for _, e := range found {
		if l := last[e.Aggregate]; e.Revision != l.Revision+1 || l.Hash != "" && e.PrevHash != l.Hash {
			t.Errorf("revision %d of %s comes after %d", e.Revision, e.Aggregate, l.Revision)
		}
		last[e.Aggregate] = e
	}
	if len(found) != want {
		t.Errorf("%d events, want %d", len(found), want)
	}
}

func organizations(n int) []id.Organization {
	made := make([]id.Organization, n)
	for i := range made {
		made[i] = id.NewOrganization()
	}
	return made
}

// reconnecting is a connection over TCP that comes back with the server.
func reconnecting(t testing.TB, server *devnats.Server) jetstream.JetStream {
	t.Helper()
	conn, err := nats.Connect(server.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return js
}
