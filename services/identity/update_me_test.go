package identity

import (
	"testing"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

func TestGetMe(t *testing.T) {
	t.Parallel()
	h := start(t)
	ada := h.insert("ada@example.com", "Ada")
	h.insert("bob@example.com", "")
	_, bearer := h.open(ada)
	me, err := h.accounts.GetMe(h.as(bearer), &identityv1.GetMeRequest{})
	require.NoError(t, err)
	require.Equal(t, ada.String(), me.GetAccount().GetId())
	require.Equal(t, "ada@example.com", me.GetAccount().GetEmail())
	require.True(t, me.GetAccount().GetEmailVerified())
	require.NotNil(t, me.GetAccount().GetCreateTime())
	_, err = h.accounts.GetMe(h.as(""), &identityv1.GetMeRequest{})
	requireReason(t, unauthenticated, err)
}

func TestUpdateMe(t *testing.T) {
	t.Parallel()
	t.Run("ChangesTheName", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.insert("ada@example.com", "ada")
		bob := h.insert("bob@example.com", "")
		_, bearer := h.open(ada)
		me, err := h.accounts.UpdateMe(h.as(bearer), &identityv1.UpdateMeRequest{DisplayName: " Countess ", RequestId: "once"})
		require.NoError(t, err)
		require.Equal(t, "Countess", me.GetAccount().GetDisplayName())
		events := h.events(ada.String())
		require.Equal(t, "account.updated", events[1].Type)
		require.Equal(t, map[string]any{"displayName": "Countess", "email": "ada@example.com", "username": "ada", "clientAddress": "203.0.113.7"}, events[1].Personal)
		require.Equal(t, "once", events[1].Data["context"].(map[string]any)["requestId"])
		require.Equal(t, 1, count(h, `accounts WHERE id = $1 AND display_name = 'Inserted'`, bob))
	})
	t.Run("ARepeatedRequestChangesNothing", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.insert("ada@example.com", "")
		_, bearer := h.open(ada)
		req := &identityv1.UpdateMeRequest{DisplayName: "Countess", RequestId: "once"}
		for _, err := range h.together(5, func(int) error {
			_, err := h.accounts.UpdateMe(h.as(bearer), req)
			return err
		}) {
			require.NoError(t, err)
		}
		_, err := h.accounts.UpdateMe(h.as(bearer), &identityv1.UpdateMeRequest{DisplayName: "Ada"})
		require.NoError(t, err)
		again, err := h.accounts.UpdateMe(h.as(bearer), req)
		require.NoError(t, err)
		require.Equal(t, "Countess", again.GetAccount().GetDisplayName(), "the first answer")
		require.Equal(t, 1, count(h, `accounts WHERE display_name = 'Ada'`))
		require.Equal(t, []string{"account.signed_in", "account.updated", "account.updated"}, h.types(ada.String()))
		_, err = h.accounts.UpdateMe(h.as(bearer), &identityv1.UpdateMeRequest{DisplayName: "Other", RequestId: "once"})
		requireReason(t, errorv1.Reason_REASON_REQUEST_ID_REUSED, err)
	})
	t.Run("TheSameNameTellsNobody", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.insert("ada@example.com", "")
		_, bearer := h.open(ada)
		_, err := h.accounts.UpdateMe(h.as(bearer), &identityv1.UpdateMeRequest{DisplayName: "Inserted"})
		require.NoError(t, err)
		require.Equal(t, []string{"account.signed_in"}, h.types(ada.String()))
	})
	t.Run("RefusesWhatIsNotValid", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, bearer := h.open(h.insert("ada@example.com", ""))
		for _, name := range []string{"", "  ", "Ada\nLovelace", "Ada\u202egpj"} {
			_, err := h.accounts.UpdateMe(h.as(bearer), &identityv1.UpdateMeRequest{DisplayName: name})
			requireReason(t, invalid, err)
		}
		_, err := h.accounts.UpdateMe(h.as(""), &identityv1.UpdateMeRequest{DisplayName: "Ada"})
		requireReason(t, unauthenticated, err)
	})
}
