package outbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rosterhq/roster/pkg/events"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// What every consumer must have heard, however it was told to begin, when its stream was lost and made again.
func TestConsumerOfAStreamThatWasLost(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		config   events.Config
		restarts bool // the process too, while there is no stream
	}{
		"Ephemeral":                            {config: events.Config{}},
		"EphemeralOfTheLatest":                 {config: events.Config{Start: events.Latest}},
		"Durable":                              {config: events.Config{Name: "c"}},
		"DurableOfTheLatest":                   {config: events.Config{Name: "c", Start: events.Latest}},
		"DurableOfSomeTypes":                   {config: events.Config{Name: "c", Types: []string{"member.>"}}},
		"DurableThatStartsAnew":                {config: events.Config{Name: "c"}, restarts: true},
		"DurableOfTheLatestThatStartsAnew":     {config: events.Config{Name: "c", Start: events.Latest}, restarts: true},
		"DurableSinceSomeMomentThatStartsAnew": {config: events.Config{Name: "c", Start: events.Since(time.Now().Add(-time.Minute))}, restarts: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broker, b := newBroker(t), newBench(t)
			b.js = reconnecting(t, broker.server)
			relay := b.relay(t)
			b.db.Committed = func(postgres.Waiting) { relay.Wake() }
			stopRelay := run(t, relay.Run)
			b.rebuilt(t)
			orgs := organizations(3)
			var d diary
			stop := consume(t, b.js, test.config, d.handle)
			eventually(t, "no consumer", func() bool {
				stream, err := b.js.Stream(t.Context(), events.Stream("membership"))
				return err == nil && stream.CachedInfo().State.Consumers == 1
			})
			b.publish(t, orgs...)
			d.wait(t, 3)
			if test.restarts {
				stop()
			}
			broker.server.Stop()
			b.publish(t, orgs...)
			if test.restarts {
				consume(t, b.js, test.config, d.handle)
			}
			broker.wipe()
			b.rebuilt(t)
			b.publish(t, orgs...)
			heard := func() map[string]string {
				all := make(map[string]map[int64]bool)
				for _, e := range d.read() {
					if all[e.Aggregate] == nil {
						all[e.Aggregate] = make(map[int64]bool)
					}
					all[e.Aggregate][e.Revision] = true
				}
				text := make(map[string]string)
				for aggregate, revisions := range all {
					text[aggregate] = fmt.Sprint(revisions)
				}
				return text
			}
			eventually(t, "something was lost", func() bool {
				all := heard()
				for _, organization := range orgs {
					if all[organization.String()] != "map[1:true 2:true 3:true]" {
						return false
					}
				}
				return true
			})
			stopRelay()
			if !test.restarts && test.config.Name == "" { // who remembers is told nothing twice
				inOrder(t, d.read(), 9)
			}
		})
	}
	t.Run("ThatLostItsEndHearsItAgain", func(t *testing.T) {
		t.Parallel()
		broker := newBroker(t)
		js := reconnecting(t, broker.server)
		if err := EnsureStream(t.Context(), js, "membership", 1); err != nil {
			t.Fatal(err)
		}
		log := history(id.NewOrganization(), 6)
		tell(t, js, log[:2]...)
		backup := filepath.Join(t.TempDir(), "backup")
		broker.server.Stop()
		if err := os.CopyFS(backup, os.DirFS(broker.dir)); err != nil {
			t.Fatal(err)
		}
		broker.start()
		eventually(t, "no stream", func() bool { _, err := js.Stream(t.Context(), "ROSTER_MEMBERSHIP"); return err == nil })
		tell(t, js, log[2:4]...)
		var d diary
		stop := consume(t, js, events.Config{Name: "c"}, d.handle)
		d.wait(t, 4)
		settled(t, js, "c")
		stop()
		broker.server.Stop()
		// The consumer stays, the messages go.
		for _, part := range []string{"msgs"} {
			at := filepath.Join("jetstream", "$G", "streams", "ROSTER_MEMBERSHIP", part)
			if err := errors.Join(os.RemoveAll(filepath.Join(broker.dir, at)), os.CopyFS(filepath.Join(broker.dir, at), os.DirFS(filepath.Join(backup, at)))); err != nil {
				t.Fatal(err)
			}
		}
		broker.start()
		eventually(t, "no stream", func() bool {
			stream, err := js.Stream(t.Context(), "ROSTER_MEMBERSHIP")
			return err == nil && stream.CachedInfo().State.LastSeq == 2
		})
		consume(t, js, events.Config{Name: "c", Positions: positions{log[0].aggregate("membership"): log[3]}}, d.handle)
		tell(t, js, log[2:]...)
		inOrder(t, d.wait(t, 6), 6)
	})
}
