package cli

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

func TestMfa(t *testing.T) {
	t.Parallel()
	phone := &identityv1.Factor{Id: "fac_1", Method: identityv1.FactorMethod_FACTOR_METHOD_TOTP, DisplayName: "Phone", CreateTime: away(-2 * day)}
	signedIn := func(t *testing.T) *world {
		w := newWorld(t)
		w.in = "a long password\n"
		gives(w, &identityv1.CreateSessionRequest{}, signIn)
		w.ok("login", "ada", "--password-stdin")
		return w
	}

	t.Run("LoginAsksForTheCodeWhenItIsDue", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.interactive, w.secrets, w.in = true, []string{"a long password"}, "123456\n"
		gives(w, &identityv1.CreateSessionRequest{}, &identityv1.CreateSessionResponse{
			Token: "half", Session: signIn.GetSession(), Challenge: &identityv1.Challenge{}})
		gives(w, &identityv1.AnswerChallengeRequest{}, &identityv1.AnswerChallengeResponse{Token: "whole", Session: signIn.GetSession()})
		r := w.run("login", "ada")
		require.Equal(t, exitOK, r.code, r.err)
		require.Contains(t, r.err, "Code of your authenticator app, or a recovery code: ")
		require.Equal(t, "Bearer half", w.last().authorization)
		require.Equal(t, "123456", w.last().request.(*identityv1.AnswerChallengeRequest).GetCode())
		require.Contains(t, w.keptFile(), "whole")
		require.NotContains(t, w.keptFile(), "half")
	})
	t.Run("WithoutATerminalTheCodeIsAFlag", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.in = "a long password\n"
		gives(w, &identityv1.CreateSessionRequest{}, &identityv1.CreateSessionResponse{
			Token: "half", Session: signIn.GetSession(), Challenge: &identityv1.Challenge{}})
		gives(w, &identityv1.AnswerChallengeRequest{}, &identityv1.AnswerChallengeResponse{Token: "whole", Session: signIn.GetSession()})
		require.Contains(t, w.run("login", "ada", "--password-stdin").err, "--code is missing")
		w.in = "a long password\n"
		w.ok("login", "ada", "--password-stdin", "--code", "123456")
		require.Equal(t, "123456", w.last().request.(*identityv1.AnswerChallengeRequest).GetCode())
	})
	t.Run("ReauthAsksForTheCodeWhenItIsDue", func(t *testing.T) {
		t.Parallel()
		w := signedIn(t)
		on(w, func(_ context.Context, req *identityv1.ReauthenticateRequest) (*identityv1.ReauthenticateResponse, error) {
			if req.GetCode() == "" {
				return nil, fault.New(errorv1.Reason_REASON_CODE_REQUIRED, "A code is due too.")
			}
			return &identityv1.ReauthenticateResponse{Session: signIn.GetSession(), Token: "another"}, nil
		})
		w.interactive, w.secrets, w.in = true, []string{"a long password"}, "123456\n"
		w.ok("reauth")
		require.Equal(t, "123456", w.last().request.(*identityv1.ReauthenticateRequest).GetCode())
		require.Contains(t, w.keptFile(), "another")
	})
	t.Run("Enable", func(t *testing.T) {
		t.Parallel()
		w := signedIn(t)
		gives(w, &identityv1.BeginTotpRequest{}, &identityv1.BeginTotpResponse{FactorId: "fac_1", Secret: "ABCD", Uri: "otpauth://totp/x"})
		gives(w, &identityv1.ConfirmTotpRequest{}, &identityv1.ConfirmTotpResponse{
			Factor: phone, RecoveryCodes: []string{"AAAA-BBBB", "CCCC-DDDD"}, Session: signIn.GetSession(), Token: "another"})
		require.Equal(t, exitUsage, w.run("mfa", "enable").code, "a secret is for a person")
		w.interactive, w.in = true, "123456\n"
		r := w.run("mfa", "enable", "--name", "Phone")
		require.Equal(t, `Signing in asks for a code of "Phone" from now on.

Without the app at hand, one of these signs you in, each once. They are shown this once; keep them in a safe place.
  AAAA-BBBB
  CCCC-DDDD
`, r.out)
		require.Contains(t, r.err, "Type this into your authenticator app: ABCD")
		require.Contains(t, r.err, "otpauth://totp/x")
		sent := w.last().request.(*identityv1.ConfirmTotpRequest)
		require.Equal(t, "fac_1 123456", sent.GetFactorId()+" "+sent.GetCode())
		require.Contains(t, w.keptFile(), "another")
	})
	t.Run("Status", func(t *testing.T) {
		t.Parallel()
		w := signedIn(t)
		gives(w, &identityv1.ListFactorsRequest{}, &identityv1.ListFactorsResponse{})
		require.Contains(t, w.ok("mfa", "status"), "your password alone")
		gives(w, &identityv1.ListFactorsRequest{}, &identityv1.ListFactorsResponse{Factors: []*identityv1.Factor{phone}, RecoveryCodesLeft: 9})
		out := w.ok("mfa", "status")
		require.Regexp(t, `fac_1 +TOTP +Phone`, out)
		require.Contains(t, out, "Recovery codes left: 9")
	})
	t.Run("PasskeysAreListedAndRenamed", func(t *testing.T) {
		t.Parallel()
		w := signedIn(t)
		key := &identityv1.Factor{Id: "fac_2", Method: identityv1.FactorMethod_FACTOR_METHOD_PASSKEY, DisplayName: "Laptop", CreateTime: away(-2 * day)}
		gives(w, &identityv1.ListFactorsRequest{}, &identityv1.ListFactorsResponse{Factors: []*identityv1.Factor{phone, key}})
		require.Regexp(t, `fac_2 +PASSKEY +Laptop`, w.ok("mfa", "status"))
		gives(w, &identityv1.RenameFactorRequest{}, &identityv1.RenameFactorResponse{Factor: key})
		require.Equal(t, "fac_2 is called \"Laptop\" from now on.\n", w.ok("mfa", "rename", "fac_2", "Laptop"))
		sent := w.last().request.(*identityv1.RenameFactorRequest)
		require.Equal(t, "fac_2 Laptop", sent.GetFactorId()+" "+sent.GetDisplayName())
		require.Contains(t, w.ok("mfa", "enable", "--help"), "A passkey is set up in a browser")
	})
	t.Run("WhoHasAPasskeyAloneSignsInWithARecoveryCode", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.in = "a long password\n"
		gives(w, &identityv1.CreateSessionRequest{}, &identityv1.CreateSessionResponse{Token: "half", Session: signIn.GetSession(), Challenge: &identityv1.Challenge{
			Methods: []identityv1.FactorMethod{identityv1.FactorMethod_FACTOR_METHOD_PASSKEY, identityv1.FactorMethod_FACTOR_METHOD_RECOVERY_CODE}}})
		require.Contains(t, w.run("login", "ada", "--password-stdin").err, "use one of your recovery codes")
	})
	t.Run("Disable", func(t *testing.T) {
		t.Parallel()
		w := signedIn(t)
		gives(w, &identityv1.RemoveFactorRequest{}, &identityv1.RemoveFactorResponse{})
		gives(w, &identityv1.ListFactorsRequest{}, &identityv1.ListFactorsResponse{Factors: []*identityv1.Factor{phone}})
		require.Contains(t, w.run("mfa", "disable").err, "say --yes")
		w.ok("mfa", "disable", "--yes")
		require.Equal(t, "fac_1", w.last().request.(*identityv1.RemoveFactorRequest).GetFactorId())
		gives(w, &identityv1.ListFactorsRequest{}, &identityv1.ListFactorsResponse{Factors: []*identityv1.Factor{phone, phone}})
		require.Contains(t, w.run("mfa", "disable", "--yes").err, "you have 2 second factors")
		w.ok("mfa", "disable", "fac_2", "--yes")
		require.Equal(t, "fac_2", w.last().request.(*identityv1.RemoveFactorRequest).GetFactorId())
	})
	t.Run("RecoveryCodes", func(t *testing.T) {
		t.Parallel()
		w := signedIn(t)
		gives(w, &identityv1.RegenerateRecoveryCodesRequest{}, &identityv1.RegenerateRecoveryCodesResponse{RecoveryCodes: []string{"AAAA-BBBB"}})
		require.Contains(t, w.ok("mfa", "recovery-codes", "--yes"), "AAAA-BBBB")
	})
	t.Run("ResettingAMembersAsksFirst", func(t *testing.T) {
		t.Parallel()
		w := signedIn(t)
		w.env["ROSTER_ORG"] = "org_1"
		gives(w, &membershipv1.ResetMemberMfaRequest{}, &membershipv1.ResetMemberMfaResponse{})
		require.Contains(t, w.run("member", "reset-mfa", "acc_2").err, "say --yes")
		require.Contains(t, w.ok("member", "reset-mfa", "acc_2", "--yes"), "acc_2 has no second factor any more")
		sent := w.last().request.(*membershipv1.ResetMemberMfaRequest)
		require.Equal(t, "org_1 acc_2", sent.GetOrganizationId()+" "+sent.GetAccountId())
	})
}

