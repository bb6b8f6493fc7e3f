package cli

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

var (
	me = &identityv1.GetMeResponse{Account: &identityv1.Account{
		Id: "acc_1", DisplayName: "Ada", Email: "ada@example.com", EmailVerified: true, Username: "ada", CreateTime: away(-40 * day)}}
	signIn = &identityv1.CreateSessionResponse{Token: "session-token",
		Session: &identityv1.Session{Id: "ses_1", AccountId: "acc_1", ExpireTime: away(30 * day)}}
	unauthenticated = fault.New(errorv1.Reason_REASON_UNAUTHENTICATED, "Sign in.")
)

func TestSignup(t *testing.T) {
	t.Parallel()

	t.Run("AsksForWhatIsMissing", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.interactive, w.in, w.secrets = true, "ada@example.com\nAda Lovelace\n", []string{"a long password", "a long password"}
		gives(w, &identityv1.SignUpRequest{}, &identityv1.SignUpResponse{})
		r := w.run("signup")
		require.Equal(t, "Check your mail at ada@example.com. Then: roster verify TOKEN\n", r.out)
		require.Equal(t, "Email: Name, as others see it: Password: \nAgain: \n", r.err)
		sent := w.last().request.(*identityv1.SignUpRequest)
		require.Equal(t, "ada@example.com Ada Lovelace a long password", sent.GetEmail()+" "+sent.GetDisplayName()+" "+sent.GetPassword())
	})

	t.Run("TwoDifferentPasswordsAreRefused", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.interactive, w.secrets = true, []string{"one", "two"}
		r := w.run("signup", "ada@example.com", "--name", "Ada")
		require.Equal(t, exitUsage, r.code)
		require.Contains(t, r.err, "the two passwords differ")
		require.Empty(t, w.requests())
	})

	t.Run("WithoutATerminalNothingIsAskedFor", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		require.Contains(t, w.run("signup").err, "EMAIL is missing")
		require.Contains(t, w.run("signup", "ada@example.com").err, "--name is missing")
		r := w.run("signup", "ada@example.com", "--name", "Ada")
		require.Equal(t, exitUsage, r.code)
		require.Contains(t, r.err, "use --password-stdin")
		r = w.run("signup", "ada@example.com", "--name", "Ada", "--password-stdin")
		require.Contains(t, r.err, "standard input holds no password")
		require.Empty(t, w.requests())
	})
}

func TestVerify(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	gives(w, &identityv1.VerifyEmailRequest{}, &identityv1.VerifyEmailResponse{Account: me.GetAccount(), Email: "ada@example.com"})
	for _, given := range []string{"the-token", "https://roster.example.com/verify/the-token", "https://roster.example.com/verify/the-token/?x=/y"} {
		require.Equal(t, "ada@example.com is yours. Sign in: roster login ada@example.com\n", w.ok("verify", given))
		require.Equal(t, "the-token", w.last().request.(*identityv1.VerifyEmailRequest).GetToken())
	}
}

func TestPassword(t *testing.T) {
	t.Parallel()
	w := signedIn(t)
	w.in = "the one until now\nthe new one\n"
	gives(w, &identityv1.ChangePasswordRequest{}, &identityv1.ChangePasswordResponse{})
	require.Contains(t, w.ok("password", "change", "--password-stdin"), "Changed.")
	sent := w.last().request.(*identityv1.ChangePasswordRequest)
	require.Equal(t, []string{"the one until now", "the new one"}, []string{sent.GetCurrentPassword(), sent.GetPassword()})

	gives(w, &identityv1.RequestPasswordResetRequest{}, &identityv1.RequestPasswordResetResponse{})
	require.Contains(t, w.ok("password", "forgot", "ada"), "If there is an account")
	require.Equal(t, "ada", w.last().request.(*identityv1.RequestPasswordResetRequest).GetUsername())
	require.Empty(t, w.last().authorization, "whoever has forgotten it is nobody")
	w.ok("password", "forgot", "ada@example.com")
	require.Equal(t, "ada@example.com", w.last().request.(*identityv1.RequestPasswordResetRequest).GetEmail())

	w.in = "the new one\n"
	gives(w, &identityv1.ResetPasswordRequest{}, &identityv1.ResetPasswordResponse{})
	require.Contains(t, w.ok("password", "reset", "https://roster.example.com/reset/tok", "--password-stdin"), "roster login")
	reset := w.last().request.(*identityv1.ResetPasswordRequest)
	require.Equal(t, []string{"tok", "the new one"}, []string{reset.GetToken(), reset.GetPassword()})
}

