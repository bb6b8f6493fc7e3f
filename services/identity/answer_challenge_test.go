package identity

import (
	"encoding/base32"
	"path"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rosterhq/roster/pkg/fault"
	accessv1 "github.com/rosterhq/roster/pkg/gen/roster/access/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/factor"
	"github.com/rosterhq/roster/services/identity/internal/session"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/credential"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/server"
)

func base32Of(text string) (factor.Secret, error) {
	return base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(text)
}

// stretch makes the delay after failures one that is not over before the test looks at it.
func (h *harness) stretch() {
	h.exec(`UPDATE sign_in_failures SET next_time = next_time + interval '1 hour' WHERE count >= 5`)
}

func TestAnswerChallenge(t *testing.T) {
	t.Parallel()
	t.Run("R39 TheSessionHasAnotherIdAndSecret", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key, a, confirmed := h.withApp("ada@example.com")
		before := len(h.types(key.String()))
		half, err := h.sessions.CreateSession(h.as(""), &identityv1.CreateSessionRequest{
			Email: "ada@example.com", Password: goodPassword, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
		require.NoError(t, err)
		require.Equal(t, []identityv1.FactorMethod{
			identityv1.FactorMethod_FACTOR_METHOD_TOTP, identityv1.FactorMethod_FACTOR_METHOD_RECOVERY_CODE,
		}, half.GetChallenge().GetMethods())
		require.Equal(t, session.Pending, half.GetSession().GetExpireTime().AsTime().Sub(half.GetSession().GetCreateTime().AsTime()))
		require.Len(t, h.types(key.String()), before, "nobody has signed in yet")
		ids, _ := h.list(confirmed.GetToken())
		require.NotContains(t, ids, half.GetSession().GetId())

		in, err := h.answer(half.GetToken(), a.code())
		require.NoError(t, err)
		require.NotEqual(t, half.GetSession().GetId(), in.GetSession().GetId())
		require.NotEqual(t, half.GetToken(), in.GetToken())
		require.EqualValues(t, 2, in.GetSession().GetLevel())
		require.Equal(t, session.Absolute, in.GetSession().GetExpireTime().AsTime().Sub(in.GetSession().GetCreateTime().AsTime()))
		_, err = h.credential.ResolveCredential(t.Context(), &identityv1.ResolveCredentialRequest{Secret: half.GetToken(), Audience: "membership"})
		requireReason(t, unauthenticated, err)
		types := h.types(key.String())
		require.Equal(t, []string{"session.ended", "account.signed_in"}, types[len(types)-2:])
		_, err = h.accounts.GetMe(h.as(in.GetToken()), &identityv1.GetMeRequest{})
		require.NoError(t, err)
	})
	t.Run("R40 ACookieStaysACookie", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, a, _ := h.withApp("ada@example.com")
		var header metadata.MD
		half, err := h.sessions.CreateSession(h.as(""), &identityv1.CreateSessionRequest{Email: "ada@example.com", Password: goodPassword}, grpc.Header(&header))
		require.NoError(t, err)
		require.Empty(t, half.GetToken())
		resolved, err := h.credential.ResolveCredential(t.Context(), &identityv1.ResolveCredentialRequest{
			Secret: header.Get(credential.SecretHeader)[0], Cookie: true, Audience: "identity"})
		require.NoError(t, err)
		header = nil
		in, err := h.sessions.AnswerChallenge(h.as(resolved.GetToken()), &identityv1.AnswerChallengeRequest{Code: a.code()}, grpc.Header(&header))
		require.NoError(t, err)
		require.Empty(t, in.GetToken())
		_, err = h.credential.ResolveCredential(t.Context(), &identityv1.ResolveCredentialRequest{
			Secret: header.Get(credential.SecretHeader)[0], Cookie: true, Audience: "identity"})
		require.NoError(t, err)
	})
	t.Run("R36 TheHalfSessionReachesTheChallengeAndNothingElse", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.withApp("ada@example.com")
		half := h.challenge("ada@example.com")
		gateway := h.dial("gateway")
		files := []protoreflect.FileDescriptor{identityv1.File_roster_identity_v1_account_service_proto, identityv1.File_roster_identity_v1_factor_service_proto}
		for _, file := range files {
			for i := range file.Services().Len() {
				for method, rule := range server.Rules(file.Services().Get(i)) {
					if rule.GetCaller() != accessv1.Rule_CALLER_ACCOUNT {
						continue
					}
					err := gateway.Invoke(h.as(half), method, &identityv1.GetMeRequest{}, &identityv1.GetMeResponse{})
					reached := slices.Contains([]string{"AnswerChallenge", "BeginPasskeyProof", "SignOut"}, path.Base(method))
					if reached {
						require.NotEqual(t, incomplete, fault.ReasonOf(err), method)
						half = h.challenge("ada@example.com")
						continue
					}
					requireReason(t, incomplete, err)
				}
			}
		}
	})
	t.Run("R32 FiveWrongCodesEndTheChallengeAndTheDelaysAreThoseOfPasswords", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key, a, _ := h.withApp("ada@example.com")
		half := h.challenge("ada@example.com")
		for i := range factor.Tries {
			_, err := h.answer(half, a.wrong())
			requireReason(t, codeInvalid, err)
			require.Equal(t, 1, count(h, `sign_in_failures WHERE account_id = $1 AND count = $2`, key, i+1), "it is committed")
		}
		_, err := h.answer(half, a.code())
		requireReason(t, unauthenticated, err)
		h.stretch()
		_, err = h.sessions.CreateSession(h.as(""), &identityv1.CreateSessionRequest{
			Email: "ada@example.com", Password: goodPassword, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
		requireReason(t, credentialsInvalid, err) // the delay after the fifth

		h.exec(`UPDATE sign_in_failures SET next_time = now()`)
		half = h.challenge("ada@example.com")
		require.Equal(t, 1, count(h, `sign_in_failures WHERE account_id = $1 AND count = $2`, key, factor.Tries), "a right password is half of it, and forgives nothing")
		_, err = h.answer(half, a.wrong())
		requireReason(t, codeInvalid, err)
		h.stretch()
		_, err = h.answer(half, a.code())
		requireReason(t, rateLimited, err)
		require.NotZero(t, fault.From(err).Retry)
		h.exec(`UPDATE sign_in_failures SET next_time = now()`)
		_, err = h.answer(half, a.code())
		require.NoError(t, err)
		require.Zero(t, count(h, `sign_in_failures`))
	})
	t.Run("R32 PasswordsCodesAndProvingItAgainAreOneCount", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key, a, confirmed := h.withApp("ada@example.com")
		_, err := h.sessions.CreateSession(h.as(""), &identityv1.CreateSessionRequest{
			Email: "ada@example.com", Password: "not the password", Delivery: identityv1.Delivery_DELIVERY_TOKEN})
		requireReason(t, credentialsInvalid, err)
		half := h.challenge("ada@example.com")
		_, err = h.answer(half, a.wrong())
		requireReason(t, codeInvalid, err)
		_, err = h.answer(half, "AAAA-AAAA-AAAA-AAAA-AAAA-AAAA")
		requireReason(t, codeInvalid, err)
		_, err = h.sessions.Reauthenticate(h.as(confirmed.GetToken()), &identityv1.ReauthenticateRequest{Password: goodPassword, Code: a.wrong()})
		requireReason(t, codeInvalid, err)
		waiting := h.begin(confirmed.GetToken())
		_, err = h.factors.ConfirmTotp(h.as(confirmed.GetToken()), &identityv1.ConfirmTotpRequest{FactorId: waiting.id, Code: waiting.wrong()})
		requireReason(t, codeInvalid, err)
		require.Equal(t, 1, count(h, `sign_in_failures WHERE account_id = $1 AND count = 5`, key))
		h.stretch()
		_, err = h.answer(half, a.code())
		requireReason(t, rateLimited, err)
	})
	t.Run("R61 AnotherPasswordForgivesNoWrongCodes", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key, a, confirmed := h.withApp("ada@example.com")
		half := h.challenge("ada@example.com")
		_, err := h.answer(half, a.wrong())
		requireReason(t, codeInvalid, err)
		_, err = h.passwords.ChangePassword(h.as(confirmed.GetToken()), &identityv1.ChangePasswordRequest{
			CurrentPassword: goodPassword, Password: "amber river lantern 9"})
		require.NoError(t, err)
		require.Equal(t, 1, count(h, `sign_in_failures WHERE account_id = $1 AND count = 1`, key))
		_, err = h.answer(half, a.code())
		requireReason(t, unauthenticated, err) // R43: it began with the old one
	})
	t.Run("R31 OneCodeFiftyTimesAtOnceIsOneSuccess", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, a, confirmed := h.withApp("ada@example.com")
		var halves, whole []string
		for range 10 {
			halves = append(halves, h.challenge("ada@example.com"))
		}
		for range 5 {
			in, err := h.answer(h.challenge("ada@example.com"), a.code())
			require.NoError(t, err)
			h.next()
			whole = append(whole, in.GetToken())
		}
		code := a.code()
		errs := h.together(50, func(i int) error {
			switch {
			case i%5 == 0:
				_, err := h.sessions.Reauthenticate(h.as(whole[i/5%5]), &identityv1.ReauthenticateRequest{Password: goodPassword, Code: code})
				return err
			case i == 1: // another transport is another client of the same method
				_, err := identityv1.NewSessionServiceClient(h.dial("")).AnswerChallenge(h.as(halves[0]), &identityv1.AnswerChallengeRequest{Code: code})
				return err
			}
			_, err := h.answer(halves[i%10], code)
			return err
		})
		won := slices.DeleteFunc(errs, func(err error) bool { return err != nil })
		require.Len(t, won, 1)
		h.exec(`DELETE FROM sign_in_failures`)
		_, err := h.sessions.Reauthenticate(h.as(confirmed.GetToken()), &identityv1.ReauthenticateRequest{Password: goodPassword, Code: code})
		requireReason(t, codeInvalid, err)
	})
	t.Run("R31 TheDatabaseJudgesTheTime", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, a, _ := h.withApp("ada@example.com")
		now := factor.StepAt(time.Now())
		for _, step := range []int64{now - 3, now + 3} {
			_, err := h.answer(h.challenge("ada@example.com"), a.secret.Code(step))
			requireReason(t, codeInvalid, err)
		}
		_, err := h.answer(h.challenge("ada@example.com"), a.secret.Code(now))
		require.NoError(t, err)
	})
	t.Run("TheChallengeIsOverAfterTenMinutesHoweverOftenItIsUsed", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, a, _ := h.withApp("ada@example.com")
		half := h.challenge("ada@example.com")
		h.exec(`UPDATE sessions SET create_time = now() - interval '10 minutes', expire_time = now() WHERE stage = 'CHALLENGE'`)
		_, err := h.answer(half, a.code())
		requireReason(t, unauthenticated, err)
		h.exec(`UPDATE due SET next_time = now() WHERE kind = $1`, sessionTask)
		h.sweep(sessionTask)
		require.Zero(t, count(h, `sessions WHERE stage = 'CHALLENGE'`))
	})
	t.Run("ACompleteSessionHasNoChallenge", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.withPassword("ada@example.com", "")
		in, other := h.signIn("ada@example.com"), h.signIn("ada@example.com")
		a, _ := h.enrol(other.token)
		_, err := h.answer(in.token, a.code())
		requireReason(t, stateConflict, err)
	})
	t.Run("WhoKnowsThePasswordAloneEndsNoSession", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key, _, confirmed := h.withApp("ada@example.com")
		h.exec(`UPDATE sessions SET create_time = create_time - interval '1 hour'`)
		h.challenge("ada@example.com")
		h.exec(`
			INSERT INTO sessions SELECT account_id, gen_random_uuid(), sha256(n::text::bytea), delivery, now(), now(), expire_time, '', '', stage, level, auth_time
			FROM sessions, generate_series(1, 49) n WHERE stage = 'CHALLENGE'`)
		h.challenge("ada@example.com")
		require.Equal(t, 50, count(h, `sessions WHERE account_id = $1 AND stage = 'CHALLENGE'`, key))
		_, err := h.accounts.GetMe(h.as(confirmed.GetToken()), &identityv1.GetMeRequest{})
		require.NoError(t, err)
	})
}