func TestMemberChangeEmail(t *testing.T) {
	t.Parallel()
	w := signedIn(t)
	w.env["ROSTER_ORG"] = "org_1"
	gives(w, &membershipv1.ChangeMemberEmailRequest{}, &membershipv1.ChangeMemberEmailResponse{})
	require.Contains(t, w.run("member", "change-email", "acc_2", "bob@works.example").err, "say --yes")
	require.Contains(t, w.ok("member", "change-email", "acc_2", "bob@works.example", "--yes"), "The address of acc_2 is bob@works.example now")
	sent := w.last().request.(*membershipv1.ChangeMemberEmailRequest)
	require.Equal(t, "org_1 acc_2 bob@works.example", sent.GetOrganizationId()+" "+sent.GetAccountId()+" "+sent.GetEmail())
}

func TestUnproven(t *testing.T) {
	t.Parallel()
	w := signedIn(t)
	w.env["ROSTER_ORG"] = "org_1"
	gives(w, &identityv1.GetMeRequest{}, &identityv1.GetMeResponse{Account: &identityv1.Account{Id: "acc_1", Email: "ada@works.example", Unproven: true}})
	require.Contains(t, w.ok("me"), "`roster email add ada@works.example`")
	gives(w, &membershipv1.GetMemberRequest{}, &membershipv1.GetMemberResponse{Member: &membershipv1.Member{AccountId: "acc_2", Unproven: true}})
	require.Contains(t, w.ok("member", "get", "acc_2"), "has not confirmed the mailbox")
}

