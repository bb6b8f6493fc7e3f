package outbox

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rosterhq/roster/pkg/events"

	"github.com/rosterhq/roster/services/internal/testkit"
)

func TestStreamIsAsPromised(t *testing.T) {
	t.Parallel()
	js := newStream(t)
	stream, err := js.Stream(t.Context(), "ROSTER_MEMBERSHIP")
	if err != nil {
		t.Fatal(err)
	}
	c := stream.CachedInfo().Config
	if c.Storage != jetstream.FileStorage || c.Compression != jetstream.S2Compression || !c.AllowAtomicPublish || !c.DenyDelete || !c.DenyPurge ||
		c.MaxAge != 14*24*time.Hour || c.Duplicates != 2*time.Minute || c.MaxMsgSize != 64<<10 || c.Discard != jetstream.DiscardOld ||
		c.Retention != jetstream.LimitsPolicy || c.MaxMsgs != -1 || c.MaxBytes != -1 {
		t.Errorf("got %+v", c)
	}
}

func TestEnsureStreamTwice(t *testing.T) {
	t.Parallel()
	js := jetStream(t, testkit.NATS(t))
	for _, service := range events.Services() {
		for range 2 {
			if err := EnsureStream(t.Context(), js, service, 1); err != nil {
				t.Error(err)
			}
		}
	}
	stream, err := js.Stream(t.Context(), "ROSTER_BILLING")
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context()); err == nil {
		t.Error("the stream can be purged")
	}
}
