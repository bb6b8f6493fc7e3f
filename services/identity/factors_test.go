package identity

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/factor"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
)

// app is an authenticator app of an account.
type app struct {
	id     string
	secret factor.Secret
}

// code is what the app shows now.
func (a app) code() string { return a.secret.Code(factor.StepAt(time.Now())) }

// next lets the code that was used be used again, as if time had passed.
func (h *harness) next() { h.exec(`UPDATE factors SET last_step = 0`) }

// begin begins to set up an app.
func (h *harness) begin(bearer string) app {
	h.Helper()
	begun, err := h.factors.BeginTotp(h.as(bearer), &identityv1.BeginTotpRequest{})
	require.NoError(h, err)
	raw, err := base32Of(begun.GetSecret())
	require.NoError(h, err)
	return app{id: begun.GetFactorId(), secret: raw}
}

// enrol sets an app up, and returns it with the session that goes on and the recovery codes.
func (h *harness) enrol(bearer string) (app, *identityv1.ConfirmTotpResponse) {
	h.Helper()
	a := h.begin(bearer)
	confirmed, err := h.factors.ConfirmTotp(h.as(bearer), &identityv1.ConfirmTotpRequest{FactorId: a.id, Code: a.code()})
	require.NoError(h, err)
	h.next()
	return a, confirmed
}

// withApp is withPassword and signIn for somebody who has an app. The person's session has shown both.
func (h *harness) withApp(email string) (id.Account, app, *identityv1.ConfirmTotpResponse) {
	h.Helper()
	key := h.withPassword(email, "")
	a, confirmed := h.enrol(h.signIn(email).token)
	return key, a, confirmed
}

// challenge signs in as far as the second factor.
func (h *harness) challenge(email string) string {
	h.Helper()
	in, err := h.sessions.CreateSession(h.as(""), &identityv1.CreateSessionRequest{
		Email: email, Password: goodPassword, Delivery: identityv1.Delivery_DELIVERY_TOKEN,
	})
	require.NoError(h, err)
	require.NotNil(h, in.GetChallenge())
	return in.GetToken()
}

func (h *harness) answer(bearer, code string) (*identityv1.AnswerChallengeResponse, error) {
	return h.sessions.AnswerChallenge(h.as(bearer), &identityv1.AnswerChallengeRequest{Code: code})
}

// wrong is a code that the app does not show.
func (a app) wrong() string {
	for _, code := range []string{"000000", "111111", "222222", "333333"} {
		if _, ok := a.secret.Match(code, 0, time.Now()); !ok {
			return code
		}
	}
	return ""
}

