package events

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Tail calls fn with the events that c names, in the order of each stream and one at a time, until fn fails or the
// context ends. It is for people who watch and leaves nothing behind in NATS; programs that must not miss an
// event use a Consumer.
func Tail(ctx context.Context, js jetstream.JetStream, c Config, fn func(Event) error) error {
	filters, err := c.filters()
	if err != nil {
		return err
	}
	messages := make(chan jetstream.Msg)
	failed := make(chan error, 1)
	done := make(chan struct{})
	defer close(done)
	for service, subjects := range filters {
		config := jetstream.OrderedConsumerConfig{FilterSubjects: subjects}
		config.DeliverPolicy, config.OptStartTime = c.Start.policy()
		ordered, err := js.OrderedConsumer(ctx, Stream(service), config)
		if err != nil {
			return fmt.Errorf("events of %s: %w", service, err)
		}
		consuming, err := ordered.Consume(func(msg jetstream.Msg) {
			select {
			case messages <- msg:
			case <-done:
			}
		})
		if err != nil {
			return fmt.Errorf("events of %s: %w", service, err)
		}
		defer consuming.Stop()
		go func() {
			select {
			case <-consuming.Closed():
				select {
				case failed <- fmt.Errorf("events of %s: the connection to NATS was closed", service):
				default:
				}
			case <-done:
			}
		}()
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-failed:
			return err
		case msg := <-messages:
			event, err := Parse(msg.Data())
			if err != nil {
				return err
			}
			event.Subject = msg.Subject()
			if meta, err := msg.Metadata(); err == nil {
				event.StreamSequence = meta.Sequence.Stream
			}
			if err := fn(event); err != nil {
				return err
			}
		}
	}
}
