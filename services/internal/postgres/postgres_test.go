package postgres_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/protobuf/proto"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// notes is a table of tenants, as services have them.
var notes = fstest.MapFS{"00001_notes.sql": {Data: []byte(`
-- +goose Up
CREATE TABLE notes (
  aggregate_id uuid NOT NULL,
  text         text NOT NULL CONSTRAINT notes_text CHECK (text <> ''),
  count        int  NOT NULL DEFAULT 1,
  PRIMARY KEY (aggregate_id, text)
);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
ALTER TABLE notes FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON notes TO roster_app USING (aggregate_id = nullif(current_setting('app.aggregate_id', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE ON notes TO roster_app;

-- +goose StatementBegin
CREATE FUNCTION fail(code text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'failed' USING ERRCODE = code;
END
$$;
-- +goose StatementEnd
`)}}

var errEmpty = fault.New(errorv1.Reason_REASON_VALIDATION_FAILED, "A note needs a text.")

func init() { postgres.Refusal("notes_text", errEmpty) }

const (
	insertNote = `INSERT INTO notes (aggregate_id, text) VALUES ($1, $2)`
	countNote  = `INSERT INTO notes (aggregate_id, text) VALUES ($1, $2)
		ON CONFLICT (aggregate_id, text) DO UPDATE SET count = notes.count + 1`
)

type note struct {
	Text  string
	Count int
}

