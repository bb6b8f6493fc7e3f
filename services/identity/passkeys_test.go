package identity

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/testkit"
)

// publicURL is where people reach the harness.
const publicURL = "https://roster.test"

// creation begins to set up a passkey, and returns the options.
func (h *harness) creation(bearer string) string {
	h.Helper()
	begun, err := h.factors.BeginPasskey(h.as(bearer), &identityv1.BeginPasskeyRequest{})
	require.NoError(h, err)
	return begun.GetOptions()
}

func (h *harness) confirm(bearer, answer string) (*identityv1.ConfirmPasskeyResponse, error) {
	return h.factors.ConfirmPasskey(h.as(bearer), &identityv1.ConfirmPasskeyRequest{Passkey: answer})
}

// withPasskey is withPassword and signIn for somebody who has a passkey. The person's session has shown both.
func (h *harness) withPasskey(email string) (id.Account, *testkit.Passkey, *identityv1.ConfirmPasskeyResponse) {
	h.Helper()
	owner := h.withPassword(email, "")
	bearer, key := h.signIn(email).token, testkit.NewPasskey(h, publicURL)
	confirmed, err := h.confirm(bearer, key.Create(h, h.creation(bearer)))
	require.NoError(h, err)
	return owner, key, confirmed
}

// proof begins to prove who is there, and returns the options.
func (h *harness) proof(bearer string) string {
	h.Helper()
	begun, err := h.sessions.BeginPasskeyProof(h.as(bearer), &identityv1.BeginPasskeyProofRequest{})
	require.NoError(h, err)
	return begun.GetOptions()
}

func (h *harness) answerWith(bearer, answer string) (*identityv1.AnswerChallengeResponse, error) {
	return h.sessions.AnswerChallenge(h.as(bearer), &identityv1.AnswerChallengeRequest{Passkey: answer})
}

// signInOptions begins to sign in with a passkey, and returns the options.
func (h *harness) signInOptions() string {
	h.Helper()
	begun, err := h.sessions.BeginPasskeySignIn(h.as(""), &identityv1.BeginPasskeySignInRequest{})
	require.NoError(h, err)
	return begun.GetOptions()
}