func TestTotp(t *testing.T) {
	t.Parallel()
	t.Run("R54 TheSecretOfAnAppOpensInItsRowAlone", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, ada, _ := h.withApp("ada@example.com")
		_, bob, _ := h.withApp("bob@example.com")
		const swap = `UPDATE factors f SET sealed_secret = g.sealed_secret FROM factors g WHERE g.id <> f.id`
		h.exec(swap)
		for _, code := range []string{ada.code(), bob.code()} {
			h.next()
			_, err := h.answer(h.challenge("ada@example.com"), code)
			requireReason(t, errorv1.Reason_REASON_INTERNAL, err)
		}
		h.exec(swap)
		h.next()
		_, err := h.answer(h.challenge("ada@example.com"), ada.code())
		require.NoError(t, err)
	})
	t.Run("R30 TheSecretIsShownOnceAndStoredSealedForItsOwnerAndItself", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key := h.withPassword("ada@example.com", "")
		in := h.signIn("ada@example.com")
		begun, err := h.factors.BeginTotp(h.as(in.token), &identityv1.BeginTotpRequest{DisplayName: "Phone"})
		require.NoError(t, err)
		raw, err := base32Of(begun.GetSecret())
		require.NoError(t, err)
		require.Len(t, raw, 20)
		require.Contains(t, begun.GetUri(), "otpauth://totp/Roster:ada@example.com?")
		require.Contains(t, begun.GetUri(), "secret="+begun.GetSecret())

		var sealed []byte
		require.NoError(t, h.owner.QueryRow(t.Context(), `SELECT sealed_secret FROM factors`).Scan(&sealed))
		require.False(t, bytes.Contains(sealed, raw))
		opened, err := testKey.Open(sealed, factorBound(key, parseFactor(t, begun.GetFactorId()))...)
		require.NoError(t, err)
		require.Equal(t, []byte(raw), opened)
		for _, context := range [][]string{factorBound(id.NewAccount(), parseFactor(t, begun.GetFactorId())), factorBound(key, id.NewFactor())} {
			_, err = testKey.Open(sealed, context...)
			require.Error(t, err)
		}
		listed, err := h.factors.ListFactors(h.as(in.token), &identityv1.ListFactorsRequest{})
		require.NoError(t, err)
		require.Empty(t, listed.GetFactors(), "it waits for its first code")
		require.Nil(t, h.events(key.String())[0].Data["after"])
	})
	t.Run("R30 OneCodeMakesItAFactorAndIsUsedUp", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key := h.withPassword("ada@example.com", "")
		in := h.signIn("ada@example.com")
		a := h.begin(in.token)
		_, err := h.factors.ConfirmTotp(h.as(in.token), &identityv1.ConfirmTotpRequest{FactorId: a.id, Code: a.wrong()})
		requireReason(t, codeInvalid, err)
		require.Equal(t, 1, count(h, `sign_in_failures WHERE account_id = $1`, key), "R32")
		require.NotEmpty(t, h.signIn("ada@example.com").token, "signing in does not ask for it yet")

		code := a.code()
		confirmed, err := h.factors.ConfirmTotp(h.as(in.token), &identityv1.ConfirmTotpRequest{FactorId: a.id, Code: code})
		require.NoError(t, err)
		require.Equal(t, "Authenticator app", confirmed.GetFactor().GetDisplayName())
		require.Equal(t, identityv1.FactorMethod_FACTOR_METHOD_TOTP, confirmed.GetFactor().GetMethod())
		_, err = h.answer(h.challenge("ada@example.com"), code)
		requireReason(t, codeInvalid, err)
		_, err = h.factors.ConfirmTotp(h.as(confirmed.GetToken()), &identityv1.ConfirmTotpRequest{FactorId: a.id, Code: code})
		requireReason(t, factorNotFound, err)

		events := h.events(key.String())
		changed := events[len(events)-3]
		require.Equal(t, "account.mfa_changed", changed.Type)
		require.Equal(t, map[string]any{}, changed.Data["before"])
		require.Equal(t, map[string]any{"methods": []any{"TOTP"}, "factorIds": []any{a.id}}, changed.Data["after"])
	})
	t.Run("R39 TheSessionGoesOnAsOneThatHasShownBoth", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.withPassword("ada@example.com", "")
		first, other := h.signIn("ada@example.com"), h.signIn("ada@example.com")
		_, confirmed := h.enrol(first.token)
		require.NotEqual(t, first.session.GetId(), confirmed.GetSession().GetId())
		require.EqualValues(t, 2, confirmed.GetSession().GetLevel())
		ids, _ := h.list(confirmed.GetToken())
		require.Equal(t, []string{confirmed.GetSession().GetId(), other.session.GetId()}, ids)
	})
	t.Run("R35 EverythingThatChangesAFactorAsksForBothWithinFiveMinutes", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.withPassword("ada@example.com", "")
		in, other := h.signIn("ada@example.com"), h.signIn("ada@example.com")
		h.list(other.token) // the service knows who that is from now on, as it was before
		a, confirmed := h.enrol(in.token)
		calls := map[string]func(bearer string) error{
			"BeginTotp": func(bearer string) error {
				_, err := h.factors.BeginTotp(h.as(bearer), &identityv1.BeginTotpRequest{})
				return err
			},
			"ConfirmTotp": func(bearer string) error {
				_, err := h.factors.ConfirmTotp(h.as(bearer), &identityv1.ConfirmTotpRequest{FactorId: a.id, Code: "000000"})
				return err
			},
			"RenameFactor": func(bearer string) error {
				_, err := h.factors.RenameFactor(h.as(bearer), &identityv1.RenameFactorRequest{FactorId: a.id, DisplayName: "x"})
				return err
			},
			"RemoveFactor": func(bearer string) error {
				_, err := h.factors.RemoveFactor(h.as(bearer), &identityv1.RemoveFactorRequest{FactorId: a.id})
				return err
			},
			"RegenerateRecoveryCodes": func(bearer string) error {
				_, err := h.factors.RegenerateRecoveryCodes(h.as(bearer), &identityv1.RegenerateRecoveryCodesRequest{})
				return err
			},
		}
		for _, call := range calls {
			requireReason(t, stepUpRequired, call(other.token)) // signed in with the password alone
		}
		h.exec(`UPDATE sessions SET auth_time = now() - interval '6 minutes'`)
		for _, call := range calls {
			requireReason(t, stepUpRequired, call(confirmed.GetToken()))
		}
		answer, err := h.sessions.Reauthenticate(h.as(confirmed.GetToken()), &identityv1.ReauthenticateRequest{Password: goodPassword, Code: a.code()})
		require.NoError(t, err)
		require.NoError(t, calls["RenameFactor"](answer.GetToken()))
	})
	t.Run("BeginningAgainReplacesWhatWaits", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.withPassword("ada@example.com", "")
		in := h.signIn("ada@example.com")
		old, latest := h.begin(in.token), h.begin(in.token)
		_, err := h.factors.ConfirmTotp(h.as(in.token), &identityv1.ConfirmTotpRequest{FactorId: old.id, Code: old.code()})
		requireReason(t, factorNotFound, err)
		_, err = h.factors.ConfirmTotp(h.as(in.token), &identityv1.ConfirmTotpRequest{FactorId: latest.id, Code: latest.code()})
		require.NoError(t, err)
	})
	t.Run("SeveralAppsAndWhatTheyAreCalled", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key, _, confirmed := h.withApp("ada@example.com")
		second, again := h.enrol(confirmed.GetToken())
		require.Empty(t, again.GetRecoveryCodes(), "there are some already")
		bearer := again.GetToken()
		renamed, err := h.factors.RenameFactor(h.as(bearer), &identityv1.RenameFactorRequest{FactorId: second.id, DisplayName: "Tablet"})
		require.NoError(t, err)
		require.Equal(t, "Tablet", renamed.GetFactor().GetDisplayName())
		listed, err := h.factors.ListFactors(h.as(bearer), &identityv1.ListFactorsRequest{})
		require.NoError(t, err)
		require.Len(t, listed.GetFactors(), 2)
		require.Equal(t, "Tablet", listed.GetFactors()[1].GetDisplayName())
		require.EqualValues(t, 10, listed.GetRecoveryCodesLeft())
		_, err = h.answer(h.challenge("ada@example.com"), second.code())
		require.NoError(t, err)

		_, err = h.factors.RenameFactor(h.as(bearer), &identityv1.RenameFactorRequest{FactorId: second.id, DisplayName: "a\nb"})
		requireReason(t, invalid, err)
		h.exec(`INSERT INTO factors SELECT account_id, gen_random_uuid(), method, '', sealed_secret, true, 0, now() FROM factors, generate_series(1, 8) LIMIT 8`)
		_, err = h.factors.BeginTotp(h.as(bearer), &identityv1.BeginTotpRequest{})
		require.Error(t, err)
		require.Equal(t, 10, count(h, `factors WHERE account_id = $1`, key))
	})
	t.Run("TheLastOneTakesTheRecoveryCodesWithIt", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key, a, confirmed := h.withApp("ada@example.com")
		request := &identityv1.RemoveFactorRequest{FactorId: a.id, RequestId: "once"}
		for range 2 {
			_, err := h.factors.RemoveFactor(h.as(confirmed.GetToken()), request)
			require.NoError(t, err)
		}
		require.Zero(t, count(h, `recovery_codes`))
		require.Equal(t, 1, count(h, `accounts WHERE id = $1 AND factors = 1`, key))
		in, err := h.sessions.CreateSession(h.as(""), &identityv1.CreateSessionRequest{
			Email: "ada@example.com", Password: goodPassword, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
		require.NoError(t, err)
		require.Nil(t, in.GetChallenge())
	})
	t.Run("R38 TheLastOneStaysWhileAnOrganizationAsksForOne", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key, a, confirmed := h.withApp("ada@example.com")
		remove := func(f app) error {
			_, err := h.factors.RemoveFactor(h.as(confirmed.GetToken()), &identityv1.RemoveFactorRequest{FactorId: f.id, RequestId: "once-" + f.id})
			return err
		}
		h.required.err = errors.New("membership is away")
		require.Error(t, remove(a), "nobody is asked, so it stays")
		h.required.err, h.required.names = nil, []string{"Acme"}
		err := remove(a)
		requireReason(t, errorv1.Reason_REASON_MFA_REQUIRED, err)
		require.Contains(t, fault.From(err).Message, "Acme")
		require.Equal(t, 1, count(h, `accounts WHERE id = $1 AND factors = 2`, key))
		require.Positive(t, count(h, `recovery_codes`))

		asked := h.required.asked
		second := h.begin(confirmed.GetToken())
		again, err := h.factors.ConfirmTotp(h.as(confirmed.GetToken()), &identityv1.ConfirmTotpRequest{FactorId: second.id, Code: second.code()})
		require.NoError(t, err)
		confirmed = again
		require.NoError(t, remove(a), "one is left")
		require.Equal(t, asked, h.required.asked)
		requireReason(t, errorv1.Reason_REASON_MFA_REQUIRED, remove(second))
		h.required.names = nil
		require.NoError(t, remove(second))
		require.NoError(t, remove(second), "the same request")
	})
	t.Run("AnothersFactorIsNotFound", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, a, _ := h.withApp("ada@example.com")
		h.withPassword("bob@example.com", "")
		bob := h.signIn("bob@example.com").token
		waiting := h.begin(bob)
		_, err := h.factors.RemoveFactor(h.as(bob), &identityv1.RemoveFactorRequest{FactorId: a.id})
		requireReason(t, factorNotFound, err)
		_, err = h.factors.RemoveFactor(h.as(bob), &identityv1.RemoveFactorRequest{FactorId: waiting.id})
		requireReason(t, factorNotFound, err)
		_, err = h.factors.RenameFactor(h.as(bob), &identityv1.RenameFactorRequest{FactorId: "x", DisplayName: "x"})
		requireReason(t, factorNotFound, err)
		_, err = h.factors.ConfirmTotp(h.as(bob), &identityv1.ConfirmTotpRequest{FactorId: a.id, Code: a.code()})
		requireReason(t, factorNotFound, err)
		_, err = h.factors.RegenerateRecoveryCodes(h.as(bob), &identityv1.RegenerateRecoveryCodesRequest{})
		requireReason(t, factorNotFound, err)
	})
	t.Run("R86 ThePersonIsWrittenTo", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, a, confirmed := h.withApp("ada@example.com")
		_, err := h.answer(h.challenge("ada@example.com"), confirmed.GetRecoveryCodes()[0])
		require.NoError(t, err)
		_, err = h.factors.RegenerateRecoveryCodes(h.as(confirmed.GetToken()), &identityv1.RegenerateRecoveryCodesRequest{})
		require.NoError(t, err)
		_, err = h.factors.RemoveFactor(h.as(confirmed.GetToken()), &identityv1.RemoveFactorRequest{FactorId: a.id})
		require.NoError(t, err)
		h.sweep(mail.TaskKind)
		var subjects []string
		for _, m := range h.outbox.to("ada@example.com") {
			subjects = append(subjects, m.Subject)
			for _, code := range append(confirmed.GetRecoveryCodes(), a.secret.Text()) {
				require.NotContains(t, m.Text+m.HTML, code)
			}
		}
		require.ElementsMatch(t, []string{
			"An authenticator app was added to your account", "A recovery code was used", "You have new recovery codes",
			"An authenticator app was removed from your account",
		}, subjects)
	})
	t.Run("AnAddressThatNobodyHasProvenHearsNothing", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.withPassword("ada@example.com", "")
		h.exec(`UPDATE user_emails SET verified = false`)
		h.exec(`UPDATE accounts SET email_verified = false`)
		h.enrol(h.signIn("ada@example.com").token)
		require.Zero(t, count(h, `mails`))
	})
}