// read returns the notes that the scope sees, of whatever tenant.
func read(t testing.TB, db *postgres.DB, scope postgres.Scope) (found []note) {
	t.Helper()
	err := db.InTx(context.Background(), scope, func(tx *postgres.Tx) error {
		tx.Read(`SELECT text, count FROM notes ORDER BY text`, nil, postgres.All(&found))
		return tx.Fetch(context.Background())
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestInTx(t *testing.T) {
	t.Parallel()
	organization := id.NewOrganization()
	scope := postgres.In(organization)

	t.Run("ReadsAndWritesAreOneFlightEach", func(t *testing.T) {
		t.Parallel()
		db := testkit.Open(t, "notes", notes)
		flights := count(t, db)
		committed := 0
		var woken postgres.Waiting
		db.Committed = func(waiting postgres.Waiting) {
			committed++
			woken |= waiting
		}
		var before []note
		err := db.InTx(t.Context(), scope, func(tx *postgres.Tx) error {
			tx.Write(insertNote, organization, "one")
			tx.Read(`SELECT text, count FROM notes`, nil, postgres.All(&before))
			if err := tx.Fetch(t.Context()); err != nil {
				return err
			}
			if tx.Now().IsZero() {
				t.Error("the transaction does not know its time")
			}
			tx.Write(insertNote, organization, "two")
			tx.Wake(postgres.Sweeper)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if n := flights.Load(); n != 2 || committed != 1 || woken != postgres.Sweeper {
			t.Errorf("%d flights and %d commits, want 2 and 1; woken: %b", n, committed, woken)
		}
		if after := read(t, db, scope); len(before) != 0 || len(after) != 2 {
			t.Errorf("%d notes before the commit and %d after it, want 0 and 2", len(before), len(after))
		}
	})
	t.Run("WritesWithoutReadsAreOneFlight", func(t *testing.T) {
		t.Parallel()
		db := testkit.Open(t, "notes", notes)
		flights := count(t, db)
		err := db.InTx(t.Context(), scope, func(tx *postgres.Tx) error {
			tx.Write(insertNote, organization, "one")
			return nil
		})
		if err != nil || flights.Load() != 1 || len(read(t, db, scope)) != 1 {
			t.Errorf("the note was not written in one flight: %v", err)
		}
	})
	t.Run("AWriteThatFailsInTheOneFlightChangesNothing", func(t *testing.T) {
		t.Parallel()
		db := testkit.Open(t, "notes", notes)
		for range 2 * int(db.Pool.Config().MaxConns) { // every connection comes back clean
			err := db.InTx(t.Context(), scope, func(tx *postgres.Tx) error {
				tx.Write(insertNote, organization, "one")
				tx.Write(insertNote, organization, "")
				return nil
			})
			if !errors.Is(err, errEmpty) {
				t.Errorf("got %v", err)
			}
		}
		if left := read(t, db, scope); len(left) != 0 {
			t.Errorf("%d notes are left", len(left))
		}
	})
	t.Run("RunsAgainAfterASerializationFailure", func(t *testing.T) {
		t.Parallel()
		db := testkit.Open(t, "notes", notes)
		runs := 0
		err := db.InTx(t.Context(), scope, func(tx *postgres.Tx) error {
			tx.Write(insertNote, organization, "one")
			if runs++; runs == 1 {
				tx.Write(`SELECT fail('40001')`)
			}
			return nil
		})
		if err != nil || runs != 2 || len(read(t, db, scope)) != 1 {
			t.Errorf("%d runs, %v, want 2", runs, err)
		}
	})
	t.Run("IsBusyWhenOthersAlwaysWin", func(t *testing.T) {
		t.Parallel()
		db := testkit.Open(t, "notes", notes)
		err := db.InTx(t.Context(), scope, func(tx *postgres.Tx) error {
			tx.Write(`SELECT fail('40P01')`)
			return nil
		})
		if f := fault.From(err); f == nil || f.Reason != errorv1.Reason_REASON_BUSY || f.Retry == 0 {
			t.Errorf("got %v, want BUSY and when to try again", err)
		}
	})
	t.Run("ConstraintIsItsFault", func(t *testing.T) {
		t.Parallel()
		db := testkit.Open(t, "notes", notes)
		err := db.InTx(t.Context(), scope, func(tx *postgres.Tx) error {
			tx.Write(insertNote, organization, "")
			return nil
		})
		if !errors.Is(err, errEmpty) {
			t.Errorf("got %v, want the fault of notes_text", err)
		}
	})
	t.Run("FailureLeavesTheConnectionClean", func(t *testing.T) {
		t.Parallel()
		db := testkit.Database(t, "notes", notes).Open(t, postgres.Options{Conns: 1})
		refusal := errors.New("refused")
		for name, fn := range map[string]func(*postgres.Tx) error{
			"before the first flight": func(tx *postgres.Tx) error { return refusal },
			"after the first flight": func(tx *postgres.Tx) error {
				tx.Write(insertNote, organization, "lost")
				if err := tx.Fetch(t.Context()); err != nil {
					return err
				}
				return refusal
			},
			"in the first flight": func(tx *postgres.Tx) error {
				tx.Read(`SELECT fail('22000')`, nil, func(pgx.Rows) error { return nil })
				return tx.Fetch(t.Context())
			},
			"in the second flight": func(tx *postgres.Tx) error {
				tx.Write(insertNote, organization, "lost")
				tx.Write(`SELECT fail('22000')`)
				return nil
			},
		} {
			if err := db.InTx(t.Context(), scope, fn); err == nil {
				t.Errorf("%s: no error", name)
			}
			var setting string
			if err := db.Pool.QueryRow(t.Context(), `SELECT coalesce(current_setting('app.aggregate_id', true), '')`).Scan(&setting); err != nil || setting != "" {
				t.Errorf("%s: the next user finds the scope %q, %v", name, setting, err)
			}
			if left := read(t, db, scope); len(left) != 0 {
				t.Errorf("%s: %v was written", name, left)
			}
		}
	})
}

func TestFlightIsAllOrNothing(t *testing.T) {
	t.Parallel()
	db := testkit.Open(t, "notes", notes)
	organization := id.NewOrganization()
	for _, text := range []string{"", "two"} {
		err := db.Flight(t.Context(), postgres.In(organization), func(batch *pgx.Batch) {
			batch.Queue(insertNote, organization, "one")
			batch.Queue(insertNote, organization, text)
		})
		if refused := errors.Is(err, errEmpty); refused != (text == "") || !refused && err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	if found := read(t, db, postgres.In(organization)); len(found) != 2 {
		t.Errorf("found %v, want one and two", found)
	}
}

func TestOnce(t *testing.T) {
	t.Parallel()
	db := testkit.Open(t, "notes", notes)
	request := func(requestID, principal, body string) postgres.Request {
		return postgres.Request{ID: requestID, Principal: principal, Method: "CreateNote", Body: &eventv1.Organization{DisplayName: body}}
	}
	// create counts how often it ran, in the database and in its answer.
	create := func(organization id.Organization, req postgres.Request) (string, int64, error) {
		scope := postgres.In(organization)
		answer, revision, err := postgres.Once(context.Background(), db, scope, req, func(tx *postgres.Tx) (*eventv1.Organization, error) {
			if err := tx.Fetch(context.Background()); err != nil {
				return nil, err
			}
			tx.Write(countNote, organization, "note")
			err := outbox.Publish(tx, organization, tx.Now(), &eventv1.OrganizationCreated{})
			return &eventv1.Organization{DisplayName: id.NewEvent().String()}, err
		})
		return answer.GetDisplayName(), revision, err
	}
	ran := func(t *testing.T, organization id.Organization, want int) {
		t.Helper()
		if found := read(t, db, postgres.In(organization)); len(found) != 1 || found[0].Count != want {
			t.Errorf("found %v, want one note with count %d", found, want)
		}
	}

	t.Run("RepeatGetsTheFirstAnswerAndRevision", func(t *testing.T) {
		t.Parallel()
		organization := id.NewOrganization()
		first, revision, err := create(organization, request("a", "ann", "x"))
		if err != nil || revision != 1 {
			t.Fatalf("revision %d, %v, want 1", revision, err)
		}
		if _, revision, err := create(organization, request("b", "ann", "x")); err != nil || revision != 2 {
			t.Fatalf("revision %d, %v, want 2", revision, err)
		}
		again, revision, err := create(organization, request("a", "ann", "x"))
		if err != nil || again != first || revision != 1 {
			t.Errorf("%q at %d, %v, want %q at 1", again, revision, err, first)
		}
		ran(t, organization, 2)
	})
	t.Run("WithoutAnIDEveryCallIsNew", func(t *testing.T) {
		t.Parallel()
		organization := id.NewOrganization()
		for want := range int64(2) {
			if _, revision, err := create(organization, request("", "ann", "x")); err != nil || revision != want+1 {
				t.Errorf("revision %d, %v, want %d", revision, err, want+1)
			}
		}
		ran(t, organization, 2)
	})
	t.Run("OtherBodyIsRefused", func(t *testing.T) {
		t.Parallel()
		organization := id.NewOrganization()
		if _, _, err := create(organization, request("a", "ann", "x")); err != nil {
			t.Fatal(err)
		}
		_, _, err := create(organization, request("a", "ann", "y"))
		if f := fault.From(err); f == nil || f.Reason != errorv1.Reason_REASON_REQUEST_ID_REUSED {
			t.Errorf("got %v, want REQUEST_ID_REUSED", err)
		}
		ran(t, organization, 1)
	})
	t.Run("OtherCallerIsAnotherScope", func(t *testing.T) {
		t.Parallel()
		organization := id.NewOrganization()
		first, _, _ := create(organization, request("a", "ann", "x"))
		second, _, err := create(organization, request("a", "bob", "y"))
		if err != nil || second == first {
			t.Errorf("got the answer %q of another caller, %v", second, err)
		}
		ran(t, organization, 2)
	})
	t.Run("ParallelRepeatsRunOnce", func(t *testing.T) {
		t.Parallel()
		organization := id.NewOrganization()
		var answers [20]string
		var all sync.WaitGroup
		for i := range answers {
			all.Go(func() {
				var err error
				var revision int64
				if answers[i], revision, err = create(organization, request("a", "ann", "x")); err != nil || revision != 1 {
					t.Errorf("call %d: revision %d, %v", i, revision, err)
				}
			})
		}
		all.Wait()
		if distinct := slices.Compact(slices.Sorted(slices.Values(answers[:]))); len(distinct) != 1 {
			t.Errorf("%d answers to one request", len(distinct))
		}
		ran(t, organization, 1)
	})
	t.Run("RepeatThatCommitsFirstAnswersForBoth", func(t *testing.T) {
		t.Parallel()
		organization := id.NewOrganization()
		var other string
		runs := 0
		answer, revision, err := postgres.Once(t.Context(), db, postgres.In(organization), request("a", "ann", "x"), func(tx *postgres.Tx) (*eventv1.Organization, error) {
			runs++
			if err := tx.Fetch(t.Context()); err != nil {
				return nil, err
			}
			var err error
			other, _, err = create(organization, request("a", "ann", "x"))
			return &eventv1.Organization{DisplayName: "too late"}, err
		})
		if err != nil || runs != 2 || answer.GetDisplayName() != other || revision != 1 {
			t.Errorf("%q at %d after %d runs, %v, want %q at 1 after 2", answer.GetDisplayName(), revision, runs, err, other)
		}
		ran(t, organization, 1)
	})
	t.Run("ReplayedAnswersOnlyWhatWasAnswered", func(t *testing.T) {
		t.Parallel()
		organization := id.NewOrganization()
		replayed := func(requestID, body string) (string, bool, error) {
			answer, found, err := postgres.Replayed[*eventv1.Organization](t.Context(), db, postgres.In(organization), request(requestID, "ann", body))
			return answer.GetDisplayName(), found, err
		}
		for _, requestID := range []string{"", "a"} {
			if answer, found, err := replayed(requestID, "x"); answer != "" || found || err != nil {
				t.Errorf("%q, %v, %v, want nothing yet", answer, found, err)
			}
		}
		first, _, err := create(organization, request("a", "ann", "x"))
		if err != nil {
			t.Fatal(err)
		}
		if answer, found, err := replayed("a", "x"); answer != first || !found || err != nil {
			t.Errorf("%q, %v, %v, want %q", answer, found, err, first)
		}
		if _, found, err := replayed("a", "y"); found || fault.ReasonOf(err) != errorv1.Reason_REASON_REQUEST_ID_REUSED {
			t.Errorf("%v, %v, want REQUEST_ID_REUSED", found, err)
		}
		ran(t, organization, 1)
	})
	t.Run("FailureIsNotRemembered", func(t *testing.T) {
		t.Parallel()
		organization := id.NewOrganization()
		_, _, err := postgres.Once(t.Context(), db, postgres.In(organization), request("a", "ann", "x"), func(tx *postgres.Tx) (proto.Message, error) {
			if err := tx.Fetch(t.Context()); err != nil {
				return nil, err
			}
			return nil, errEmpty
		})
		if !errors.Is(err, errEmpty) {
			t.Fatal(err)
		}
		if _, _, err := create(organization, request("a", "ann", "x")); err != nil {
			t.Error(err)
		}
		ran(t, organization, 1)
	})
}

// Two connections serve many tenants, so every connection has been everybody's.
func TestRowLevelSecurity(t *testing.T) {
	t.Parallel()
	db := testkit.Database(t, "notes", notes).Open(t, postgres.Options{Conns: 2})
	tenants := make([]id.Organization, 4)
	for i := range tenants {
		tenants[i] = id.NewOrganization()
		err := db.InTx(t.Context(), postgres.In(tenants[i]), func(tx *postgres.Tx) error {
			tx.Write(insertNote, tenants[i], tenants[i].String())
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Run("R78_InterleavedTenantsSeeTheirOwnRows", func(t *testing.T) {
		t.Parallel()
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				for n := range 50 {
					tenant := tenants[(i+n)%len(tenants)]
					if found := read(t, db, postgres.In(tenant)); len(found) != 1 || found[0].Text != tenant.String() {
						t.Errorf("%s sees %v", tenant, found)
					}
				}
			})
		}
		all.Wait()
	})
	t.Run("R78_NobodySeesNothing", func(t *testing.T) {
		t.Parallel()
		if found := read(t, db, postgres.Scope{}); len(found) != 0 {
			t.Errorf("a transaction for nobody sees %v", found)
		}
		var visible int
		for range 4 { // both connections, whatever ran on them before
			if err := db.Pool.QueryRow(t.Context(), `SELECT count(*) FROM notes`).Scan(&visible); err != nil || visible != 0 {
				t.Errorf("a statement outside a transaction sees %d rows, %v", visible, err)
			}
		}
	})
	t.Run("R78_NobodyWritesForAnother", func(t *testing.T) {
		t.Parallel()
		for name, statement := range map[string]string{
			"insert": insertNote,
			"update": `UPDATE notes SET aggregate_id = $1 WHERE text <> $2`,
		} {
			err := db.InTx(t.Context(), postgres.In(tenants[0]), func(tx *postgres.Tx) error {
				tx.Write(statement, tenants[1], "foreign")
				return nil
			})
			var refused *pgconn.PgError
			if !errors.As(err, &refused) || refused.Code != "42501" { // insufficient privilege
				t.Errorf("%s: got %v, want a refusal", name, err)
			}
		}
	})
	t.Run("R78_TheLogIsForReading", func(t *testing.T) {
		t.Parallel()
		for _, statement := range []string{`DELETE FROM events`, `UPDATE events SET data = ''`, `SELECT 1 FROM outbox`} {
			if _, err := db.Pool.Exec(t.Context(), statement); err == nil {
				t.Errorf("%s is allowed", statement)
			}
		}
	})
}

// Values travel beside the statement, never in it.
func TestProtocol(t *testing.T) {
	t.Parallel()
	t.Run("R59_TheSimpleProtocolIsRefused", func(t *testing.T) {
		t.Parallel()
		_, err := postgres.Open(t.Context(), "notes", "postgres://notes@localhost/notes?default_query_exec_mode=simple_protocol", nil, postgres.Options{})
		if err == nil || !strings.Contains(err.Error(), "simple protocol") {
			t.Errorf("got %v, want a refusal", err)
		}
	})
}

// count counts the flights that db makes from here on.
func count(t testing.TB, db *postgres.DB) *atomic.Int64 {
	t.Helper()
	var flights tracer
	config := db.Pool.Config()
	config.ConnConfig.Tracer = &flights
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	db.Pool.Close()
	db.Pool = pool
	t.Cleanup(pool.Close)
	return &flights.count
}

type tracer struct{ count atomic.Int64 }

func (f *tracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	f.count.Add(1)
	return ctx
}
func (f *tracer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
func (f *tracer) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	f.count.Add(1)
	return ctx
}
func (f *tracer) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (f *tracer) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}

// What was answered is forgotten when nobody can ask for it any more, of all tenants; who does that cannot read it.
func TestForget(t *testing.T) {
	t.Parallel()
	dsns := testkit.Database(t, "notes", notes)
	db, relay := dsns.Open(t, postgres.Options{}), dsns.Open(t, postgres.Options{Role: postgres.RelayRole, Conns: 2})
	owner, err := pgx.Connect(t.Context(), dsns.Owner)
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close(context.Background())
	for range 3 {
		if err := db.InTxOnce(t.Context(), postgres.In(id.NewOrganization()), func(*postgres.Tx) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	left := func() (n int) {
		t.Helper()
		if err := owner.QueryRow(t.Context(), `SELECT count(*) FROM idempotency`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	exec := func(sql string) {
		t.Helper()
		if _, err := owner.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exec(`ALTER TABLE idempotency NO FORCE ROW LEVEL SECURITY`) // for us, who look at all tenants
	if n, err := relay.Forget(t.Context()); n != 0 || err != nil || left() != 3 {
		t.Errorf("deleted %d, %v, left %d of 3 that are needed", n, err, left())
	}
	exec(`UPDATE idempotency SET expire_time = now() - interval '2 hours' WHERE request_id <> (SELECT min(request_id) FROM idempotency)`)
	if n, err := relay.Forget(t.Context()); n != 2 || err != nil || left() != 1 {
		t.Errorf("deleted %d, %v, left %d", n, err, left())
	}
	var refused *pgconn.PgError
	if _, err := relay.Pool.Exec(t.Context(), `SELECT response FROM idempotency`); !errors.As(err, &refused) || refused.Code != "42501" {
		t.Errorf("the answers can be read: %v", err)
	}
}
