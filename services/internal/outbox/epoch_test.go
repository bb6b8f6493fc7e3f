package outbox

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rosterhq/roster/pkg/events"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// The epoch of a history is the same before and after the relay has noted it.
func TestEpoch(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	organization := id.NewOrganization()
	epochs := func() (all []int64) {
		b.asOwner(t, func(conn *pgx.Conn) (err error) {
			rows, _ := conn.Query(t.Context(), `SELECT epoch FROM events WHERE aggregate_id = $1 ORDER BY revision`, organization)
			all, err = pgx.CollectRows(rows, pgx.RowTo[int64])
			return err
		})
		return all
	}
	promote := func(identity string) {
		b.asOwner(t, func(conn *pgx.Conn) error {
			_, err := conn.Exec(t.Context(), `UPDATE history SET identity = $1`, identity)
			return err
		})
	}
	note := func() {
		relay := b.relay(t)
		if err := relay.acquire(t.Context()); err != nil || relay.until.IsZero() {
			t.Fatalf("no lease: %v", err)
		}
		relay.release(t.Context())
	}
	b.publish(t, organization)
	note()
	b.publish(t, organization)
	promote("before the relay looks")
	b.publish(t, organization)
	note()
	b.publish(t, organization)
	note()
	b.publish(t, organization)
	promote("after the relay has looked")
	note()
	b.publish(t, organization)
	if got := epochs(); !slices.Equal(got, []int64{1, 1, 2, 2, 2, 3}) {
		t.Errorf("got %v", got)
	}
}

// A standby was promoted that lacked what had been published already.
func TestEventThatVanishedAtFailover(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	lost, kept := id.NewOrganization(), id.NewOrganization()
	relay := b.relay(t)
	b.db.Committed = func(postgres.Waiting) { relay.Wake() }
	run(t, relay.Run)
	var d, few diary
	forks := make(chan *events.GapError, 10)
	heal := func(_ context.Context, g *events.GapError) error { // as from a snapshot
		forks <- g
		return nil
	}
	consume(t, b.js, events.Config{Name: "c", OnGap: heal}, d.handle)
	consume(t, b.js, events.Config{Name: "few", Types: []string{"member.added"}, OnGap: func(context.Context, *events.GapError) error { return nil }}, few.handle)
	b.publish(t, lost, lost, lost, kept)
	d.wait(t, 4)
	few.wait(t, 4)
	b.asOwner(t, func(conn *pgx.Conn) error {
		return pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
			for _, statement := range []string{
				`DELETE FROM events WHERE aggregate_id = $1 AND revision > 1`,
				`UPDATE heads h SET revision = 1, hash = e.hash, prev_hash = e.prev_hash FROM events e WHERE h.aggregate_id = $1 AND e.aggregate_id = $1`,
				`UPDATE history SET identity = identity || $1::text`,
			} {
				if _, err := tx.Exec(t.Context(), statement, lost); err != nil {
					return fmt.Errorf("%s: %w", statement, err)
				}
			}
			return nil
		})
	})
	b.publish(t, lost, kept, lost)
	if g := <-forks; !g.Fork || g.Event.Revision != 2 || g.Event.Epoch != 2 || g.Applied.Revision != 3 || g.Applied.Epoch != 1 {
		t.Errorf("got %v, %+v", g, g.Applied)
	}
	for _, e := range d.wait(t, 7)[4:] { // the new second revision is no duplicate of the old one
		if e.Epoch != 2 {
			t.Errorf("revision %d of epoch %d", e.Revision, e.Epoch)
		}
	}
	if got := d.revisions(lost.String()); got != "[1 2 3 2 3]" {
		t.Errorf("told %s", got)
	}
	few.wait(t, 7)
	if got := few.revisions(lost.String()); got != "[1 2 3 2 3]" {
		t.Errorf("told %s through a filter", got)
	}
	if len(forks) > 0 {
		t.Errorf("another fork: %v", <-forks)
	}
	if got := d.revisions(kept.String()); got != "[1 2]" { // a new epoch that follows is no fork
		t.Errorf("told %s", got)
	}
}