func (h *harness) finish(answer string) (*identityv1.FinishPasskeySignInResponse, error) {
	return h.sessions.FinishPasskeySignIn(h.as(""), &identityv1.FinishPasskeySignInRequest{Passkey: answer, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
}

// latest is the last line of a person's login activity, in words.
func (h *harness) latest(bearer string) string {
	h.Helper()
	told := h.activity(bearer)
	return told[len(told)-1]
}

func TestSetUpAPasskey(t *testing.T) {
	t.Parallel()
	t.Run("R34 ItIsAFactorAndTheSessionGoesOnAsOneThatHasShownBoth", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		owner := h.withPassword("ada@example.com", "")
		in, key := h.signIn("ada@example.com"), testkit.NewPasskey(t, publicURL)
		confirmed, err := h.factors.ConfirmPasskey(h.as(in.token), &identityv1.ConfirmPasskeyRequest{
			Passkey: key.Create(t, h.creation(in.token)), DisplayName: "Laptop"})
		require.NoError(t, err)
		require.Equal(t, "Laptop", confirmed.GetFactor().GetDisplayName())
		require.Equal(t, identityv1.FactorMethod_FACTOR_METHOD_PASSKEY, confirmed.GetFactor().GetMethod())
		require.Len(t, confirmed.GetRecoveryCodes(), 10)
		require.EqualValues(t, 2, confirmed.GetSession().GetLevel())
		require.NotEqual(t, in.session.GetId(), confirmed.GetSession().GetId())

		events := h.events(owner.String())
		changed := events[len(events)-3]
		require.Equal(t, "account.mfa_changed", changed.Type)
		require.Equal(t, map[string]any{"methods": []any{"PASSKEY"}, "factorIds": []any{confirmed.GetFactor().GetId()}}, changed.Data["after"])
		h.sweep(mail.TaskKind)
		require.Equal(t, "A passkey was added to your account", h.outbox.to("ada@example.com")[0].Subject)
	})
	t.Run("R34 TheHandleIsRandomAndTheSameForAllOfOnesPasskeys", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		owner, first, confirmed := h.withPasskey("ada@example.com")
		second := testkit.NewPasskey(t, publicURL)
		options := h.creation(confirmed.GetToken())
		again, err := h.confirm(confirmed.GetToken(), second.Create(t, options))
		require.NoError(t, err)
		require.Empty(t, again.GetRecoveryCodes(), "there are some already")
		require.Contains(t, options, `"excludeCredentials"`)
		require.Equal(t, first.Handle, second.Handle)
		require.Len(t, first.Handle, 32)
		require.NotContains(t, string(first.Handle), string(owner[:]))
		_, other, _ := h.withPasskey("bob@example.com")
		require.NotEqual(t, first.Handle, other.Handle)
	})
	t.Run("R34 AChallengeIsAnsweredOnceWithinFiveMinutesByTheSessionThatAsked", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.withPassword("ada@example.com", "")
		in, other := h.signIn("ada@example.com"), h.signIn("ada@example.com")
		key := testkit.NewPasskey(t, publicURL)

		_, err := h.confirm(other.token, key.Create(t, h.creation(in.token)))
		requireReason(t, passkeyInvalid, err) // of another session

		late := key.Create(t, h.creation(in.token))
		h.exec(`UPDATE passkey_challenges SET expire_time = now() WHERE expire_time > now()`)
		_, err = h.confirm(in.token, late)
		requireReason(t, passkeyInvalid, err)
		h.creation(in.token)
		require.Equal(t, 1, count(h, `passkey_challenges`), "what was late is forgotten")

		options := h.creation(in.token)
		lies := *key
		lies.Unverified = true
		_, err = h.confirm(in.token, lies.Create(t, options))
		requireReason(t, passkeyInvalid, err)
		_, err = h.confirm(in.token, key.Create(t, options))
		requireReason(t, passkeyInvalid, err) // which the lie has used up
		require.Zero(t, count(h, `factors`))

		good := key.Create(t, h.creation(in.token))
		confirmed, err := h.confirm(in.token, good)
		require.NoError(t, err)
		_, err = h.confirm(confirmed.GetToken(), good)
		requireReason(t, passkeyInvalid, err)
		_, err = h.confirm(confirmed.GetToken(), "{}")
		requireReason(t, passkeyInvalid, err)
		require.Zero(t, count(h, `sign_in_failures`), "nobody guesses a passkey by setting one up")
	})
	t.Run("R34 APasskeyThatSomebodyHasIsRefused", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, key, confirmed := h.withPasskey("ada@example.com")
		h.withPassword("bob@example.com", "")
		for _, bearer := range []string{confirmed.GetToken(), h.signIn("bob@example.com").token} {
			thief := *key
			_, err := h.confirm(bearer, thief.Create(t, h.creation(bearer)))
			requireReason(t, passkeyTaken, err)
		}
		require.Equal(t, 1, count(h, `factors`))
	})
	t.Run("R34 ThereAreTwentyBesideTheApps", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		owner, _, confirmed := h.withPasskey("ada@example.com")
		late := testkit.NewPasskey(t, publicURL).Create(t, h.creation(confirmed.GetToken()))
		h.exec(`
			INSERT INTO factors (account_id, id, method, display_name, active, last_step, credential_id, public_key, create_time)
			SELECT account_id, gen_random_uuid(), method, '', true, 0, sha256(n::text::bytea), public_key, now() FROM factors, generate_series(1, 19) n`)
		_, err := h.factors.BeginPasskey(h.as(confirmed.GetToken()), &identityv1.BeginPasskeyRequest{})
		requireReason(t, limitReached, err)
		_, err = h.confirm(confirmed.GetToken(), late)
		requireReason(t, limitReached, err)
		require.Equal(t, 20, count(h, `factors WHERE account_id = $1`, owner))
		h.enrol(confirmed.GetToken())
	})
	t.Run("R35 ItAsksForAProofOfWhoIsThere", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.withPassword("ada@example.com", "")
		in := h.signIn("ada@example.com")
		h.exec(`UPDATE sessions SET auth_time = now() - interval '6 minutes'`)
		_, err := h.factors.BeginPasskey(h.as(in.token), &identityv1.BeginPasskeyRequest{})
		requireReason(t, stepUpRequired, err)
		_, err = h.confirm(in.token, "{}")
		requireReason(t, stepUpRequired, err)
	})
	t.Run("R35 ItAsksForBothOnceThereIsAFactor", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.withPassword("ada@example.com", "")
		in, other := h.signIn("ada@example.com"), h.signIn("ada@example.com")
		answer := testkit.NewPasskey(t, publicURL).Create(t, h.creation(other.token))
		h.enrol(in.token)
		_, err := h.factors.BeginPasskey(h.as(other.token), &identityv1.BeginPasskeyRequest{})
		requireReason(t, stepUpRequired, err)
		_, err = h.confirm(other.token, answer)
		requireReason(t, stepUpRequired, err)
	})
	t.Run("ItIsListedRenamedRemovedAndReset", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		owner, key, confirmed := h.withPasskey("ada@example.com")
		bearer, factorID := confirmed.GetToken(), confirmed.GetFactor().GetId()
		_, err := h.factors.RenameFactor(h.as(bearer), &identityv1.RenameFactorRequest{FactorId: factorID, DisplayName: "Key ring"})
		require.NoError(t, err)
		listed, err := h.factors.ListFactors(h.as(bearer), &identityv1.ListFactorsRequest{})
		require.NoError(t, err)
		require.Equal(t, "Key ring", listed.GetFactors()[0].GetDisplayName())
		require.Equal(t, identityv1.FactorMethod_FACTOR_METHOD_PASSKEY, listed.GetFactors()[0].GetMethod())

		h.withPassword("bob@example.com", "")
		_, err = h.factors.RemoveFactor(h.as(h.signIn("bob@example.com").token), &identityv1.RemoveFactorRequest{FactorId: factorID})
		requireReason(t, factorNotFound, err)
		_, err = h.factors.RemoveFactor(h.as(bearer), &identityv1.RemoveFactorRequest{FactorId: factorID})
		require.NoError(t, err)
		require.Zero(t, count(h, `recovery_codes`))
		require.NotEmpty(t, h.signIn("ada@example.com").token, "with the password alone")
		_, err = h.sessions.BeginPasskeyProof(h.as(bearer), &identityv1.BeginPasskeyProofRequest{})
		requireReason(t, factorNotFound, err)

		again, err := h.confirm(bearer, key.Create(t, h.creation(bearer))) // what was taken away may come back
		require.NoError(t, err)
		org := id.NewOrganization()
		h.exec(`UPDATE accounts SET managed_by = $2 WHERE id = $1`, owner, org)
		_, err = h.membership.ResetMfa(t.Context(), &identityv1.ResetMfaRequest{
			AccountId: owner.String(), OrganizationId: org.String(), ActorAccountId: id.NewAccount().String(), OperationId: "once"})
		require.NoError(t, err)
		require.Zero(t, count(h, `factors`))
		_, err = h.accounts.GetMe(h.as(again.GetToken()), &identityv1.GetMeRequest{})
		requireReason(t, unauthenticated, err)
	})
}

