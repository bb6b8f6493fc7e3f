package identity

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
)

// TestDeleteAccount is about the end of an account that an operator wants.
func TestDeleteAccount(t *testing.T) {
	t.Parallel()
	const why = "asked for by law"

	t.Run("C14 RB22 The account is erased, and the operator is who did it", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		operator := h.operator()
		ada := h.newcomer("ada@example.com")
		key := h.fill(ada)
		answer, err := h.operators.DeleteAccount(h.as(operator), &identityv1.DeleteAccountRequest{AccountId: key.String(), Reason: why})
		require.NoError(t, err)
		require.True(t, answer.GetDeleted())
		_, err = h.resolve(ada.token, false)
		requireReason(t, unauthenticated, err)
		for table, n := range h.byAccount(key) {
			require.Equal(t, kept[table] != "", n > 0, "%d rows are left in %s", n, table)
		}
		ended := map[string]int{"session.ended": 0, "account.api_key_deleted": 0, "account.deleted": 0}
		for _, e := range h.events(key.String()) {
			if _, ok := ended[e.Type]; !ok {
				continue
			}
			ended[e.Type]++
			require.Equal(t, "KIND_OPERATOR", e.Data["context"].(map[string]any)["actor"].(map[string]any)["kind"], e.Type)
			require.Empty(t, e.Personal, e.Type)
			if e.Type == "account.deleted" {
				require.Equal(t, why, e.Data["reason"])
			}
		}
		require.Equal(t, map[string]int{"session.ended": 1, "account.api_key_deleted": 1, "account.deleted": 1}, ended)
		require.Regexp(t, "^opr_", h.departs.operator)

		h.sweep(mail.TaskKind)
		told := map[string]string{} // by subject
		for _, m := range h.outbox.to("ada@example.com") {
			told[m.Subject] = m.Text
		}
		require.Contains(t, told, "Your account is deleted")
		begun := told["Your account is being deleted"]
		require.Contains(t, begun, "Those who run this service")
		require.NotContains(t, begun, "203.0.113.7", "where the operator is")
	})

	t.Run("What the sweeper finishes is the operator's, too", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		operator := h.operator()
		ada := h.newcomer("ada@example.com")
		key := ada.session.GetAccountId()
		h.departs.before = func() { h.departs.err = errors.New("membership went away") }
		answer, err := h.operators.DeleteAccount(h.as(operator), &identityv1.DeleteAccountRequest{AccountId: key, Reason: why})
		require.NoError(t, err)
		require.False(t, answer.GetDeleted())
		_, err = h.resolve(ada.token, false)
		requireReason(t, unauthenticated, err)

		h.departs.before, h.departs.err = nil, nil
		h.exec(`UPDATE due SET next_time = now() WHERE kind = 'erase'`)
		require.Equal(t, 1, h.sweep("erase"))
		events := h.events(key)
		last := events[len(events)-1]
		require.Equal(t, "account.deleted", last.Type)
		require.Equal(t, why, last.Data["reason"])
		require.Equal(t, "KIND_OPERATOR", last.Data["context"].(map[string]any)["actor"].(map[string]any)["kind"])
		require.Regexp(t, "^opr_", h.departs.operator)
	})

	t.Run("RB6 Whoever is indispensable somewhere stays, and the operator hears where", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		operator := h.operator()
		ada := h.newcomer("ada@example.com")
		stand := []*membershipv1.StandingOrganization{{OrganizationId: "org_1", DisplayName: "Acme"}}
		ask := &identityv1.DeleteAccountRequest{AccountId: ada.session.GetAccountId(), Reason: why, ValidateOnly: true}
		h.departs.stand = stand
		for _, ask.ValidateOnly = range []bool{true, false} {
			_, err := h.operators.DeleteAccount(h.as(operator), ask)
			requireReason(t, lastOwner, err)
			require.Contains(t, err.Error(), "Acme")
		}
		h.departs.stand = nil
		_, err := h.operators.DeleteAccount(h.as(operator), &identityv1.DeleteAccountRequest{AccountId: ask.GetAccountId(), Reason: why, ValidateOnly: true})
		require.NoError(t, err)
		_, err = h.accounts.GetMe(h.as(ada.token), &identityv1.GetMeRequest{})
		require.NoError(t, err, "nothing was begun")

		ask.RequestId = "once"
		h.departs.before = func() { h.departs.stand = stand } // an ownership was accepted meanwhile
		for range 2 {
			_, err = h.operators.DeleteAccount(h.as(operator), ask)
			requireReason(t, lastOwner, err)
			h.departs.stand = nil // nothing begins again with the same request
		}
		require.NoError(t, h.trySignIn("ada@example.com"), "the account is as it was")
		require.Zero(t, count(h, `accounts WHERE erase_time IS NOT NULL OR erase_operator IS NOT NULL OR erase_reason IS NOT NULL`))
	})

	t.Run("Who there is not, or is not any more, is not found", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		operator := h.operator()
		ada := h.newcomer("ada@example.com")
		_, err := h.operators.DeleteAccount(h.as(operator), &identityv1.DeleteAccountRequest{AccountId: ada.session.GetAccountId(), Reason: why})
		require.NoError(t, err)
		for _, wrong := range []string{"x", id.NewAccount().String(), ada.session.GetAccountId()} {
			_, err := h.operators.DeleteAccount(h.as(operator), &identityv1.DeleteAccountRequest{AccountId: wrong, Reason: why})
			requireReason(t, accountNotFound, err)
		}
	})

	t.Run("Nobody but operators", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.newcomer("ada@example.com")
		_, err := h.operators.DeleteAccount(h.as(ada.token), &identityv1.DeleteAccountRequest{AccountId: ada.session.GetAccountId(), Reason: why})
		requireReason(t, callerRefused, err)
	})
}
