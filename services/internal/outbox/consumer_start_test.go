package outbox

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/rosterhq/roster/pkg/events"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/testkit"
)

func TestConsumerAwaitsAStream(t *testing.T) {
	t.Parallel()
	js := jetStream(t, testkit.NATS(t))
	asked, err := js.Conn().SubscribeSync("$JS.EVENT.ADVISORY.API")
	if err != nil {
		t.Fatal(err)
	}
	var d diary
	var said bytes.Buffer // read when the consumer has stopped
	stop := consume(t, js, events.Config{Name: "early", Log: slog.New(slog.NewTextHandler(&said, nil))}, d.handle)
	if _, err := asked.NextMsgWithContext(t.Context()); err != nil { // it has looked for the stream in vain
		t.Fatal(err)
	}
	if err := EnsureStream(t.Context(), js, "membership", 1); err != nil {
		t.Fatal(err)
	}
	tell(t, js, history(id.NewOrganization(), 1)...)
	d.wait(t, 1)
	stop()
	if said.Len() > 0 {
		t.Errorf("a service that starts later is no problem, but it says %s", &said)
	}
}
