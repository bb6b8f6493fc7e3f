package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/devmail"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/testkit"
)

// creationOptions begins to set up a passkey for somebody.
func creationOptions(t *testing.T, who client) string {
	t.Helper()
	begun, err := who.BeginPasskey(t.Context(), &identityv1.BeginPasskeyRequest{})
	require.NoError(t, err)
	return begun.GetOptions()
}

// confirmPasskey answers the options of somebody.
func confirmPasskey(t *testing.T, who client, answer string) (*identityv1.ConfirmPasskeyResponse, error) {
	t.Helper()
	return who.ConfirmPasskey(t.Context(), &identityv1.ConfirmPasskeyRequest{Passkey: answer})
}

// withPasskey is signUp for somebody who has a passkey, and has shown it.
func withPasskey(t *testing.T, over string) (*person, *testkit.Passkey) {
	t.Helper()
	who, key := signUp(t, over), testkit.NewPasskey(t, suite.URL)
	confirmed, err := confirmPasskey(t, who.client, key.Create(t, creationOptions(t, who.client)))
	require.NoError(t, err)
	who.client = connect(over, confirmed.GetToken())
	return who, key
}

// proofOptions begins to prove who somebody is.
func proofOptions(t *testing.T, who client) string {
	t.Helper()
	begun, err := who.BeginPasskeyProof(t.Context(), &identityv1.BeginPasskeyProofRequest{})
	require.NoError(t, err)
	return begun.GetOptions()
}

func answerWithPasskey(t *testing.T, who client, answer string) (*identityv1.AnswerChallengeResponse, error) {
	t.Helper()
	return who.AnswerChallenge(t.Context(), &identityv1.AnswerChallengeRequest{Passkey: answer})
}

// signInOptions begins to sign in with a passkey.
func signInOptions(t *testing.T, over string) string {
	t.Helper()
	begun, err := connect(over, "").BeginPasskeySignIn(t.Context(), &identityv1.BeginPasskeySignInRequest{})
	require.NoError(t, err)
	return begun.GetOptions()
}