func TestPasskeyAsSecondFactor(t *testing.T) {
	t.Parallel()
	t.Run("R34 ItCompletesASignIn", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		owner, key, _ := h.withPasskey("ada@example.com")
		in, err := h.sessions.CreateSession(h.as(""), &identityv1.CreateSessionRequest{
			Email: "ada@example.com", Password: goodPassword, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
		require.NoError(t, err)
		require.Equal(t, []identityv1.FactorMethod{
			identityv1.FactorMethod_FACTOR_METHOD_PASSKEY, identityv1.FactorMethod_FACTOR_METHOD_RECOVERY_CODE}, in.GetChallenge().GetMethods())
		options := h.proof(in.GetToken())
		require.Contains(t, options, `"allowCredentials":[{`)
		key.Counter = 1
		answered, err := h.answerWith(in.GetToken(), key.Sign(t, options))
		require.NoError(t, err)
		require.EqualValues(t, 2, answered.GetSession().GetLevel())
		require.Equal(t, 1, count(h, `factors WHERE account_id = $1 AND sign_count = 1`, owner))
		require.Equal(t, "SIGN_IN SECOND_FACTOR", h.latest(answered.GetToken()))
	})
	t.Run("ACodeOfAnAppStillDoes", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, key, confirmed := h.withPasskey("ada@example.com")
		a, _ := h.enrol(confirmed.GetToken())
		_, err := h.answer(h.challenge("ada@example.com"), a.code())
		require.NoError(t, err)
		half := h.challenge("ada@example.com")
		_, err = h.answerWith(half, key.Sign(t, h.proof(half)))
		require.NoError(t, err)
	})
	t.Run("R34 AChallengeIsAnsweredOnceWithinFiveMinutesByTheSessionThatAsked", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, key, confirmed := h.withPasskey("ada@example.com")
		half, other := h.challenge("ada@example.com"), h.challenge("ada@example.com")
		answer := key.Sign(t, h.proof(half))
		_, err := h.answerWith(other, answer)
		requireReason(t, passkeyInvalid, err)
		_, err = h.answerWith(half, answer) // nothing has used it up
		require.NoError(t, err)
		_, err = h.answerWith(other, answer)
		requireReason(t, passkeyInvalid, err)

		late := key.Sign(t, h.proof(other))
		h.exec(`UPDATE passkey_challenges SET expire_time = now()`)
		_, err = h.answerWith(other, late)
		requireReason(t, passkeyInvalid, err)

		_, err = h.answerWith(other, key.Sign(t, h.creation(confirmed.GetToken()))) // the challenge is for making one
		requireReason(t, passkeyInvalid, err)
	})
	t.Run("R34 AnswersAtOnceAreOneAnswer", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, key, confirmed := h.withPasskey("ada@example.com")
		answer := key.Sign(t, h.proof(confirmed.GetToken()))
		won := 0
		for _, err := range h.together(4, func(int) error { // a fifth failure would make the right one wait
			_, err := h.sessions.Reauthenticate(h.as(confirmed.GetToken()), &identityv1.ReauthenticateRequest{Passkey: answer})
			return err
		}) {
			if err == nil {
				won++
			}
		}
		require.Equal(t, 1, won)
	})
	t.Run("R34 AnothersPasskeyIsNoProof", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, key, _ := h.withPasskey("ada@example.com")
		_, others, _ := h.withPasskey("bob@example.com")
		half := h.challenge("ada@example.com")
		_, err := h.answerWith(half, others.Sign(t, h.proof(half)))
		requireReason(t, passkeyInvalid, err)
		disguised := *others
		disguised.Handle = key.Handle
		_, err = h.answerWith(half, disguised.Sign(t, h.proof(half)))
		requireReason(t, passkeyInvalid, err)
	})
	t.Run("R32 WrongAnswersCountWithWrongCodesAndEndTheChallenge", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		owner, key, confirmed := h.withPasskey("ada@example.com")
		half := h.challenge("ada@example.com")
		liar := *key
		liar.Origin = "https://evil.example"
		for _, answer := range []string{liar.Sign(t, h.proof(half)), "{}", liar.Sign(t, h.proof(half)), "x"} {
			_, err := h.answerWith(half, answer)
			requireReason(t, passkeyInvalid, err)
		}
		_, err := h.answer(half, "000000")
		requireReason(t, codeInvalid, err)
		_, err = h.answerWith(half, key.Sign(t, h.proof(confirmed.GetToken())))
		requireReason(t, unauthenticated, err)
		require.Equal(t, 1, count(h, `sign_in_failures WHERE account_id = $1 AND count = 5`, owner))
		require.Equal(t, 4, count(h, `sign_ins WHERE account_id = $1 AND reason = 'WRONG_PASSKEY' AND method = 'SECOND_FACTOR'`, owner))
		_, err = h.sessions.Reauthenticate(h.as(confirmed.GetToken()), &identityv1.ReauthenticateRequest{Passkey: "{}"})
		requireReason(t, rateLimited, err)
	})
	t.Run("R34 APasskeyThatHasCountedBackwardsIsRefusedAndItsPersonHears", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		owner, key, confirmed := h.withPasskey("ada@example.com")
		h.sweep(mail.TaskKind)
		half := h.challenge("ada@example.com")
		key.Counter = 9
		in, err := h.answerWith(half, key.Sign(t, h.proof(half)))
		require.NoError(t, err)
		half = h.challenge("ada@example.com")
		_, err = h.answerWith(half, key.Sign(t, h.proof(half)))
		requireReason(t, passkeyInvalid, err)
		require.Equal(t, 1, count(h, `factors WHERE account_id = $1 AND sign_count = 9`, owner))
		require.Equal(t, "SIGN_IN SECOND_FACTOR PASSKEY_COPIED", h.latest(in.GetToken()))
		h.sweep(mail.TaskKind)
		latest := h.outbox.to("ada@example.com")[0]
		require.Equal(t, "A passkey of yours was refused", latest.Subject)
		require.Contains(t, latest.Text, `"Passkey"`)
		key.Counter = 10
		_, err = h.sessions.Reauthenticate(h.as(confirmed.GetToken()), &identityv1.ReauthenticateRequest{
			Passkey: key.Sign(t, h.proof(confirmed.GetToken()))})
		require.NoError(t, err)
	})
	t.Run("R35 ItProvesAgainWhoIsThere", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, key, confirmed := h.withPasskey("ada@example.com")
		h.exec(`UPDATE sessions SET auth_time = now() - interval '6 minutes'`)
		rename := func(bearer string) error {
			_, err := h.factors.RenameFactor(h.as(bearer), &identityv1.RenameFactorRequest{FactorId: confirmed.GetFactor().GetId(), DisplayName: "x"})
			return err
		}
		requireReason(t, stepUpRequired, rename(confirmed.GetToken()))
		again, err := h.sessions.Reauthenticate(h.as(confirmed.GetToken()), &identityv1.ReauthenticateRequest{
			Passkey: key.Sign(t, h.proof(confirmed.GetToken()))})
		require.NoError(t, err)
		require.EqualValues(t, 2, again.GetSession().GetLevel())
		require.NotEqual(t, confirmed.GetToken(), again.GetToken())
		require.NoError(t, rename(again.GetToken()))
		require.Equal(t, "REAUTHENTICATE PASSKEY", h.latest(again.GetToken()))
	})
	t.Run("R18 OutOfOrderNothingOpens", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, key, confirmed := h.withPasskey("ada@example.com")
		half := h.challenge("ada@example.com")
		_, err := h.answerWith(confirmed.GetToken(), key.Sign(t, h.proof(confirmed.GetToken())))
		requireReason(t, stateConflict, err)
		_, err = h.sessions.Reauthenticate(h.as(half), &identityv1.ReauthenticateRequest{Passkey: key.Sign(t, h.proof(half))})
		requireReason(t, incomplete, err)
		_, err = h.factors.BeginPasskey(h.as(half), &identityv1.BeginPasskeyRequest{})
		requireReason(t, incomplete, err)
		_, err = h.confirm(half, key.Create(t, h.creation(confirmed.GetToken())))
		requireReason(t, incomplete, err)
		_, err = h.sessions.AnswerChallenge(h.as(half), &identityv1.AnswerChallengeRequest{Passkey: "{}", Code: "000000"})
		requireReason(t, invalid, err)
		_, err = h.sessions.Reauthenticate(h.as(confirmed.GetToken()), &identityv1.ReauthenticateRequest{Passkey: "{}", Password: goodPassword})
		requireReason(t, invalid, err)
		_, err = h.answerWith(half, strings.Repeat("x", 16<<10+1))
		requireReason(t, invalid, err)
	})
	t.Run("AnAddressOfTheNetworkHasNoPasskeys", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.withPassword("ada@example.com", "")
		bearer := h.signIn("ada@example.com").token
		d := h.service.Dependencies
		d.PublicURL = "http://192.0.2.1"
		*h.service.passkeys = *New(d).passkeys
		_, err := h.factors.BeginPasskey(h.as(bearer), &identityv1.BeginPasskeyRequest{})
		requireReason(t, featureOff, err)
	})
}
