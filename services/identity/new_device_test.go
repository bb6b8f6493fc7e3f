package identity

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/metadata"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/mail"
)

func TestNewDevice(t *testing.T) {
	t.Parallel()
	// from is a client's call from somewhere.
	from := func(h *harness, address, agent string) context.Context {
		return metadata.AppendToOutgoingContext(h.Context(), "x-roster-client-address", address, "x-roster-user-agent", agent)
	}
	signIn := func(h *harness, ctx context.Context) *identityv1.CreateSessionResponse {
		in, err := h.sessions.CreateSession(ctx, &identityv1.CreateSessionRequest{
			Email: "ada@example.com", Password: goodPassword, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
		require.NoError(h, err)
		return in
	}
	told := func(h *harness) int {
		h.sweep(mail.TaskKind)
		return len(h.outbox.to("ada@example.com"))
	}

	t.Run("R47 R86 ThePersonIsToldOfWhatIsNewOnce", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key := h.withPassword("ada@example.com", "")
		for range 2 {
			signIn(h, from(h, "203.0.113.7", "Firefox/140 (X11)"))
		}
		require.Zero(t, told(h), "there was nobody before")
		for range 2 {
			signIn(h, from(h, "198.51.100.9", "Firefox/140 (X11)"))
		}
		require.Equal(t, 1, told(h))
		require.Contains(t, h.outbox.to("ada@example.com")[0].Text, "Firefox on Linux, from the address 198.51.100.9.")
		_, err := h.sessions.CreateSession(from(h, "192.0.2.1", "curl/8"), &identityv1.CreateSessionRequest{
			Email: "ada@example.com", Password: "wrong", Delivery: identityv1.Delivery_DELIVERY_TOKEN})
		requireReason(t, credentialsInvalid, err)
		require.Equal(t, 1, told(h), "who did not get in is in the login activity")
		h.exec(`UPDATE accounts SET email_verified = false`)
		signIn(h, from(h, "192.0.2.1", "curl/8"))
		require.Equal(t, 1, told(h), "nobody has proven the address")

		h.exec(`INSERT INTO devices SELECT $1, 'old', i::text, now() - interval '1 day' FROM generate_series(1, 60) i`, key)
		signIn(h, from(h, "192.0.2.1", "curl/8"))
		require.Equal(t, 50, count(h, `devices`))
		require.Equal(t, 3, count(h, `devices WHERE device <> 'old'`))
	})
	t.Run("R47 WhoHasOnlyThePasswordIsNotSignedIn", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, a, _ := h.withApp("ada@example.com")
		before := told(h)
		half := signIn(h, from(h, "192.0.2.1", "curl/8"))
		require.Equal(t, before, told(h))
		h.next()
		_, err := h.sessions.AnswerChallenge(metadata.AppendToOutgoingContext(from(h, "192.0.2.1", "curl/8"), "authorization", "Bearer "+half.GetToken()),
			&identityv1.AnswerChallengeRequest{Code: a.code()})
		require.NoError(t, err)
		require.Equal(t, before+1, told(h))
	})
}