func passkeySignIn(t *testing.T, over, answer string) (*identityv1.FinishPasskeySignInResponse, error) {
	t.Helper()
	return connect(over, "").FinishPasskeySignIn(t.Context(), &identityv1.FinishPasskeySignInRequest{
		Passkey: answer, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
}

// expireChallenges is five minutes, for one person.
func expireChallenges(t *testing.T, who *person) {
	t.Helper()
	key, err := id.ParseAccount(who.ID)
	require.NoError(t, err)
	_, err = suite.owners["identity"].Exec(t.Context(), `UPDATE passkey_challenges SET expire_time = now() WHERE account_id = $1`, key)
	require.NoError(t, err)
}

// forgive forgets what somebody has failed at, as time does.
func forgive(t *testing.T, who *person) {
	t.Helper()
	key, err := id.ParseAccount(who.ID)
	require.NoError(t, err)
	_, err = suite.owners["identity"].Exec(t.Context(), `DELETE FROM sign_in_failures WHERE account_id = $1`, key)
	require.NoError(t, err)
}

// passkeyLies are what a browser or an authenticator may say that is not so.
var passkeyLies = map[string]func(key *testkit.Passkey){
	"another origin":                 func(key *testkit.Passkey) { key.Origin = "https://evil.example" },
	"another relying party":          func(key *testkit.Passkey) { key.RP = "evil.example" },
	"its owner was not looked at":    func(key *testkit.Passkey) { key.Unverified = true },
	"the page is in another's frame": func(key *testkit.Passkey) { key.Says = map[string]any{"crossOrigin": true} },
	"the page is below another's":    func(key *testkit.Passkey) { key.Says = map[string]any{"crossOrigin": true, "topOrigin": key.Origin} },
}

// TestPasskeys is about passkeys that are set up and that prove who is there.
func TestPasskeys(t *testing.T) {
	t.Parallel()

	scenario(t, "R34 a passkey is set up, completes a sign-in, proves again who is there, and is taken away", func(t *testing.T, over string) {
		who, key := withPasskey(t, over)
		challenged := half(t, over, who.Email)
		key.Counter = 1
		in, err := answerWithPasskey(t, challenged, key.Sign(t, proofOptions(t, challenged)))
		require.NoError(t, err)
		require.EqualValues(t, 2, in.GetSession().GetLevel())
		me := connect(over, in.GetToken())
		key.Counter = 2
		again, err := me.Reauthenticate(t.Context(), &identityv1.ReauthenticateRequest{Passkey: key.Sign(t, proofOptions(t, me))})
		require.NoError(t, err)
		me = connect(over, again.GetToken())
		listed, err := me.ListFactors(t.Context(), &identityv1.ListFactorsRequest{})
		require.NoError(t, err)
		require.Equal(t, identityv1.FactorMethod_FACTOR_METHOD_PASSKEY, listed.GetFactors()[0].GetMethod())
		_, err = me.RemoveFactor(t.Context(), &identityv1.RemoveFactorRequest{FactorId: listed.GetFactors()[0].GetId()})
		require.NoError(t, err)
		signIn(t, over, who.Email)
	})

	scenario(t, "R34 setting up: a challenge is answered once, in time, by the session that asked; lies are refused", func(t *testing.T, over string) {
		who := signUp(t, over)
		other, key := signIn(t, over, who.Email), testkit.NewPasskey(t, suite.URL)
		refuses := func(by client, answer string) {
			t.Helper()
			_, err := confirmPasskey(t, by, answer)
			refused(t, err, errorv1.Reason_REASON_PASSKEY_INVALID)
		}
		for name, lie := range passkeyLies {
			liar := *key
			lie(&liar)
			t.Log(name)
			refuses(who.client, liar.Create(t, creationOptions(t, who.client)))
		}
		refuses(other.client, key.Create(t, creationOptions(t, who.client))) // of another session
		signed := *key
		signed.Says = map[string]any{"type": "webauthn.get"}
		refuses(who.client, signed.Create(t, creationOptions(t, who.client)))
		late := key.Create(t, creationOptions(t, who.client))
		expireChallenges(t, who)
		refuses(who.client, late)

		good := key.Create(t, creationOptions(t, who.client))
		confirmed, err := confirmPasskey(t, who.client, good)
		require.NoError(t, err)
		require.Len(t, confirmed.GetRecoveryCodes(), 10)
		refuses(connect(over, confirmed.GetToken()), good) // used

		thief := signUp(t, over)
		_, err = confirmPasskey(t, thief.client, key.Create(t, creationOptions(t, thief.client)))
		refused(t, err, errorv1.Reason_REASON_PASSKEY_TAKEN)
	})

	scenario(t, "R34 proving: a challenge is answered once, in time, by the session that asked; lies are refused", func(t *testing.T, over string) {
		who, key := withPasskey(t, over)
		refuses := func(by client, answer string) {
			t.Helper()
			_, err := answerWithPasskey(t, by, answer)
			refused(t, err, errorv1.Reason_REASON_PASSKEY_INVALID)
		}
		for name, lie := range passkeyLies {
			challenged := half(t, over, who.Email)
			liar := *key
			lie(&liar)
			t.Log(name)
			refuses(challenged, liar.Sign(t, proofOptions(t, challenged)))
			forgive(t, who)
		}
		challenged, other := half(t, over, who.Email), half(t, over, who.Email)
		refuses(other, key.Sign(t, proofOptions(t, challenged))) // of another session
		late := key.Sign(t, proofOptions(t, challenged))
		expireChallenges(t, who)
		refuses(challenged, late)
		refuses(challenged, key.Sign(t, creationOptions(t, who.client))) // to make one
		made := *key
		made.Says = map[string]any{"type": "webauthn.create"}
		refuses(challenged, made.Sign(t, proofOptions(t, challenged)))
		forgive(t, who)

		challenged = half(t, over, who.Email)
		good := key.Sign(t, proofOptions(t, challenged))
		_, err := answerWithPasskey(t, challenged, good)
		require.NoError(t, err)
		refuses(half(t, over, who.Email), good) // used
	})

	scenario(t, "R34 another's passkey proves nothing, and is nobody else's to take away", func(t *testing.T, over string) {
		who, key := withPasskey(t, over)
		_, others := withPasskey(t, over)
		challenged := half(t, over, who.Email)
		_, err := answerWithPasskey(t, challenged, others.Sign(t, proofOptions(t, challenged)))
		refused(t, err, errorv1.Reason_REASON_PASSKEY_INVALID)
		others.Handle = key.Handle
		_, err = answerWithPasskey(t, challenged, others.Sign(t, proofOptions(t, challenged)))
		refused(t, err, errorv1.Reason_REASON_PASSKEY_INVALID)

		listed, err := who.ListFactors(t.Context(), &identityv1.ListFactorsRequest{})
		require.NoError(t, err)
		_, err = signUp(t, over).RemoveFactor(t.Context(), &identityv1.RemoveFactorRequest{FactorId: listed.GetFactors()[0].GetId()})
		refused(t, err, errorv1.Reason_REASON_FACTOR_NOT_FOUND)
		half(t, over, who.Email)
	})

	scenario(t, "R34 a passkey that has counted backwards is refused, and its person sees and hears of it", func(t *testing.T, over string) {
		who, key := withPasskey(t, over)
		challenged := half(t, over, who.Email)
		key.Counter = 5
		in, err := answerWithPasskey(t, challenged, key.Sign(t, proofOptions(t, challenged)))
		require.NoError(t, err)
		challenged = half(t, over, who.Email)
		key.Counter = 4
		_, err = answerWithPasskey(t, challenged, key.Sign(t, proofOptions(t, challenged)))
		refused(t, err, errorv1.Reason_REASON_PASSKEY_INVALID)
		tried, err := connect(over, in.GetToken()).ListMyLoginActivity(t.Context(), &identityv1.ListMyLoginActivityRequest{})
		require.NoError(t, err)
		require.Equal(t, identityv1.LoginFailure_LOGIN_FAILURE_PASSKEY_COPIED, tried.GetActivity()[0].GetFailure())
		mailTo(t, who.Email, func(m devmail.Received) bool { return m.Subject == "A passkey of yours was refused" })
	})

	scenario(t, "R35 a passkey is set up by who has shown all that the account has, within five minutes", func(t *testing.T, over string) {
		who := signUp(t, over)
		_, err := longAgo(t, over, who.Email).BeginPasskey(t.Context(), &identityv1.BeginPasskeyRequest{})
		refused(t, err, errorv1.Reason_REASON_STEP_UP_REQUIRED)
		password1 := signIn(t, over, who.Email)
		options := creationOptions(t, password1.client)
		enrol(t, over, who.client)
		_, err = password1.BeginPasskey(t.Context(), &identityv1.BeginPasskeyRequest{})
		refused(t, err, errorv1.Reason_REASON_STEP_UP_REQUIRED)
		_, err = confirmPasskey(t, password1.client, testkit.NewPasskey(t, suite.URL).Create(t, options))
		refused(t, err, errorv1.Reason_REASON_STEP_UP_REQUIRED)
	})

	scenario(t, "R34 a passkey signs in alone, without saying first who is there", func(t *testing.T, over string) {
		who, key := withPasskey(t, over)
		key.Counter = 1
		in, err := passkeySignIn(t, over, key.Sign(t, signInOptions(t, over)))
		require.NoError(t, err)
		require.Equal(t, who.ID, in.GetSession().GetAccountId())
		require.EqualValues(t, 2, in.GetSession().GetLevel())
		me := connect(over, in.GetToken())
		creationOptions(t, me) // it is proof enough to change factors
		tried, err := me.ListMyLoginActivity(t.Context(), &identityv1.ListMyLoginActivityRequest{})
		require.NoError(t, err)
		require.Equal(t, identityv1.LoginMethod_LOGIN_METHOD_PASSKEY, tried.GetActivity()[0].GetMethod())
	})

	scenario(t, "R8 signing in with a passkey: all that is wrong is one answer", func(t *testing.T, over string) {
		who, key := withPasskey(t, over)
		_, others := withPasskey(t, over)
		said := map[string]bool{}
		refuses := func(answer string) {
			t.Helper()
			_, err := passkeySignIn(t, over, answer)
			refused(t, err, errorv1.Reason_REASON_PASSKEY_INVALID)
			said[err.Error()] = true
			forgive(t, who)
		}
		for name, lie := range passkeyLies {
			liar := *key
			lie(&liar)
			t.Log(name)
			refuses(liar.Sign(t, signInOptions(t, over)))
		}
		refuses("{}")
		stranger := *key
		stranger.Handle = []byte("nobody")
		refuses(stranger.Sign(t, signInOptions(t, over)))
		disguised := *others
		disguised.Handle = key.Handle
		refuses(disguised.Sign(t, signInOptions(t, over)))
		made := *key
		made.Says = map[string]any{"type": "webauthn.create"}
		refuses(made.Sign(t, signInOptions(t, over)))
		good := key.Sign(t, signInOptions(t, over))
		_, err := passkeySignIn(t, over, good)
		require.NoError(t, err)
		refuses(good) // used
		require.Len(t, said, 1)
	})

	scenario(t, "R18 the steps of passkeys out of order open nothing", func(t *testing.T, over string) {
		who, key := withPasskey(t, over)
		challenged := half(t, over, who.Email)
		for _, options := range []string{proofOptions(t, challenged), proofOptions(t, who.client), creationOptions(t, who.client)} {
			_, err := passkeySignIn(t, over, key.Sign(t, options))
			refused(t, err, errorv1.Reason_REASON_PASSKEY_INVALID)
		}
		forgive(t, who)
		for _, options := range []string{signInOptions(t, over), proofOptions(t, who.client), creationOptions(t, who.client)} {
			_, err := answerWithPasskey(t, challenged, key.Sign(t, options))
			refused(t, err, errorv1.Reason_REASON_PASSKEY_INVALID)
		}
		_, err := answerWithPasskey(t, who.client, key.Sign(t, proofOptions(t, who.client)))
		refused(t, err, errorv1.Reason_REASON_STATE_CONFLICT)
		_, err = challenged.BeginPasskey(t.Context(), &identityv1.BeginPasskeyRequest{})
		refused(t, err, errorv1.Reason_REASON_SIGN_IN_INCOMPLETE)
		_, err = challenged.Reauthenticate(t.Context(), &identityv1.ReauthenticateRequest{Passkey: key.Sign(t, proofOptions(t, challenged))})
		refused(t, err, errorv1.Reason_REASON_SIGN_IN_INCOMPLETE)
		_, err = challenged.GetMe(t.Context(), &identityv1.GetMeRequest{})
		refused(t, err, errorv1.Reason_REASON_SIGN_IN_INCOMPLETE)
	})

	scenario(t, "R44 who is kept from signing in is kept out with a passkey, too", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		member := org.join(t, "member") // the account was made for this organization, which manages it
		key := testkit.NewPasskey(t, suite.URL)
		confirmed, err := confirmPasskey(t, member.client, key.Create(t, creationOptions(t, member.client)))
		require.NoError(t, err)
		_, err = org.owner.DisableMember(t.Context(), &membershipv1.DisableMemberRequest{OrganizationId: org.ID, AccountId: member.ID})
		require.NoError(t, err)
		eventually(t, func() bool {
			_, err := connect(over, confirmed.GetToken()).GetMe(t.Context(), &identityv1.GetMeRequest{})
			return err != nil
		}, "all sessions end")
		_, err = passkeySignIn(t, over, key.Sign(t, signInOptions(t, over)))
		refused(t, err, errorv1.Reason_REASON_PASSKEY_INVALID)
	})
}