// TestEveryWayInAsksForTheFactor holds R36: whatever may publish account.signed_in is a way to a session, and each has a row here, in which
// somebody with a second factor comes that way without it.
func TestEveryWayInAsksForTheFactor(t *testing.T) {
	t.Parallel()
	h := start(t)
	key, _, confirmed := h.withApp("ada@example.com")
	_, unlooked, _ := h.withPasskey("grace@example.com")
	unlooked.Unverified = true         // it is there, and has not looked at who holds it
	tokens := func() (cached string) { // a session with less than the account has
		_, bearer := h.open(key)
		return bearer
	}
	ways := map[protoreflect.Name]func(t *testing.T) (bearer string, refused error){
		"CreateSession": func(*testing.T) (string, error) { return h.challenge("ada@example.com"), nil },
		"CompleteFederatedSignIn": func(t *testing.T) (string, error) {
			in, err := h.come(h.provider())
			require.NoError(t, err)
			return in.GetToken(), nil
		},
		"OpenSession": func(*testing.T) (string, error) { return tokens(), nil },
		"Reauthenticate": func(t *testing.T) (string, error) {
			answer, err := h.reauthenticate(confirmed.GetToken(), goodPassword)
			requireReason(t, codeRequired, err)
			return answer.GetToken(), err
		},
		"ChangePassword": func(t *testing.T) (string, error) {
			err := h.change(h.challenge("ada@example.com"), goodPassword, otherPassword)
			requireReason(t, incomplete, err)
			return "", err
		},
		"AnswerChallenge": func(*testing.T) (string, error) {
			answer, err := h.answer(h.challenge("ada@example.com"), "000000x")
			return answer.GetToken(), err
		},
		"FinishPasskeySignIn": func(t *testing.T) (string, error) {
			_, err := h.finish(unlooked.Sign(t, h.signInOptions()))
			requireReason(t, passkeyInvalid, err)
			return "", err
		},
		"ConfirmPasskey": func(t *testing.T) (string, error) {
			answer, err := h.confirm(tokens(), "{}")
			requireReason(t, incomplete, err)
			return answer.GetToken(), err
		},
		"ConfirmTotp": func(t *testing.T) (string, error) {
			answer, err := h.factors.ConfirmTotp(h.as(tokens()), &identityv1.ConfirmTotpRequest{FactorId: id.NewFactor().String(), Code: "000000"})
			requireReason(t, incomplete, err)
			return answer.GetToken(), err
		},
	}
	var found []protoreflect.Name
	for _, file := range []protoreflect.FileDescriptor{
		identityv1.File_roster_identity_v1_account_service_proto, identityv1.File_roster_identity_v1_factor_service_proto,
		identityv1.File_roster_identity_v1_provider_service_proto, identityv1.File_roster_identity_v1_federated_identity_service_proto, identityv1.File_roster_identity_v1_internal_service_proto,
	} {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				rule, _ := proto.GetExtension(methods.Get(j).Options(), accessv1.E_Rule).(*accessv1.Rule)
				if slices.Contains(rule.GetAudit(), "account.signed_in") {
					found = append(found, methods.Get(j).Name())
				}
			}
		}
	}
	for name := range ways {
		require.Contains(t, found, name)
	}
	for _, name := range found {
		t.Run("R36 "+string(name), func(t *testing.T) {
			way, known := ways[name]
			require.True(t, known, "%s signs people in: say here how somebody with a second factor comes that way without it", name)
			before := count(h, `events WHERE type = 'account.signed_in'`)
			bearer, refused := way(t)
			require.Equal(t, before, count(h, `events WHERE type = 'account.signed_in'`))
			if refused != nil {
				require.Empty(t, bearer)
				return
			}
			_, err := h.accounts.GetMe(h.as(bearer), &identityv1.GetMeRequest{})
			requireReason(t, incomplete, err)
			require.Equal(t, string(caller.Challenge), fault.From(err).Metadata["stage"])
		})
	}
}
