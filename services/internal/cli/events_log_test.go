package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/events"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

	"github.com/rosterhq/roster/services/internal/devnats"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func TestEventsRepublish(t *testing.T) {
	t.Parallel()
	dsns := testkit.Database(t, "membership", nil)
	db := dsns.Open(t, postgres.Options{})
	org := id.NewOrganization()
	for range 3 {
		require.NoError(t, db.InTx(t.Context(), postgres.In(org), func(tx *postgres.Tx) error {
			return outbox.Publish(tx, org, noon, &eventv1.MemberAdded{})
		}))
	}
	owner, err := pgx.Connect(t.Context(), dsns.Owner)
	require.NoError(t, err)
	defer owner.Close(context.Background())
	queued := func() (revisions []int64) {
		rows, _ := owner.Query(t.Context(), `WITH gone AS (DELETE FROM outbox RETURNING id, revision) SELECT revision FROM gone ORDER BY id`)
		revisions, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		require.NoError(t, err)
		return revisions
	}
	queued() // they were published
	w := newWorld(t)
	w.env["ROSTER_DATABASE_URL"] = dsns.Runtime
	require.Equal(t, "2 events are queued; the membership service publishes them.\n",
		w.ok("events", "republish", "membership", "--aggregate", org.String(), "--from-revision", "2"))
	require.Equal(t, []int64{2, 3}, queued())
	require.JSONEq(t, `{"queued": 3}`, w.ok("events", "republish", "membership", "--aggregate", org.String(), "--json"))
	require.Equal(t, []int64{1, 2, 3}, queued())
	require.Contains(t, w.ok("events", "republish", "membership", "--since", "1h"), "3 events")
	require.Equal(t, []int64{1, 2, 3}, queued())

	for _, wrong := range [][]string{
		{}, {"payments", "--since", "1h"}, {"membership"}, {"membership", "--since", "1h", "--aggregate", org.String()},
		{"membership", "--since", "1h", "--from-revision", "2"}, {"membership", "--aggregate", "inv_1"}, {"membership", "--since=-1h"},
	} {
		require.Equal(t, exitUsage, w.run(append([]string{"events", "republish"}, wrong...)...).code, wrong)
	}
	delete(w.env, "ROSTER_DATABASE_URL")
	require.Equal(t, exitUsage, w.run("events", "republish", "membership", "--since", "1h").code)
	r := w.run("events", "republish", "membership", "--since", "1h", "--database-url", "postgres://me:secret@127.0.0.1:1/x")
	require.Equal(t, exitFailed, r.code)
	require.NotContains(t, r.err, "secret")
	require.Empty(t, queued())
}

func TestEventsDeadLetters(t *testing.T) {
	t.Parallel()
	server, err := devnats.Start(t.TempDir(), "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	conn, err := server.Connect()
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	require.NoError(t, outbox.EnsureStream(t.Context(), js, "billing", 1))
	w := newWorld(t)
	w.env["ROSTER_NATS"] = server.URL()
	require.Equal(t, "Nothing is parked.\n", w.ok("events", "dlq", "list"))

	var broken atomic.Bool
	broken.Store(true)
	consumer, err := events.New(js, events.Config{Name: "crm", Services: []string{"billing"}, Log: slog.New(slog.NewTextHandler(io.Discard, nil))},
		func(context.Context, events.Event) error {
			if broken.Load() {
				return errors.New("no such customer")
			}
			return nil
		})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { consumer.Run(ctx); close(ended) }()
	t.Cleanup(func() { stop(); <-ended })
	for revision := 1; revision <= 3; revision++ {
		body := strings.Replace(envelope("billing", "seat.reserved", "org_2", revision, `{}`), `"prevhash":"aa","hash":"bb"`,
			fmt.Sprintf(`"prevhash":"h%d","hash":"h%d"`, revision-1, revision), 1)
		_, err := js.Publish(t.Context(), "roster.v1.seat.reserved.09.org_2", []byte(body))
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool {
		parked, err := events.ListParked(t.Context(), js)
		return err == nil && len(parked) == 1 && parked[0].Events == 3
	}, 30*time.Second, 20*time.Millisecond)

	list := w.ok("events", "dlq", "list")
	for _, word := range []string{"CONSUMER", "crm", "billing", "org_2", "seat.reserved #1", "no such customer", "3"} {
		require.Contains(t, list, word)
	}
	require.Contains(t, strings.Join(strings.Fields(w.ok("events", "dlq", "list", "--json")), ""), `"count":3`)
	r := w.run("events", "dlq", "retry", "crm", "billing", "org_2")
	require.Equal(t, exitFailed, r.code)
	require.Contains(t, r.err, "no such customer")
	require.Contains(t, w.ok("events", "dlq", "skip", "crm", "billing", "org_2"), "Dropped evt_1, seat.reserved, revision 1 of org_2: crm will not handle it.")
	broken.Store(false)
	require.Contains(t, w.ok("events", "dlq", "retry", "crm", "billing", "org_2"), "org_2 is parked no longer for crm")
	require.Equal(t, "Nothing is parked.\n", w.ok("events", "dlq", "list"))
	for _, verb := range []string{"retry", "skip"} {
		r := w.run("events", "dlq", verb, "crm", "billing", "org_2")
		require.Equal(t, exitFailed, r.code)
		require.Contains(t, r.err, "nothing is parked")
	}
}
