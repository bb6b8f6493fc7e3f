package identity

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/testkit"
)

func TestPasskeySignIn(t *testing.T) {
	t.Parallel()
	t.Run("R34 APasskeyAloneIsBothFactors", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		owner, key, _ := h.withPasskey("ada@example.com")
		key.Counter = 1
		in, err := h.finish(key.Sign(t, h.signInOptions()))
		require.NoError(t, err)
		require.Equal(t, owner.String(), in.GetSession().GetAccountId())
		require.EqualValues(t, 2, in.GetSession().GetLevel())
		me, err := h.accounts.GetMe(h.as(in.GetToken()), &identityv1.GetMeRequest{})
		require.NoError(t, err)
		require.Equal(t, "ada@example.com", me.GetAccount().GetEmail())
		require.Equal(t, "SIGN_IN PASSKEY", h.latest(in.GetToken()))
		require.Equal(t, 1, count(h, `factors WHERE account_id = $1 AND sign_count = 1`, owner))
		types := h.types(owner.String())
		require.Equal(t, "account.signed_in", types[len(types)-1])
		h.creation(in.GetToken()) // whoever has just shown it may change factors
	})
	t.Run("R63 TheChallengeSaysNothingOfAnybody", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.withPasskey("ada@example.com")
		var first, second map[string]any
		require.NoError(t, json.Unmarshal([]byte(h.signInOptions()), &first))
		require.NoError(t, json.Unmarshal([]byte(h.signInOptions()), &second))
		require.NotEqual(t, first["challenge"], second["challenge"])
		delete(first, "challenge")
		delete(second, "challenge")
		require.Equal(t, map[string]any{"rpId": "roster.test", "timeout": 300_000.0, "userVerification": "required"}, first)
		require.Equal(t, first, second)
	})
	t.Run("R8 AllThatIsWrongIsOneAnswer", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		owner, key, confirmed := h.withPasskey("ada@example.com")
		_, others, _ := h.withPasskey("bob@example.com")
		said := map[string]bool{}
		refuses := func(what, answer string) {
			t.Helper()
			_, err := h.finish(answer)
			requireReason(t, passkeyInvalid, err)
			said[err.Error()] = true
			require.Len(t, said, 1, what)
			h.exec(`DELETE FROM sign_in_failures`)
		}
		changed := func(change func(*testkit.Passkey)) *testkit.Passkey {
			liar := *key
			change(&liar)
			return &liar
		}
		refuses("no answer", "{}")
		refuses("unknown", changed(func(k *testkit.Passkey) { k.Handle = []byte("nobody") }).Sign(t, h.signInOptions()))
		refuses("without a handle", changed(func(k *testkit.Passkey) { k.Handle = nil }).Sign(t, h.signInOptions()))
		refuses("another's", changed(func(k *testkit.Passkey) { k.Handle = others.Handle }).Sign(t, h.signInOptions()))
		refuses("another of the same handle", key.Another(t).Sign(t, h.signInOptions()))
		refuses("its owner was not looked at", changed(func(k *testkit.Passkey) { k.Unverified = true }).Sign(t, h.signInOptions()))
		refuses("another origin", changed(func(k *testkit.Passkey) { k.Origin = "https://evil.example" }).Sign(t, h.signInOptions()))
		refuses("for the proof of somebody who is known", key.Sign(t, h.proof(confirmed.GetToken())))
		refuses("to make one", key.Sign(t, h.creation(confirmed.GetToken())))

		good := key.Sign(t, h.signInOptions())
		_, err := h.finish(good)
		require.NoError(t, err)
		refuses("used before", good)
		late := key.Sign(t, h.signInOptions())
		h.exec(`UPDATE passkey_challenges SET expire_time = now()`)
		refuses("late", late)

		h.exec(`INSERT INTO sign_in_failures (account_id, count, next_time) VALUES ($1, 9, now() + interval '1 hour')`, owner)
		h.exec(`DELETE FROM known_networks`)
		refuses("too early after failures", key.Sign(t, h.signInOptions()))
		require.Equal(t, "SIGN_IN PASSKEY TOO_MANY_FAILURES", h.latest(confirmed.GetToken()))

		h.exec(`UPDATE accounts SET sign_in_allowed = false, managed_by = gen_random_uuid() WHERE id = $1`, owner)
		refuses("kept out by an organization", key.Sign(t, h.signInOptions()))
		h.exec(`UPDATE accounts SET sign_in_allowed = true, managed_by = NULL WHERE id = $1`, owner)
		require.Equal(t, "SIGN_IN PASSKEY DISABLED", h.latest(confirmed.GetToken()))

		_, err = h.factors.RemoveFactor(h.as(confirmed.GetToken()), &identityv1.RemoveFactorRequest{FactorId: confirmed.GetFactor().GetId()})
		require.NoError(t, err)
		refuses("taken away", key.Sign(t, h.signInOptions()))
	})
	t.Run("R32 FailuresCountWithThoseOfThePassword", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		owner, key, _ := h.withPasskey("ada@example.com")
		h.exec(`DELETE FROM known_networks`)
		liar := *key
		liar.Unverified = true
		for range 5 {
			_, err := h.finish(liar.Sign(t, h.signInOptions()))
			requireReason(t, passkeyInvalid, err)
		}
		require.Equal(t, 1, count(h, `sign_in_failures WHERE account_id = $1 AND count = 5 AND next_time > now() - interval '1 minute'`, owner))
		require.Equal(t, 5, count(h, `sign_ins WHERE account_id = $1 AND method = 'PASSKEY' AND reason = 'WRONG_PASSKEY'`, owner))
	})
	t.Run("R10 ATemporaryPasswordIsChangedFirst", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		owner, key, _ := h.withPasskey("ada@example.com")
		h.exec(`UPDATE credentials SET temporary_until = now() + interval '1 hour' WHERE account_id = $1`, owner)
		in, err := h.finish(key.Sign(t, h.signInOptions()))
		require.NoError(t, err)
		require.True(t, in.GetPasswordChangeRequired())
		_, err = h.accounts.GetMe(h.as(in.GetToken()), &identityv1.GetMeRequest{})
		requireReason(t, incomplete, err)
	})
	t.Run("R40 ACookieIsForBrowsers", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, key, _ := h.withPasskey("ada@example.com")
		cookie := &identityv1.FinishPasskeySignInRequest{Passkey: key.Sign(t, h.signInOptions()), Delivery: identityv1.Delivery_DELIVERY_COOKIE}
		_, err := identityv1.NewSessionServiceClient(h.dial("")).FinishPasskeySignIn(t.Context(), cookie)
		requireReason(t, invalid, err)
		in, err := h.sessions.FinishPasskeySignIn(h.as(""), cookie)
		require.NoError(t, err)
		require.Empty(t, in.GetToken())
	})
}