func TestLogin(t *testing.T) {
	t.Parallel()

	t.Run("TheSessionIsKeptForTheNextCommandAndForNobodyElse", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.in = "a long password\n"
		gives(w, &identityv1.CreateSessionRequest{}, signIn)
		gives(w, &identityv1.GetMeRequest{}, me)
		out := w.ok("login", "ada@example.com", "--password-stdin")
		require.Equal(t, "Signed in to "+w.address+" as ada@example.com until 2026-04-09 12:00 UTC.\n", out)
		sent := w.last().request.(*identityv1.CreateSessionRequest)
		require.Equal(t, "a long password", sent.GetPassword())
		require.Equal(t, identityv1.Delivery_DELIVERY_TOKEN, sent.GetDelivery())
		require.Contains(t, w.last().agent, "roster-cli/")

		file, err := os.Stat(filepath.Join(w.dir, "roster", "credentials.json"))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), file.Mode())
		folder, err := os.Stat(filepath.Join(w.dir, "roster"))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o700), folder.Mode().Perm())

		require.Equal(t, `Account:   acc_1
Name:      Ada
Email:     ada@example.com
Username:  ada
Created:   2026-01-29 12:00 UTC
`, w.ok("me"))
		require.Equal(t, "Bearer session-token", w.last().authorization)

		w.env["ROSTER_SERVER"] = "localhost:1" // another server gets nothing
		r := w.run("me")
		require.Equal(t, exitUnauthenticated, r.code)
		require.Equal(t, "Error: You are not signed in to localhost:1. (UNAUTHENTICATED)\n  Sign in: roster login\n", r.err)
	})

	t.Run("ProvingItAgainChangesTheSession", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.in = "a long password\n"
		gives(w, &identityv1.CreateSessionRequest{}, signIn)
		w.ok("login", "ada@example.com", "--password-stdin")
		refuses(w, &membershipv1.DeleteOrganizationRequest{}, fault.New(errorv1.Reason_REASON_STEP_UP_REQUIRED, "Again.").With("minutes", "10"))
		r := w.run("org", "delete", "org_1", "--yes")
		require.Equal(t, exitUnauthenticated, r.code)
		require.Contains(t, r.err, "Prove it: roster reauth")
		w.in = "a long password\n"
		gives(w, &identityv1.ReauthenticateRequest{}, &identityv1.ReauthenticateResponse{Session: signIn.GetSession(), Token: "another-token"})
		w.ok("reauth", "--password-stdin")
		require.Equal(t, "a long password", w.last().request.(*identityv1.ReauthenticateRequest).GetPassword())
		gives(w, &identityv1.GetMeRequest{}, me)
		w.ok("me")
		require.Equal(t, "Bearer another-token", w.last().authorization)
	})

	t.Run("ANameWithoutAnAtSignIsAUsername", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.interactive, w.in, w.secrets = true, "ada\n", []string{"a long password"}
		gives(w, &identityv1.CreateSessionRequest{}, signIn)
		w.ok("login")
		require.Equal(t, "ada", w.last().request.(*identityv1.CreateSessionRequest).GetUsername())
		require.Empty(t, w.last().request.(*identityv1.CreateSessionRequest).GetEmail())
	})

	t.Run("ASessionThatHasEndedIsNotInTheWay", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.env["ROSTER_TOKEN"], w.in = "ended", "a long password"
		gives(w, &identityv1.CreateSessionRequest{}, signIn)
		w.ok("login", "ada", "--password-stdin")
		require.Empty(t, w.last().authorization)
	})

	t.Run("WrongPasswordsKeepNothing", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.in = "wrong"
		refuses(w, &identityv1.CreateSessionRequest{}, fault.New(errorv1.Reason_REASON_CREDENTIALS_INVALID, "Address, username or password are wrong."))
		r := w.run("login", "ada", "--password-stdin")
		require.Equal(t, exitUnauthenticated, r.code)
		require.Equal(t, "Error: Address, username or password are wrong. (CREDENTIALS_INVALID)\n", r.err)
		require.NoDirExists(t, filepath.Join(w.dir, "roster"))
	})
}

