package identity

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

// activity is a person's login activity, oldest first, in words.
func (h *harness) activity(bearer string) (told []string) {
	h.Helper()
	answer, err := h.sessions.ListMyLoginActivity(h.as(bearer), &identityv1.ListMyLoginActivityRequest{})
	require.NoError(h, err)
	for _, a := range answer.GetActivity() {
		line := strings.TrimPrefix(a.GetAction().String(), "LOGIN_ACTION_") + " " + strings.TrimPrefix(a.GetMethod().String(), "LOGIN_METHOD_")
		if !a.GetSuccess() {
			line += " " + strings.TrimPrefix(a.GetFailure().String(), "LOGIN_FAILURE_")
		}
		told = append([]string{line}, told...)
	}
	return told
}

func TestLoginActivity(t *testing.T) {
	t.Parallel()
	t.Run("R46 TellsWhatWasTriedAndWhatBecameOfIt", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key := h.withPassword("ada@example.com", "")
		fails := func(email string) {
			_, err := h.sessions.CreateSession(h.as(""), &identityv1.CreateSessionRequest{Email: email, Password: "wrong", Delivery: identityv1.Delivery_DELIVERY_TOKEN})
			requireReason(t, credentialsInvalid, err)
		}
		fails("ada@example.com")
		fails("nobody@example.com")
		h.exec(`UPDATE sign_in_failures SET count = 9, next_time = now() + interval '1 hour' WHERE account_id = $1`, key)
		fails("ada@example.com")
		h.exec(`UPDATE sign_in_failures SET next_time = now() WHERE account_id = $1`, key)
		h.exec(`UPDATE accounts SET sign_in_allowed = false, managed_by = gen_random_uuid() WHERE id = $1`, key)
		fails("ada@example.com")
		h.exec(`UPDATE accounts SET sign_in_allowed = true WHERE id = $1`, key)
		h.exec(`DELETE FROM sign_in_failures WHERE account_id = $1`, key)
		ada, other := h.signIn("ada@example.com"), h.signIn("ada@example.com")
		_, err := h.sessions.DeleteSession(h.as(ada.token), &identityv1.DeleteSessionRequest{SessionId: other.session.GetId()})
		require.NoError(t, err)
		again, err := h.sessions.Reauthenticate(h.as(ada.token), &identityv1.ReauthenticateRequest{Password: goodPassword})
		require.NoError(t, err)
		_, err = h.passwords.ChangePassword(h.as(again.GetToken()), &identityv1.ChangePasswordRequest{
			CurrentPassword: goodPassword, Password: "marble lantern orchard 3"})
		require.NoError(t, err)
		require.Equal(t, []string{
			"SIGN_IN PASSWORD WRONG_PASSWORD", "SIGN_IN PASSWORD TOO_MANY_FAILURES", "SIGN_IN PASSWORD DISABLED",
			"SIGN_IN PASSWORD", "SIGN_IN PASSWORD", "SIGN_OUT UNSPECIFIED", "REAUTHENTICATE PASSWORD", "PASSWORD_CHANGE PASSWORD",
		}, h.activity(again.GetToken()))
		require.Equal(t, 8, count(h, `sign_ins`), "nothing is kept about nobody")

		answer, err := h.sessions.ListMyLoginActivity(h.as(again.GetToken()), &identityv1.ListMyLoginActivityRequest{})
		require.NoError(t, err)
		latest := answer.GetActivity()[0]
		require.Equal(t, "203.0.113.7", latest.GetAddress())
		require.Equal(t, "Firefox/140 (X11)", latest.GetUserAgent())
		require.Equal(t, "Firefox on Linux", latest.GetDevice())
		require.NotZero(t, latest.GetTime())
	})
	t.Run("R46 IsOnesOwn", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.open(h.insert("ada@example.com", ""))
		_, bobs := h.open(h.insert("bob@example.com", ""))
		require.Equal(t, []string{"SIGN_IN LINK"}, h.activity(bobs))
	})
	t.Run("IsBoundedAndFailuresDoNotPushOutWhatSucceeded", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key := h.withPassword("ada@example.com", "")
		_, bearer := h.open(key)
		old := func(times int, reason, age string) {
			h.exec(fmt.Sprintf(`INSERT INTO sign_ins (account_id, time, action, method, reason, address, user_agent)
				SELECT $1, now() - interval '%s', 'SIGN_IN', 'PASSWORD', '%s', '', '' FROM generate_series(1, %d)`, age, reason, times), key)
		}
		old(150, "WRONG_PASSWORD", "1 day")
		old(1, "", "91 days")
		require.Len(t, h.activity(bearer), 151, "what is too old is not shown")
		requireReason(t, credentialsInvalid, func() error {
			_, err := h.sessions.CreateSession(h.as(""), &identityv1.CreateSessionRequest{
				Email: "ada@example.com", Password: "wrong", Delivery: identityv1.Delivery_DELIVERY_TOKEN})
			return err
		}())
		told := h.activity(bearer)
		require.Len(t, told, 101)
		require.Equal(t, "SIGN_IN LINK", told[0])
		require.Equal(t, 101, count(h, `sign_ins`), "nor kept")
	})
}

func TestSignOutOthers(t *testing.T) {
	t.Parallel()
	h := start(t)
	ada := h.insert("ada@example.com", "")
	here, bearer := h.open(ada)
	h.open(ada)
	h.open(ada)
	bob, bobs := h.open(h.insert("bob@example.com", ""))
	t.Run("R42 EndsAllButTheOneOfTheCall", func(t *testing.T) {
		for _, want := range []int32{2, 0} {
			answer, err := h.sessions.SignOutOthers(h.as(bearer), &identityv1.SignOutOthersRequest{})
			require.NoError(t, err)
			require.Equal(t, want, answer.GetEnded())
		}
		ids, current := h.list(bearer)
		require.Equal(t, []string{here.GetId()}, ids)
		require.Equal(t, here.GetId(), current)
		ids, _ = h.list(bobs)
		require.Equal(t, []string{bob.GetId()}, ids)
		require.Equal(t, []string{"account.signed_in", "account.signed_in", "account.signed_in", "session.ended", "session.ended"}, h.types(ada.String()))
	})
	t.Run("R42 TellsAddressAndDevice", func(t *testing.T) {
		h.withPassword("cleo@example.com", "")
		in := h.signIn("cleo@example.com")
		require.Equal(t, "203.0.113.7", in.session.GetAddress())
		require.Equal(t, "Firefox on Linux", in.session.GetDevice())
	})
}