func TestManaged(t *testing.T) {
	t.Parallel()
	w := signedIn(t)
	gives(w, &identityv1.GetMeRequest{}, &identityv1.GetMeResponse{ManagedByOrganizationId: "org_1"})
	require.Contains(t, w.ok("me"), "Managed by org_1, until you join another organization.")
	gives(w, &identityv1.GetMeRequest{}, &identityv1.GetMeResponse{ManagedByOrganizationId: "org_1", ManagedThroughDomain: "works.example"})
	require.Contains(t, w.ok("me"), "Managed by org_1, because your address is on its domain works.example.")
	gives(w, &identityv1.GetMeRequest{}, &identityv1.GetMeResponse{})
	require.NotContains(t, w.ok("me"), "Managed")
}

func TestMemberSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.in = "a long password"
	gives(w, &identityv1.CreateSessionRequest{}, signIn)
	w.ok("login", "ada", "--password-stdin")
	w.env["ROSTER_ORG"] = "org_1"
	gives(w, &membershipv1.ListMemberSessionsRequest{}, &membershipv1.ListMemberSessionsResponse{Managed: true, Sessions: []*identityv1.Session{
		{Id: "ses_1", CreateTime: away(-20 * 60e9), LastUseTime: away(0), ExpireTime: away(80 * day), Address: "203.0.113.7", Device: "Firefox on Linux"}}})
	require.Equal(t, `BEGAN    LAST USED  ENDS        ADDRESS      CLIENT
20m ago  now        2026-05-29  203.0.113.7  Firefox on Linux
`, w.ok("member", "sessions", "acc_2"))
	gives(w, &membershipv1.ListMemberLoginActivityRequest{}, &membershipv1.ListMemberLoginActivityResponse{Managed: true})
	require.Equal(t, "Nothing was tried with this account in 90 days.\n", w.ok("member", "login-activity", "acc_2"))
	gives(w, &membershipv1.ListMemberSessionsRequest{}, &membershipv1.ListMemberSessionsResponse{})
	gives(w, &membershipv1.ListMemberLoginActivityRequest{}, &membershipv1.ListMemberLoginActivityResponse{})
	require.Equal(t, notManaged+"\n", w.ok("member", "sessions", "acc_2"))

	gives(w, &membershipv1.ListPeopleRequest{}, &membershipv1.ListPeopleResponse{People: []*membershipv1.Person{{AccountId: "acc_9", Email: "Grace@example.com"}}})
	w.ok("member", "sessions", "grace@example.com")
	require.Equal(t, "acc_9", w.last().request.(*membershipv1.ListMemberSessionsRequest).GetAccountId(), "an address is as good as the id")
	require.Contains(t, w.run("member", "sessions", "nobody@example.com").err, "Nobody here has the address nobody@example.com.")
	require.Equal(t, notManaged+"\n", w.ok("member", "login-activity", "acc_2"))
	gives(w, &membershipv1.RevokeMemberSessionsRequest{}, &membershipv1.RevokeMemberSessionsResponse{})
	require.Equal(t, "acc_2 is signed out everywhere.\n", w.ok("member", "revoke-sessions", "acc_2"))
	sent := w.last().request.(*membershipv1.RevokeMemberSessionsRequest)
	require.Equal(t, "org_1 acc_2", sent.GetOrganizationId()+" "+sent.GetAccountId())
}