func TestLogout(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]error{"EndsTheSession": nil, "ForgetsASessionThatHasEnded": unauthenticated} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.in = "a long password"
			gives(w, &identityv1.CreateSessionRequest{}, signIn)
			w.ok("login", "ada", "--password-stdin")
			gives(w, &identityv1.SignOutRequest{}, &identityv1.SignOutResponse{})
			if answer != nil {
				refuses(w, &identityv1.SignOutRequest{}, answer)
			}
			require.Equal(t, "Signed out of "+w.address+".\n", w.ok("logout"))
			require.Equal(t, "Bearer session-token", w.last().authorization)
			require.NotContains(t, w.keptFile(), "session-token")
			require.Equal(t, exitUnauthenticated, w.run("logout").code)
		})
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()

	t.Run("SessionsAndOperatorKeysAreNeverUsedInPlaceOfEachOther", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.in = "a long password"
		gives(w, &identityv1.GetMeRequest{}, me)
		gives(w, &identityv1.CreateSessionRequest{}, signIn)
		gives(w, &identityv1.ClaimOperatorRequest{}, &identityv1.ClaimOperatorResponse{OperatorId: "opr_1", ApiKey: "operator-key"})
		gives(w, &billingv1.SetSeatLimitRequest{}, &billingv1.SetSeatLimitResponse{Usage: &billingv1.SeatUsage{}})

		require.Equal(t, `Operator:  opr_1
API key:   operator-key

The key is shown this once. It is kept here for 'roster operator'; keep a copy in a safe place.
`, w.ok("operator", "claim", "bootstrap-token", "--name", "Root"))
		require.Empty(t, w.last().authorization)
		require.Equal(t, exitUnauthenticated, w.run("me").code)
		w.ok("login", "ada", "--password-stdin")
		w.ok("me")
		require.Equal(t, "Bearer session-token", w.last().authorization)
		w.ok("operator", "seat-limit", "org_1", "5", "--reason", "ticket 7")
		require.Equal(t, "Bearer operator-key", w.last().authorization)
	})

	t.Run("TheFlagWinsOverTheEnvironmentAndThatOverTheFile", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.in = "a long password"
		gives(w, &identityv1.GetMeRequest{}, me)
		gives(w, &identityv1.CreateSessionRequest{}, signIn)
		w.ok("login", "ada", "--password-stdin")
		w.env["ROSTER_TOKEN"] = "environment"
		w.ok("me")
		require.Equal(t, "Bearer environment", w.last().authorization)
		w.ok("me", "--token", "flag")
		require.Equal(t, "Bearer flag", w.last().authorization)
		gives(w, &identityv1.SignOutRequest{}, &identityv1.SignOutResponse{})
		w.ok("logout", "--token", "flag") // signs that one out, not the kept one
		require.Contains(t, w.keptFile(), "session-token")
	})

	t.Run("AFileThatOthersMayReadIsRefused", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.in = "a long password"
		gives(w, &identityv1.CreateSessionRequest{}, signIn)
		w.ok("login", "ada", "--password-stdin")
		path := filepath.Join(w.dir, "roster", "credentials.json")
		require.NoError(t, os.Chmod(path, 0o644))
		r := w.run("me")
		require.Equal(t, exitUsage, r.code)
		require.Contains(t, r.err, "others may read your credentials: chmod 600 "+path)
	})

	t.Run("WithoutAFolderTheEnvironmentStillWorks", func(t *testing.T) {
		t.Parallel()
		w := signedIn(t)
		w.dir, w.in = "", "a long password"
		gives(w, &identityv1.GetMeRequest{}, me)
		gives(w, &identityv1.CreateSessionRequest{}, signIn)
		w.ok("me")
		r := w.run("login", "ada", "--password-stdin")
		require.Equal(t, exitFailed, r.code)
		require.Contains(t, r.err, "set HOME or XDG_CONFIG_HOME")
	})
}

func TestSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.in = "a long password"
	gives(w, &identityv1.CreateSessionRequest{}, signIn)
	w.ok("login", "ada", "--password-stdin")
	gives(w, &identityv1.ListSessionsRequest{}, &identityv1.ListSessionsResponse{Sessions: []*identityv1.Session{
		{Id: "ses_1", CreateTime: away(-20 * 60e9), LastUseTime: away(0), ExpireTime: away(29 * day), Current: true, UserAgent: "roster-cli/1.0"},
		{Id: "ses_2", CreateTime: away(-3 * day), LastUseTime: away(-5 * 3600e9), ExpireTime: away(80 * day), UserAgent: "Firefox\x1b[2J"},
	}})
	require.Equal(t, `ID     BEGAN    LAST USED  ENDS        CURRENT   CLIENT
ses_1  20m ago  now        in 29d      this one  roster-cli/1.0
ses_2  3d ago   5h ago     2026-05-29  -         Firefox�[2J
`, w.ok("sessions", "list"))

	gives(w, &identityv1.DeleteSessionRequest{}, &identityv1.DeleteSessionResponse{})
	require.Equal(t, "Session ses_2 has ended.\n", w.ok("sessions", "revoke", "ses_2"))
	require.Contains(t, w.keptFile(), "session-token")
	gives(w, &identityv1.SignOutOthersRequest{}, &identityv1.SignOutOthersResponse{Ended: 2})
	require.Equal(t, "Sessions that have ended: 2.\n", w.ok("sessions", "revoke-others"))
	gives(w, &identityv1.ListMyLoginActivityRequest{}, &identityv1.ListMyLoginActivityResponse{Activity: []*identityv1.LoginActivity{
		{Action: identityv1.LoginAction_LOGIN_ACTION_SIGN_IN, Success: true, Address: "203.0.113.7", Device: "Firefox on Linux"},
		{Action: identityv1.LoginAction_LOGIN_ACTION_SIGN_IN, Failure: identityv1.LoginFailure_LOGIN_FAILURE_WRONG_PASSWORD},
	}})
	told := w.ok("login-activity")
	require.Contains(t, told, "Firefox on Linux")
	require.Contains(t, told, "wrong password")
	w.ok("sessions", "revoke", "ses_1") // the one that is kept here
	require.NotContains(t, w.keptFile(), "session-token")
}

func TestKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.in = "a long password"
	gives(w, &identityv1.CreateSessionRequest{}, signIn)
	w.ok("login", "ada", "--password-stdin")
	key := &identityv1.ApiKey{Id: "key_1", DisplayName: "Deploy", Scopes: []string{"members.read", "org.read"}, LastFour: "wxyz", LastUseTime: away(-20 * 60e9), ExpireTime: away(80 * day)}
	gives(w, &identityv1.CreateApiKeyRequest{}, &identityv1.CreateApiKeyResponse{ApiKey: key, Secret: "rak_secret"})
	require.Contains(t, w.ok("keys", "create", "Deploy", "--scope", "members.read,org.read", "--expires-in", "720h"), "rak_secret")
	asked := w.last().request.(*identityv1.CreateApiKeyRequest)
	require.Equal(t, []string{"members.read", "org.read"}, asked.GetScopes())
	require.Equal(t, noon.Add(720*time.Hour).Unix(), asked.GetExpireTime().GetSeconds())
	require.NotContains(t, w.keptFile(), "rak_secret")
	require.Contains(t, w.run("keys", "create", "Deploy").err, "--scope is missing")

	gives(w, &identityv1.ListApiKeysRequest{}, &identityv1.ListApiKeysResponse{ApiKeys: []*identityv1.ApiKey{key}})
	require.Equal(t, `ID     NAME    KEY          LAST USED  EXPIRES     SCOPES
key_1  Deploy  rak_...wxyz  20m ago    2026-05-29  members.read org.read
`, w.ok("keys", "list"))
	gives(w, &identityv1.DeleteApiKeyRequest{}, &identityv1.DeleteApiKeyResponse{})
	require.Equal(t, "Key key_1 has ended.\n", w.ok("keys", "delete", "key_1"))
}