func TestRecoveryCodes(t *testing.T) {
	t.Parallel()
	t.Run("R33 EachWorksOnceAndOnlyTheirHashesAreStored", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key, _, confirmed := h.withApp("ada@example.com")
		codes := confirmed.GetRecoveryCodes()
		require.Len(t, codes, 10)
		typed := strings.ToLower(strings.ReplaceAll(codes[0], "-", " "))
		in, err := h.answer(h.challenge("ada@example.com"), typed)
		require.NoError(t, err)
		require.EqualValues(t, 2, in.GetSession().GetLevel())
		_, err = h.answer(h.challenge("ada@example.com"), codes[0])
		requireReason(t, codeInvalid, err)
		listed, err := h.factors.ListFactors(h.as(in.GetToken()), &identityv1.ListFactorsRequest{})
		require.NoError(t, err)
		require.EqualValues(t, 9, listed.GetRecoveryCodesLeft())
		require.Contains(t, h.types(key.String()), "account.recovery_code_used")
		dump := h.dump()
		for _, code := range codes {
			require.NotContains(t, dump, code)
			require.NotContains(t, dump, strings.ReplaceAll(code, "-", ""))
		}
	})
	t.Run("R33 AnothersCodeNeverWorks", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, _, ada := h.withApp("ada@example.com")
		_, bobsApp, _ := h.withApp("bob@example.com")
		_, err := h.answer(h.challenge("bob@example.com"), ada.GetRecoveryCodes()[0])
		requireReason(t, codeInvalid, err)
		// Not even where its row is another's.
		h.exec(`DELETE FROM recovery_codes WHERE account_id <> (SELECT account_id FROM factors WHERE id = $1)`, parseFactor(t, bobsApp.id))
		h.exec(`DELETE FROM sign_in_failures`)
		_, err = h.answer(h.challenge("ada@example.com"), ada.GetRecoveryCodes()[0])
		requireReason(t, codeInvalid, err)
	})
	t.Run("R33 NewOnesVoidTheOld", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, _, confirmed := h.withApp("ada@example.com")
		answer, err := h.factors.RegenerateRecoveryCodes(h.as(confirmed.GetToken()), &identityv1.RegenerateRecoveryCodesRequest{RequestId: "once"})
		require.NoError(t, err)
		require.Len(t, answer.GetRecoveryCodes(), 10)
		again, err := h.factors.RegenerateRecoveryCodes(h.as(confirmed.GetToken()), &identityv1.RegenerateRecoveryCodesRequest{RequestId: "once"})
		require.NoError(t, err)
		require.Equal(t, answer.GetRecoveryCodes(), again.GetRecoveryCodes(), "the answer was lost on its way")
		challenge := h.challenge("ada@example.com")
		_, err = h.answer(challenge, confirmed.GetRecoveryCodes()[3])
		requireReason(t, codeInvalid, err)
		_, err = h.answer(challenge, answer.GetRecoveryCodes()[3])
		require.NoError(t, err)
	})
	t.Run("R33 OneCodeManyTimesAtOnceIsOneSuccess", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, _, confirmed := h.withApp("ada@example.com")
		var bearers []string
		for range 8 {
			bearers = append(bearers, h.challenge("ada@example.com"))
		}
		won := 0
		for _, err := range h.together(len(bearers), func(i int) error {
			_, err := h.answer(bearers[i], confirmed.GetRecoveryCodes()[0])
			return err
		}) {
			if err == nil {
				won++
			}
		}
		require.Equal(t, 1, won)
	})
}

func parseFactor(t testing.TB, text string) id.Factor {
	t.Helper()
	key, err := id.ParseFactor(text)
	require.NoError(t, err)
	return key
}
