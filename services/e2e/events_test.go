package e2e

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/events"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
)

// TestEvents proves what consumers hear.
func TestEvents(t *testing.T) {
	t.Parallel()

	t.Run("a consumer started late hears everything once, in order, linked by its cause", func(t *testing.T) {
		t.Parallel()
		org := create(t, "gRPC", portal)
		member := org.join(t, "member")
		org.disable(t, member)
		org.remove(t, member)

		heard := listen(t, org.ID, map[string]int64{
			"membership": org.revision(t, "membership"), "invitation": org.revision(t, "invitation"), "billing": org.revision(t, "billing")})
		next := map[string]int64{}
		var accepted *eventv1.InvitationAccepted
		var types []string
		for _, e := range heard {
			next[e.Service]++
			require.Equal(t, next[e.Service], e.Revision, "%s of %s", e.Type, e.Service)
			message, err := e.Message()
			require.NoError(t, err)
			if m, ok := message.(*eventv1.InvitationAccepted); ok {
				accepted = m
			}
			if e.Service == "membership" {
				types = append(types, e.Type)
			}
			require.NotContains(t, string(e.Data), "/invite/", "no link in an event")
		}
		require.Equal(t, []string{"organization.created", "member.added", "member.added", "member.disabled", "member.removed"}, types)
		require.NotNil(t, accepted)
		require.Equal(t, member.ID, accepted.GetAfter().GetAccountId())
		cause := accepted.GetContext().GetCause().GetId()
		require.NotEmpty(t, cause)
		linked := map[string]bool{}
		for _, e := range heard {
			message, err := e.Message()
			require.NoError(t, err)
			switch m := message.(type) {
			case *eventv1.MemberAdded:
				linked[e.Type] = linked[e.Type] || m.GetContext().GetCause().GetId() == cause
			case *eventv1.SeatOccupied:
				linked[e.Type] = linked[e.Type] || m.GetContext().GetCause().GetId() == cause
			}
		}
		require.Equal(t, map[string]bool{"member.added": true, "seat.occupied": true}, linked)
	})
}

// listen hears an organization from the beginning until each service's revision was heard.
func listen(t *testing.T, org string, until map[string]int64) (heard []events.Event) {
	t.Helper()
	nc, err := suite.broker()
	require.NoError(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	ctx, done := context.WithTimeout(t.Context(), 30*time.Second)
	defer done()
	var mu sync.Mutex
	consumer, err := events.New(js, events.Config{Services: []string{"membership", "invitation", "billing"}, Organization: org}, func(_ context.Context, e events.Event) error {
		mu.Lock()
		defer mu.Unlock()
		heard = append(heard, e)
		if until[e.Service] <= e.Revision {
			delete(until, e.Service)
		}
		if len(until) == 0 {
			done()
		}
		return nil
	})
	require.NoError(t, err)
	require.NoError(t, consumer.Run(ctx))
	require.Empty(t, until, "not heard")
	return heard
}
