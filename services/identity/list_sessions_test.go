package identity

import (
	"testing"

	"github.com/stretchr/testify/require"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

func (h *harness) list(bearer string) (ids []string, current string) {
	h.Helper()
	answer, err := h.sessions.ListSessions(h.as(bearer), &identityv1.ListSessionsRequest{})
	require.NoError(h, err)
	for _, s := range answer.GetSessions() {
		ids = append(ids, s.GetId())
		if s.GetCurrent() {
			current += s.GetId()
		}
	}
	return ids, current
}

func TestListSessions(t *testing.T) {
	t.Parallel()
	t.Run("R42 OnesOwnLiveOnesNewestFirst", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada, bob := h.insert("ada@example.com", ""), h.insert("bob@example.com", "")
		idle, _ := h.open(ada)
		old, _ := h.open(ada)
		first, bearer := h.open(ada)
		second, _ := h.open(ada)
		_, bobs := h.open(bob)
		h.exec(`UPDATE sessions SET last_use_time = now() - interval '12 hours' WHERE id = $1`, parse(t, idle))
		h.exec(`UPDATE sessions SET expire_time = now() WHERE id = $1`, parse(t, old))
		ids, current := h.list(bearer)
		require.Equal(t, []string{second.GetId(), first.GetId()}, ids)
		require.Equal(t, first.GetId(), current)
		ids, _ = h.list(bobs)
		require.Len(t, ids, 1)
	})
	t.Run("RefusesStrangers", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, err := h.sessions.ListSessions(h.as(""), &identityv1.ListSessionsRequest{})
		requireReason(t, unauthenticated, err)
	})
}

func parse(t *testing.T, s *identityv1.Session) id.Session {
	t.Helper()
	key, err := id.ParseSession(s.GetId())
	require.NoError(t, err)
	return key
}

func TestDeleteSession(t *testing.T) {
	t.Parallel()
	end := func(h *harness, bearer, key string) error {
		_, err := h.sessions.DeleteSession(h.as(bearer), &identityv1.DeleteSessionRequest{SessionId: key})
		return err
	}
	t.Run("R43 EndsItAtOnce", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.insert("ada@example.com", "")
		other, stolen := h.open(ada)
		mine, bearer := h.open(ada)
		require.NoError(t, end(h, bearer, other.GetId()))
		_, err := h.credential.ResolveCredential(t.Context(), &identityv1.ResolveCredentialRequest{Secret: stolen, Audience: "membership"})
		requireReason(t, unauthenticated, err)
		ids, _ := h.list(bearer)
		require.Equal(t, []string{mine.GetId()}, ids)
		events := h.events(ada.String())
		require.Equal(t, "session.ended", events[2].Type)
		require.Equal(t, other.GetId(), events[2].Data["sessionId"])
		require.Zero(t, count(h, `due WHERE id = $1`, parse(t, other)))
	})
	t.Run("OnlyOnce", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.insert("ada@example.com", "")
		other, _ := h.open(ada)
		_, bearer := h.open(ada)
		ended := 0
		for _, err := range h.together(10, func(int) error { return end(h, bearer, other.GetId()) }) {
			if err == nil {
				ended++
				continue
			}
			requireReason(t, sessionNotFound, err)
		}
		require.Equal(t, 1, ended)
		require.Equal(t, []string{"account.signed_in", "account.signed_in", "session.ended"}, h.types(ada.String()))
	})
	t.Run("R42 AnothersIsNotFound", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, bearer := h.open(h.insert("ada@example.com", ""))
		bobs, _ := h.open(h.insert("bob@example.com", ""))
		idle, _ := h.open(h.insert("cyd@example.com", ""))
		for _, key := range []string{bobs.GetId(), idle.GetId(), id.NewSession().String(), id.NewAccount().String(), "x"} {
			requireReason(t, sessionNotFound, end(h, bearer, key))
		}
		require.Equal(t, 3, count(h, `sessions`))
	})
}

func TestSignOut(t *testing.T) {
	t.Parallel()
	h := start(t)
	ada := h.insert("ada@example.com", "")
	_, bearer := h.open(ada)
	other, _ := h.open(ada)
	_, err := h.sessions.SignOut(h.as(bearer), &identityv1.SignOutRequest{})
	require.NoError(t, err)
	_, err = h.sessions.SignOut(h.as(bearer), &identityv1.SignOutRequest{})
	requireReason(t, unauthenticated, err)
	_, err = h.credential.ResolveCredential(t.Context(), &identityv1.ResolveCredentialRequest{Secret: bearer, Audience: "membership"})
	requireReason(t, unauthenticated, err)
	require.Equal(t, 1, count(h, `sessions WHERE id = $1`, parse(t, other)))
	require.Equal(t, 1, count(h, `sessions`))
	require.Equal(t, []string{"account.signed_in", "account.signed_in", "session.ended"}, h.types(ada.String()))
}

func TestExpireSession(t *testing.T) {
	t.Parallel()
	h := start(t)
	ada := h.insert("ada@example.com", "")
	used, _ := h.open(ada)
	idle, _ := h.open(ada)
	require.Zero(t, h.sweep(sessionTask))
	h.exec(`UPDATE sessions SET last_use_time = now() - interval '12 hours' WHERE id = $1`, parse(t, idle))
	h.exec(`UPDATE due SET next_time = now()`)
	require.Equal(t, 2, h.sweep(sessionTask))
	require.Equal(t, 1, count(h, `sessions`))
	require.Equal(t, 1, count(h, `due WHERE id = $1 AND next_time > now() + interval '11 hours'`, parse(t, used)), "looks again when it may be idle")
	require.Equal(t, 1, count(h, `due`))
	events := h.events(ada.String())
	require.Equal(t, "session.ended", events[2].Type)
	require.Equal(t, map[string]any{"kind": "KIND_EXPIRY"}, events[2].Data["context"].(map[string]any)["cause"])
	h.exec(`UPDATE sessions SET expire_time = now()`)
	h.exec(`UPDATE due SET next_time = now()`)
	require.Equal(t, 1, h.sweep(sessionTask))
	require.Zero(t, count(h, `sessions`))
	require.Zero(t, count(h, `due`))
}
