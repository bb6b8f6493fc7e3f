package postgres_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/devpg"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/seal"
	"github.com/rosterhq/roster/services/internal/testkit"
)

// pair is a primary with a synchronous standby, and a database on it.
type pair struct {
	testing.TB
	primary, standby *devpg.Cluster
}

func newPair(t testing.TB) *pair {
	t.Helper()
	dir, err := os.MkdirTemp("", "roster-pair-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	p := &pair{TB: t}
	if p.primary, err = devpg.Start(t.Context(), filepath.Join(dir, "a"), devpg.Options{Fast: true, Password: "secret"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.primary.Destroy() })
	admin, err := pgx.Connect(t.Context(), p.primary.DSN("postgres", "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(context.WithoutCancel(t.Context()))
	if err := postgres.Provision(t.Context(), admin, "notes", "secret"); err != nil {
		t.Fatal(err)
	}
	if err := postgres.Migrate(t.Context(), p.primary.DSN("notes", "notes_owner"), notes); err != nil {
		t.Fatal(err)
	}
	if p.standby, err = devpg.Standby(t.Context(), filepath.Join(dir, "b"), p.primary, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.standby.Destroy() })
	return p
}

// open opens the database at these servers, the first that will do.
func (p *pair) open(servers ...*devpg.Cluster) *postgres.DB {
	p.Helper()
	hosts := servers[0].Address()
	for _, server := range servers[1:] {
		hosts += "," + server.Address()
	}
	dsn := fmt.Sprintf("postgres://notes:secret@%s/notes?sslmode=disable&target_session_attrs=read-write", hosts)
	db, err := postgres.Open(p.Context(), "notes", dsn, seal.NewKey(sha256.Sum256([]byte("tests"))), postgres.Options{})
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(db.Close)
	return db
}

// pause stops the standby until the test goes on.
func (p *pair) pause() {
	p.Helper()
	if err := p.standby.Pause(); err != nil {
		p.Fatal(err)
	}
}

func (p *pair) resume() {
	p.Helper()
	if err := p.standby.Resume(); err != nil {
		p.Fatal(err)
	}
}

func view(db *postgres.DB, organization id.Organization) (found []note, err error) {
	err = db.View(context.Background(), postgres.In(organization), func(tx *postgres.Tx) error {
		tx.Read(`SELECT text, count FROM notes WHERE aggregate_id = $1`, []any{organization}, postgres.All(&found))
		return tx.Fetch(context.Background())
	})
	return found, err
}

func add(db *postgres.DB, organization id.Organization, text string) error {
	return db.InTx(context.Background(), postgres.In(organization), func(tx *postgres.Tx) error {
		tx.Write(insertNote+` ON CONFLICT DO NOTHING`, organization, text)
		return nil
	})
}

// eventually waits until done; the server tells nobody.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(40 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}

// waiting tells whether a commit waits for the standby.
func (p *pair) waiting() bool {
	p.Helper()
	var waits bool
	p.ask(`SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep')`, &waits)
	return waits
}

// ask asks the primary as the superuser.
func (p *pair) ask(sql string, answer any) {
	p.Helper()
	admin, err := pgx.Connect(p.Context(), p.primary.DSN("notes", "postgres"))
	if err != nil {
		p.Fatal(err)
	}
	defer admin.Close(context.WithoutCancel(p.Context()))
	if err := admin.QueryRow(p.Context(), sql).Scan(answer); err != nil {
		p.Fatal(err)
	}
}

// A commit that does not wait for the standby any more may be lost with the primary: whoever made it is not told that it is
// done.
func TestCommitThatWaitsForTheStandby(t *testing.T) {
	t.Parallel()
	for name, interrupt := range map[string]string{
		"Cancelled":  `SELECT bool_or(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'`,
		"Terminated": `SELECT bool_or(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			db := p.open(p.primary)
			organization := id.NewOrganization()
			p.pause()
			done := make(chan error, 1)
			go func() { done <- add(db, organization, "note") }()
			eventually(t, "the commit does not wait", p.waiting)
			var interrupted bool
			p.ask(interrupt, &interrupted)
			eventually(t, "nobody makes sure of it", func() bool { // it is visible now, and a commit after it waits
				var visible int
				p.ask(`SELECT count(*) FROM notes`, &visible)
				return visible == 1 && p.waiting()
			})
			select {
			case err := <-done:
				t.Errorf("interrupted: %t; answered %v though the standby does not have it", interrupted, err)
			default:
			}
			p.resume()
			if err := <-done; err != nil {
				t.Errorf("answered %v though the standby has it", err)
			}
		})
	}
	t.Run("ACallerWhoLeavesCancelsNothing", func(t *testing.T) {
		t.Parallel()
		p := newPair(t)
		db := p.open(p.primary)
		organization := id.NewOrganization()
		p.pause()
		ctx, leave := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- db.Flight(ctx, postgres.In(organization), func(batch *pgx.Batch) { batch.Queue(insertNote, organization, "note") })
		}()
		eventually(t, "the commit does not wait", p.waiting)
		leave()
		if err := <-done; fault.ReasonOf(err) != errorv1.Reason_REASON_UNAVAILABLE { // after the commit's own time
			t.Errorf("got %v, want UNAVAILABLE", err)
		}
		var visible int
		if p.ask(`SELECT count(*) FROM notes`, &visible); visible != 0 || !p.waiting() {
			t.Errorf("%d notes are visible before the standby has them", visible)
		}
		p.resume()
		eventually(t, "the commit is lost", func() bool {
			p.ask(`SELECT count(*) FROM notes`, &visible)
			return visible == 1
		})
	})
}

// The standby is gone, as far as the primary can tell: it may have been promoted, and what the primary reads may be the past.
func TestPrimaryIsProved(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	db := p.open(p.primary)
	organization := id.NewOrganization()
	if err := add(db, organization, "note"); err != nil {
		t.Fatal(err)
	}
	if found, err := view(db, organization); err != nil || len(found) != 1 {
		t.Fatalf("found %v, %v", found, err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- db.Beats(ctx) }()

	p.pause()
	cut := time.Now()
	eventually(t, "it goes on answering", func() bool {
		asked := time.Now()
		_, err := view(db, organization)
		if err == nil && asked.Sub(cut) > time.Second+500*time.Millisecond {
			t.Errorf("an answer to a question of %v after the cut", asked.Sub(cut))
		}
		return fault.ReasonOf(err) == errorv1.Reason_REASON_UNAVAILABLE
	})
	for name, ask := range map[string]func() error{
		"a view": func() error { _, err := view(db, organization); return err },
		"a flight that only reads": func() error {
			return db.Flight(t.Context(), postgres.In(organization), func(batch *pgx.Batch) { batch.Queue(`SELECT 1`) })
		},
		"a transaction that only reads": func() error {
			return db.InTx(t.Context(), postgres.In(organization), func(tx *postgres.Tx) error { return tx.Fetch(t.Context()) })
		},
		"a decision to refuse": func() error {
			return db.InTx(t.Context(), postgres.In(organization), func(tx *postgres.Tx) error {
				if err := tx.Fetch(t.Context()); err != nil {
					return err
				}
				return errEmpty
			})
		},
		"what the schema forbids": func() error {
			return db.InTx(t.Context(), postgres.In(organization), func(tx *postgres.Tx) error {
				tx.Write(insertNote, organization, "")
				return nil
			})
		},
		"one statement": func() error {
			return db.Read(t.Context(), func(conn *pgx.Conn) error { return conn.Ping(t.Context()) })
		},
	} {
		if f := fault.From(ask()); f == nil || f.Reason != errorv1.Reason_REASON_UNAVAILABLE || f.Retry == 0 {
			t.Errorf("%s is answered: %v", name, f)
		}
	}
	p.resume()
	eventually(t, "it stays silent", func() bool { found, err := view(db, organization); return err == nil && len(found) == 1 })
	stop()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// A beat proves what was true when it was sent: while its answer was on the way another server may have been promoted.
func TestProofIsAsOldAsTheQuestion(t *testing.T) {
	t.Parallel()
	db := testkit.Open(t, "notes", notes)
	testkit.Cuts(t, db, func(flight int) testkit.Cut {
		switch flight {
		case 1, 3: // a view
			return testkit.Whole
		case 2: // the beat that proves it
			return testkit.Late
		}
		return testkit.Unsent
	})
	organization := id.NewOrganization()
	if _, err := view(db, organization); err != nil {
		t.Errorf("what was read before the beat was sent is not proved by it: %v", err)
	}
	if _, err := view(db, organization); fault.ReasonOf(err) != errorv1.Reason_REASON_UNAVAILABLE {
		t.Errorf("got %v, want UNAVAILABLE: the beat was sent more than a second ago, and none since", err)
	}
}

// The old primary lives on and takes questions; the service that can reach both follows, one that cannot is silent, and what
// is taken away is gone everywhere when the call returns.
func TestPromotion(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	both, old := p.open(p.primary, p.standby), p.open(p.primary)
	for _, db := range []*postgres.DB{both, old} {
		ctx, stop := context.WithCancel(t.Context())
		stopped := make(chan error, 1)
		go func() { stopped <- db.Beats(ctx) }()
		t.Cleanup(func() { stop(); <-stopped })
	}
	organization := id.NewOrganization()
	if err := add(both, organization, "before"); err != nil {
		t.Fatal(err)
	}
	// Whoever is promoted stops listening to the old primary, and so confirms nothing to it.
	if err := p.standby.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the service does not follow", func() bool { return add(both, organization, "after") == nil })
	if found, err := view(old, organization); err == nil {
		t.Errorf("the old primary answers %v after the new one has changed it", found)
	}
	if found, err := view(both, organization); err != nil || len(found) != 2 {
		t.Errorf("found %v, %v, want both notes", found, err)
	}
	if err := add(old, organization, "forked"); fault.ReasonOf(err) != errorv1.Reason_REASON_UNAVAILABLE {
		t.Errorf("the old primary commits: %v", err)
	}
	if found, err := view(both, organization); err != nil || len(found) != 2 {
		t.Errorf("found %v, %v, want what the new primary has", found, err)
	}
}

// A pool that was filled by one server does not go on with it when another has been seen.
func TestPoolDoesNotMixServers(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	db := p.open(p.primary, p.standby)
	conns := make([]*pgxpool.Conn, 4)
	for i := range conns {
		conn, err := db.Pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		conns[i] = conn
	}
	for _, conn := range conns {
		conn.Release()
	}
	if err := p.standby.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "no connection to the new primary", func() bool { return add(db, id.NewOrganization(), "note") == nil })
	for range 8 {
		var timeline string
		err := db.Read(t.Context(), func(conn *pgx.Conn) error {
			return conn.QueryRow(t.Context(), `SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)`).Scan(&timeline)
		})
		if err != nil || timeline != "00000002" {
			t.Errorf("timeline %s, %v", timeline, err)
		}
	}
}

// Whoever waits for a connection waits for others who use them. That says nothing about the server.
func TestBeatsUnderAFullPool(t *testing.T) {
	t.Parallel()
	dsns := testkit.Database(t, "notes", notes)
	db := dsns.Open(t, postgres.Options{Conns: 2})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- db.Beats(ctx) }()
	defer func() {
		stop()
		<-ended
	}()
	for range 2 {
		conn, err := db.Pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Release()
	}
	owner, err := pgx.Connect(t.Context(), dsns.Owner)
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close(context.Background())
	var full time.Time
	if err := owner.QueryRow(t.Context(), `SELECT now()`).Scan(&full); err != nil {
		t.Fatal(err)
	}
	eventually(t, "no beat while the pool is full", func() (beats bool) {
		if err := owner.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM beats WHERE time > $1)`, full).Scan(&beats); err != nil {
			t.Fatal(err)
		}
		return beats
	})
}
