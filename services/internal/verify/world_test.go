package verify_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/testkit"
	"github.com/rosterhq/roster/services/internal/verify"
)

// past is the data of a suite that ran and has stopped: tests break copies of it.
var past struct {
	once    sync.Once
	dsns    map[string]string // of copies that nobody breaks
	history []verify.Operation
}

// world is a copy of the past for one test.
type world struct {
	t       *testing.T
	live    bool // the services run on it
	dsns    map[string]string
	history []verify.Operation
}

// theWorld returns the past. Only the databases of the services that are named may be changed.
func theWorld(t *testing.T, broken ...string) *world {
	t.Helper()
	past.once.Do(func() {
		c := testkit.Cluster(t)
		config, err := pgx.ParseConfig(c.DSN("postgres", "postgres"))
		require.NoError(t, err)
		admin := url.URL{Scheme: "postgres", User: url.User("postgres"), Path: "/postgres",
			RawQuery: url.Values{"host": {config.Host}, "port": {fmt.Sprint(config.Port)}}.Encode()}
		s := start(t, admin.String())
		var lives sync.WaitGroup
		for _, preset := range []membershipv1.Preset{pipeline, portal, rbac, flat, flat} {
			lives.Go(func() { s.life(t, preset) })
		}
		lives.Wait()
		o := s.create(t, portal)
		o.invite(unique("grace")+"@example.com", "member", "")
		o.delete()
		report, err := s.checker.Check(t.Context(), verify.Options{Settled: true, Wait: time.Minute, Stream: s.stream, History: s.history})
		require.NoError(t, err)
		require.Empty(t, report.Findings)
		s.stop()
		past.history, past.dsns = s.history, make(map[string]string)
		for _, service := range verify.Services {
			past.dsns[service] = clone(t, service)
		}
	})
	require.Len(t, past.dsns, len(verify.Services), "another test says why there is no past")
	w := &world{t: t, dsns: make(map[string]string), history: past.history}
	for service, dsn := range past.dsns {
		w.dsns[service] = dsn
	}
	for _, service := range broken {
		w.dsns[service] = clone(t, service)
	}
	return w
}

// clone copies a database of the past.
func clone(t *testing.T, service string) string {
	t.Helper()
	c := testkit.Cluster(t)
	admin, err := pgx.Connect(t.Context(), c.DSN("postgres", "postgres"))
	require.NoError(t, err)
	defer admin.Close(t.Context())
	name := strings.ReplaceAll(unique(service), "-", "_")
	_, err = admin.Exec(t.Context(), fmt.Sprintf(`CREATE DATABASE %s OWNER %s_owner TEMPLATE %s`, name, service, service))
	require.NoError(t, err)
	return c.DSN(name, service+"_owner")
}

// exec runs statements in a database. The last returns rows of an aggregate and of what is to be reported about it.
func (w *world) exec(service string, statements ...string) (aggregate, subject id.Any) {
	w.t.Helper()
	conn, err := pgx.Connect(w.t.Context(), w.dsns[service])
	require.NoError(w.t, err)
	defer conn.Close(w.t.Context())
	for i, statement := range statements {
		if i < len(statements)-1 {
			_, err := conn.Exec(w.t.Context(), statement)
			require.NoError(w.t, err, statement)
			continue
		}
		require.NoError(w.t, conn.QueryRow(w.t.Context(), statement).Scan(&aggregate, &subject), statement)
	}
	return aggregate, subject
}

// tell writes an event as the service would, with what happens in the same transaction.
func (w *world) tell(service string, organization id.Any, message proto.Message, with ...string) {
	w.t.Helper()
	db, err := postgres.Open(w.t.Context(), service, w.dsns[service], nil, postgres.Options{Role: service + "_owner", Conns: 1})
	require.NoError(w.t, err)
	defer db.Close()
	require.NoError(w.t, db.InTx(w.t.Context(), postgres.In(organization), func(tx *postgres.Tx) error {
		if err := tx.Fetch(w.t.Context()); err != nil {
			return err
		}
		err := outbox.Publish(tx, organization, tx.Now(), message)
		for _, statement := range with {
			tx.Write(statement, organization)
		}
		if !w.live { // nobody else publishes it
			tx.Write(`DELETE FROM outbox`)
		}
		return err
	}))
}

// check checks the world.
func (w *world) check(o verify.Options) *verify.Report {
	w.t.Helper()
	checker, err := verify.Open(w.t.Context(), w.dsns)
	require.NoError(w.t, err)
	defer checker.Close()
	report, err := checker.Check(context.WithoutCancel(w.t.Context()), o)
	require.NoError(w.t, err)
	return report
}

// finds checks that exactly these invariants are reported, and the first of them about this.
func (w *world) finds(o verify.Options, aggregate, subject string, ids ...string) {
	w.t.Helper()
	report := w.check(o)
	found, about := make(map[string]bool), false
	for _, f := range report.Findings {
		found[f.ID] = true
		about = about || f.ID == ids[0] && f.Organization == aggregate && strings.Contains(f.Subject, subject)
	}
	want := make(map[string]bool)
	for _, id := range ids {
		want[id] = true
	}
	require.Equal(w.t, want, found, "%+v", report.Findings)
	require.True(w.t, about, "%s about %s %s: %+v", ids[0], aggregate, subject, report.Findings)
}
