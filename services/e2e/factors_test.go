package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/testkit"
)

// app is somebody's authenticator app.
type app struct{ id, secret string }

// code is what the app shows, as if it had not been used before.
func (a app) code(t *testing.T) string {
	t.Helper()
	key, err := id.ParseFactor(a.id)
	require.NoError(t, err)
	_, err = suite.owners["identity"].Exec(t.Context(), `UPDATE factors SET last_step = 0 WHERE id = $1`, key)
	require.NoError(t, err)
	return testkit.TOTP(t, a.secret)
}

// enrol sets up an app for somebody, and returns the answer to its first code, and them with the session that goes on.
func enrol(t *testing.T, over string, who client) (app, *identityv1.ConfirmTotpResponse, client) {
	t.Helper()
	begun, err := who.BeginTotp(t.Context(), &identityv1.BeginTotpRequest{DisplayName: "Phone"})
	require.NoError(t, err)
	a := app{begun.GetFactorId(), begun.GetSecret()}
	confirmed, err := who.ConfirmTotp(t.Context(), &identityv1.ConfirmTotpRequest{FactorId: a.id, Code: a.code(t)})
	require.NoError(t, err)
	return a, confirmed, connect(over, confirmed.GetToken())
}

// half signs somebody in as far as the second factor.
func half(t *testing.T, over, email string) client {
	t.Helper()
	in, err := connect(over, "").CreateSession(t.Context(), &identityv1.CreateSessionRequest{
		Email: email, Password: password, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
	require.NoError(t, err)
	require.Len(t, in.GetChallenge().GetMethods(), 2)
	return connect(over, in.GetToken())
}

func answerChallenge(t *testing.T, who client, code string) (*identityv1.AnswerChallengeResponse, error) {
	t.Helper()
	return who.AnswerChallenge(t.Context(), &identityv1.AnswerChallengeRequest{Code: code})
}

// TestFactors is about what signing in asks for beside the password.
func TestFactors(t *testing.T) {
	t.Parallel()

	scenario(t, "R30 the secret of an app is shown once, and its first code makes it a factor", func(t *testing.T, over string) {
		who := signUp(t, over)
		begun, err := who.BeginTotp(t.Context(), &identityv1.BeginTotpRequest{})
		require.NoError(t, err)
		require.Len(t, begun.GetSecret(), 32)
		require.Contains(t, begun.GetUri(), "otpauth://totp/")
		signIn(t, over, who.Email) // asks for nothing more yet
		first := testkit.TOTP(t, begun.GetSecret())
		confirmed, err := who.ConfirmTotp(t.Context(), &identityv1.ConfirmTotpRequest{FactorId: begun.GetFactorId(), Code: first})
		require.NoError(t, err)
		require.Len(t, confirmed.GetRecoveryCodes(), 10)
		_, err = answerChallenge(t, half(t, over, who.Email), first)
		refused(t, err, errorv1.Reason_REASON_CODE_INVALID)
		in, err := answerChallenge(t, half(t, over, who.Email), app{begun.GetFactorId(), begun.GetSecret()}.code(t))
		require.NoError(t, err)
		listed, err := connect(over, in.GetToken()).ListFactors(t.Context(), &identityv1.ListFactorsRequest{})
		require.NoError(t, err)
		require.Equal(t, "Authenticator app", listed.GetFactors()[0].GetDisplayName())
	})

	scenario(t, "R31 one code, many times at once and over both transports, is one success", func(t *testing.T, over string) {
		who := signUp(t, over)
		a, confirmed, _ := enrol(t, over, who.client)
		var halves []client
		for i := range 10 {
			halves = append(halves, half(t, transports[i%2], who.Email))
		}
		code := a.code(t)
		won := 0
		for _, err := range testkit.AtOnce(50, func(i int) error {
			if i == 7 {
				_, err := connect(over, confirmed.GetToken()).Reauthenticate(t.Context(), &identityv1.ReauthenticateRequest{Password: password, Code: code})
				return err
			}
			_, err := halves[i%10].AnswerChallenge(t.Context(), &identityv1.AnswerChallengeRequest{Code: code})
			return err
		}) {
			if err == nil {
				won++
			}
		}
		require.Equal(t, 1, won)
	})

	scenario(t, "R32 five wrong codes end a challenge, and are counted together with wrong passwords", func(t *testing.T, over string) {
		who := signUp(t, over)
		a, _, _ := enrol(t, over, who.client)
		challenged := half(t, over, who.Email)
		for range 5 {
			_, err := answerChallenge(t, challenged, "AAAA-AAAA-AAAA-AAAA-AAAA-AAAA")
			refused(t, err, errorv1.Reason_REASON_CODE_INVALID)
		}
		_, err := answerChallenge(t, challenged, a.code(t))
		refused(t, err, errorv1.Reason_REASON_UNAUTHENTICATED)
		_, err = connect(over, "").CreateSession(t.Context(), &identityv1.CreateSessionRequest{
			Email: who.Email, Password: password, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
		if err != nil { // within the second after the fifth
			refused(t, err, errorv1.Reason_REASON_CREDENTIALS_INVALID)
		}
	})

	scenario(t, "R33 a recovery code works once, for its owner; new ones void the old", func(t *testing.T, over string) {
		who, other := signUp(t, over), signUp(t, over)
		_, confirmed, me := enrol(t, over, who.client)
		enrol(t, over, other.client)
		codes := confirmed.GetRecoveryCodes()
		_, err := answerChallenge(t, half(t, over, other.Email), codes[0])
		refused(t, err, errorv1.Reason_REASON_CODE_INVALID)
		_, err = answerChallenge(t, half(t, over, who.Email), codes[0])
		require.NoError(t, err)
		_, err = answerChallenge(t, half(t, over, who.Email), codes[0])
		refused(t, err, errorv1.Reason_REASON_CODE_INVALID)
		renewed, err := me.RegenerateRecoveryCodes(t.Context(), &identityv1.RegenerateRecoveryCodesRequest{})
		require.NoError(t, err)
		_, err = answerChallenge(t, half(t, over, who.Email), codes[1])
		refused(t, err, errorv1.Reason_REASON_CODE_INVALID)
		_, err = answerChallenge(t, half(t, over, who.Email), renewed.GetRecoveryCodes()[1])
		require.NoError(t, err)
	})

	scenario(t, "R35 what changes a factor asks for both within five minutes", func(t *testing.T, over string) {
		who := signUp(t, over)
		stale := longAgo(t, over, who.Email)
		_, err := stale.BeginTotp(t.Context(), &identityv1.BeginTotpRequest{})
		require.Equal(t, "5", refused(t, err, errorv1.Reason_REASON_STEP_UP_REQUIRED).Metadata["minutes"])
		password1 := signIn(t, over, who.Email)
		a, _, _ := enrol(t, over, who.client)
		_, err = password1.RemoveFactor(t.Context(), &identityv1.RemoveFactorRequest{FactorId: a.id})
		refused(t, err, errorv1.Reason_REASON_STEP_UP_REQUIRED)
		_, err = password1.Reauthenticate(t.Context(), &identityv1.ReauthenticateRequest{Password: password})
		refused(t, err, errorv1.Reason_REASON_CODE_REQUIRED)
		again, err := password1.Reauthenticate(t.Context(), &identityv1.ReauthenticateRequest{Password: password, Code: a.code(t)})
		require.NoError(t, err)
		_, err = connect(over, again.GetToken()).RemoveFactor(t.Context(), &identityv1.RemoveFactorRequest{FactorId: a.id})
		require.NoError(t, err)
		signIn(t, over, who.Email)
	})

	scenario(t, "R36 half a sign-in reaches nothing but the challenge, and is nobody where anybody may call", func(t *testing.T, over string) {
		org := create(t, over, portal)
		who := signUp(t, over)
		org.invite(t, who.Email, "member")
		invitation := mailLink(t, who.Email, "/invite/")
		a, _, _ := enrol(t, over, who.client)
		challenged := half(t, over, who.Email)
		_, err := challenged.GetMe(t.Context(), &identityv1.GetMeRequest{})
		f := refused(t, err, errorv1.Reason_REASON_SIGN_IN_INCOMPLETE)
		require.Equal(t, "CHALLENGE", f.Metadata["stage"])
		_, err = challenged.ListOrganizations(t.Context(), &membershipv1.ListOrganizationsRequest{})
		refused(t, err, errorv1.Reason_REASON_SIGN_IN_INCOMPLETE)
		_, err = challenged.AcceptInvitation(t.Context(), &invitationv1.AcceptInvitationRequest{LinkToken: invitation})
		refused(t, err, errorv1.Reason_REASON_SIGN_IN_REQUIRED)
		in, err := answerChallenge(t, challenged, a.code(t))
		require.NoError(t, err)
		_, err = connect(over, in.GetToken()).AcceptInvitation(t.Context(), &invitationv1.AcceptInvitationRequest{LinkToken: invitation})
		require.NoError(t, err)
	})

	scenario(t, "R37 S2-40 S2-41 S2-42 RB20 an admin resets the factors of a managed account, which is signed out and can set up others", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		member := org.join(t, "member") // the account was made for this organization, which manages it
		reset := func(by client, target *person) error {
			_, err := by.ResetMemberMfa(t.Context(), &membershipv1.ResetMemberMfaRequest{OrganizationId: org.ID, AccountId: target.ID})
			return err
		}
		refused(t, reset(org.owner.client, member), errorv1.Reason_REASON_STATE_CONFLICT) // there is none
		_, _, both := enrol(t, over, member.client)
		refused(t, reset(longAgo(t, over, org.owner.Email), member), errorv1.Reason_REASON_STEP_UP_REQUIRED)
		require.NoError(t, reset(org.owner.client, member))
		eventually(t, func() bool {
			_, err := both.GetMe(t.Context(), &identityv1.GetMeRequest{})
			return err != nil
		}, "all sessions end")
		again := signIn(t, over, member.Email) // with the password alone
		enrol(t, over, again.client)
		half(t, over, member.Email)

		free := signUp(t, over) // whose account is their own
		org.invite(t, free.Email, "member")
		_, err := free.AcceptInvitation(t.Context(), &invitationv1.AcceptInvitationRequest{LinkToken: mailLink(t, free.Email, "/invite/")})
		require.NoError(t, err)
		_, _, own := enrol(t, over, free.client)
		refused(t, reset(org.owner.client, free), errorv1.Reason_REASON_ACCOUNT_NOT_MANAGED)
		_, err = own.GetMe(t.Context(), &identityv1.GetMeRequest{})
		require.NoError(t, err)
	})
}
