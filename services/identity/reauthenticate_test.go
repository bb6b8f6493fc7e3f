package identity

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/credential"
)

func (h *harness) reauthenticate(bearer, password string, opts ...grpc.CallOption) (*identityv1.ReauthenticateResponse, error) {
	return h.sessions.Reauthenticate(h.as(bearer), &identityv1.ReauthenticateRequest{Password: password}, opts...)
}

func TestReauthenticate(t *testing.T) {
	t.Parallel()
	t.Run("R39 TheSessionHasAnotherIdAndSecret", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.withPassword("ada@example.com", "")
		before, other := h.signIn("ada@example.com"), h.signIn("ada@example.com")
		h.exec(`UPDATE sessions SET auth_time = now() - interval '1 hour'`)
		answer, err := h.reauthenticate(before.token, goodPassword)
		require.NoError(t, err)
		require.NotEqual(t, before.session.GetId(), answer.GetSession().GetId())
		require.NotEqual(t, before.token, answer.GetToken())
		require.WithinDuration(t, time.Now(), answer.GetSession().GetAuthTime().AsTime(), time.Minute)
		require.EqualValues(t, 1, answer.GetSession().GetLevel())
		require.True(t, answer.GetSession().GetCurrent())
		_, err = h.credential.ResolveCredential(t.Context(), &identityv1.ResolveCredentialRequest{Secret: before.token, Audience: "membership"})
		requireReason(t, unauthenticated, err)
		ids, current := h.list(answer.GetToken())
		require.Equal(t, []string{answer.GetSession().GetId(), other.session.GetId()}, ids)
		require.Equal(t, answer.GetSession().GetId(), current)
		types := h.types(before.session.GetAccountId())
		require.Equal(t, []string{"session.ended", "account.signed_in"}, types[len(types)-2:])
	})
	t.Run("R32 AWrongPasswordCountsAndChangesNothing", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key := h.withPassword("ada@example.com", "")
		in := h.signIn("ada@example.com")
		_, err := h.reauthenticate(in.token, "not the password at all")
		requireReason(t, credentialsInvalid, err)
		require.Equal(t, 1, count(h, `sign_in_failures WHERE account_id = $1 AND count = 1`, key))
		require.Equal(t, 1, count(h, `sessions WHERE id = $1`, parse(t, in.session)))
	})
	t.Run("OnlyOnesOwnPasswordCounts", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.withPassword("bob@example.com", "")
		ada := h.insert("ada@example.com", "")
		_, bearer := h.open(ada)
		_, err := h.reauthenticate(bearer, goodPassword)
		requireReason(t, credentialsInvalid, err)
	})
	t.Run("R40 ACookieStaysACookie", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.withPassword("ada@example.com", "")
		var header metadata.MD
		_, err := h.sessions.CreateSession(h.as(""), &identityv1.CreateSessionRequest{Email: "ada@example.com", Password: goodPassword}, grpc.Header(&header))
		require.NoError(t, err)
		first := header.Get(credential.SecretHeader)[0]
		resolved, err := h.credential.ResolveCredential(t.Context(), &identityv1.ResolveCredentialRequest{Secret: first, Cookie: true, Audience: "identity"})
		require.NoError(t, err)
		header = nil
		answer, err := h.reauthenticate(resolved.GetToken(), goodPassword, grpc.Header(&header))
		require.NoError(t, err)
		require.Empty(t, answer.GetToken())
		second := header.Get(credential.SecretHeader)[0]
		require.NotEqual(t, first, second)
		_, err = h.credential.ResolveCredential(t.Context(), &identityv1.ResolveCredentialRequest{Secret: second, Cookie: true, Audience: "identity"})
		require.NoError(t, err)
	})
	t.Run("R39 ASessionThatEndedIsNotRevived", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.withPassword("ada@example.com", "")
		in := h.signIn("ada@example.com")
		h.list(in.token) // the service knows the caller for half a minute from now
		h.exec(`DELETE FROM sessions WHERE id = $1`, parse(t, in.session))
		_, err := h.reauthenticate(in.token, goodPassword)
		requireReason(t, unauthenticated, err)
		require.Zero(t, count(h, `sessions`))
	})
}
