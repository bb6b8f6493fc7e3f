package events_test

import (
	"context"
	"log"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rosterhq/roster/pkg/events"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
)

// members is a copy of who is a member where, in a process that has no database: it starts with a snapshot each time.
type members struct{}

func (members) add(string, *eventv1.MemberAdded)            {}
func (members) remove(string, *eventv1.MemberRemoved)       {}
func (members) replace(context.Context, organization) error { return nil }

// organization is what a page of the source holds: the members, and the position that they were read at.
type organization struct {
	id string
	at events.Position
}

// pages stands for a client of the source: all organizations, or one.
func pages(context.Context, string) func(func(organization, error) bool) {
	return func(func(organization, error) bool) {}
}

func ExampleSnapshot() {
	conn, err := nats.Connect("nats://localhost:4222")
	if err != nil {
		log.Fatal(err)
	}
	js, err := jetstream.New(conn)
	if err != nil {
		log.Fatal(err)
	}
	var copied members
	consumer, err := events.New(js, events.Config{
		Services: []string{"membership"},
		Snapshot: func(ctx context.Context, _, aggregate string, stamp func(string, events.Position)) error {
			for org, err := range pages(ctx, aggregate) {
				if err != nil {
					return err
				}
				if err := copied.replace(ctx, org); err != nil {
					return err
				}
				stamp(org.id, org.at)
			}
			return nil
		},
	}, func(_ context.Context, e events.Event) error {
		message, err := e.Message()
		if err != nil {
			return err
		}
		switch m := message.(type) {
		case *eventv1.MemberAdded:
			copied.add(e.Aggregate, m)
		case *eventv1.MemberRemoved:
			copied.remove(e.Aggregate, m)
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(consumer.Run(context.Background()))
}
