package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rosterhq/roster/pkg/events"
)

const (
	retention   = 14 * 24 * time.Hour
	maxMsgSize  = 64 << 10
	dedupWindow = 2 * time.Minute // spares consumers most duplicates; nobody relies on it
)

// EnsureStream makes the stream of a service, or brings it up to date. The stream is a copy of the log: it can be
// made again, and nobody, the service included, can take a message out of it.
func EnsureStream(ctx context.Context, js jetstream.JetStream, service string, replicas int) error {
	_, err := ensureStream(ctx, js, service, replicas, false)
	return err
}

// ensureStream returns the stream. again marks one that has to be made as a successor, for consumers that lost their
// place with the one before.
func ensureStream(ctx context.Context, js jetstream.JetStream, service string, replicas int, again bool) (*jetstream.StreamInfo, error) {
	config := StreamConfig(service, replicas)
	stream, err := js.Stream(ctx, config.Name)
	switch {
	case err == nil:
		config.Metadata = stream.CachedInfo().Config.Metadata
	case !errors.Is(err, jetstream.ErrStreamNotFound):
		return nil, fmt.Errorf("stream %s: %w", config.Name, err)
	case again:
		config.Metadata = map[string]string{events.Rebuilt: "true"}
	}
	if stream, err = js.CreateOrUpdateStream(ctx, config); err != nil {
		return nil, fmt.Errorf("stream %s: %w", config.Name, err)
	}
	return stream.CachedInfo(), nil
}

// StreamConfig is what the stream of a service is made with.
func StreamConfig(service string, replicas int) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:               events.Stream(service),
		Description:        "Events of Roster's " + service + " service",
		Subjects:           events.Subjects(service),
		Storage:            jetstream.FileStorage,
		Compression:        jetstream.S2Compression,
		Replicas:           max(replicas, 1),
		Discard:            jetstream.DiscardOld,
		MaxAge:             retention,
		MaxMsgSize:         maxMsgSize,
		Duplicates:         dedupWindow,
		DenyDelete:         true,
		DenyPurge:          true,
		AllowAtomicPublish: true,
		AllowDirect:        true,
	}
}
