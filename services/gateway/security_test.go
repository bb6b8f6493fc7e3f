package gateway

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/caller"
)

// factors is identity as far as it looks after second factors. A test says what is refused; the rest is done.
type factors struct {
	identityv1.UnimplementedFactorServiceServer
	stepUp  bool // whoever is there has to prove it first
	refusal error
	all     []*identityv1.Factor
	emails  []*identityv1.Email
}

func (f *fakes) guard(ctx context.Context, verb string) error {
	f.saw(ctx, verb)
	f.lock.Lock()
	defer f.lock.Unlock()
	if f.stepUp {
		return refuse(errorv1.Reason_REASON_STEP_UP_REQUIRED)
	}
	return f.refusal
}

func (f *fakes) ListFactors(ctx context.Context, _ *identityv1.ListFactorsRequest) (*identityv1.ListFactorsResponse, error) {
	f.saw(ctx, "ListFactors")
	return &identityv1.ListFactorsResponse{Factors: f.all, RecoveryCodesLeft: 7}, nil
}

func (f *fakes) ListEmails(ctx context.Context, _ *identityv1.ListEmailsRequest) (*identityv1.ListEmailsResponse, error) {
	f.saw(ctx, "ListEmails")
	return &identityv1.ListEmailsResponse{Emails: f.emails}, nil
}

func (f *fakes) ListSessions(ctx context.Context, _ *identityv1.ListSessionsRequest) (*identityv1.ListSessionsResponse, error) {
	f.saw(ctx, "ListSessions")
	return &identityv1.ListSessionsResponse{Sessions: []*identityv1.Session{
		{Id: caller.From(ctx).Session.String(), Current: true, Device: "Firefox on Linux"}, {Id: "ses_other", Device: "<b>", Address: "192.0.2.7"}}}, nil
}

func (f *fakes) RemoveFactor(ctx context.Context, _ *identityv1.RemoveFactorRequest) (*identityv1.RemoveFactorResponse, error) {
	return &identityv1.RemoveFactorResponse{}, f.guard(ctx, "RemoveFactor")
}

func (f *fakes) BeginPasskey(ctx context.Context, _ *identityv1.BeginPasskeyRequest) (*identityv1.BeginPasskeyResponse, error) {
	return &identityv1.BeginPasskeyResponse{Options: `{"challenge":"<x>"}`}, f.guard(ctx, "BeginPasskey")
}

func (f *fakes) ConfirmPasskey(ctx context.Context, _ *identityv1.ConfirmPasskeyRequest) (*identityv1.ConfirmPasskeyResponse, error) {
	return &identityv1.ConfirmPasskeyResponse{}, f.guard(ctx, "ConfirmPasskey")
}

func (f *fakes) BeginTotp(ctx context.Context, _ *identityv1.BeginTotpRequest) (*identityv1.BeginTotpResponse, error) {
	return &identityv1.BeginTotpResponse{FactorId: "fac_1", Secret: "SECRETOFTHEAPP"}, f.guard(ctx, "BeginTotp")
}

func (f *fakes) ConfirmTotp(ctx context.Context, req *identityv1.ConfirmTotpRequest) (*identityv1.ConfirmTotpResponse, error) {
	f.saw(ctx, "ConfirmTotp")
	if req.GetCode() != "123456" || req.GetFactorId() != "fac_1" {
		return nil, refuse(errorv1.Reason_REASON_CODE_INVALID)
	}
	if err := f.end(caller.From(ctx).Session.String()); err != nil {
		return nil, err
	}
	session, err := f.openSession(ctx, "ada")
	return &identityv1.ConfirmTotpResponse{RecoveryCodes: []string{"abcd-efgh"}, Session: session}, err
}

func (f *fakes) Reauthenticate(ctx context.Context, req *identityv1.ReauthenticateRequest) (*identityv1.ReauthenticateResponse, error) {
	f.saw(ctx, "Reauthenticate")
	switch {
	case req.GetPasskey() == "other":
		return nil, refuse(errorv1.Reason_REASON_PASSKEY_INVALID)
	case req.GetPasskey() == "" && req.GetPassword() != "good":
		return nil, refuse(errorv1.Reason_REASON_CREDENTIALS_INVALID)
	case req.GetPasskey() == "" && req.GetCode() == "":
		return nil, refuse(errorv1.Reason_REASON_CODE_REQUIRED)
	}
	f.lock.Lock()
	f.stepUp = false
	f.lock.Unlock()
	if err := f.end(caller.From(ctx).Session.String()); err != nil {
		return nil, err
	}
	session, err := f.openSession(ctx, "ada")
	return &identityv1.ReauthenticateResponse{Session: session}, err
}

func TestSecurityPage(t *testing.T) {
	t.Parallel()
	begin := func(t *testing.T) (*harness, string) {
		t.Helper()
		h := start(t)
		h.all = []*identityv1.Factor{{Id: "fac_1", Method: identityv1.FactorMethod_FACTOR_METHOD_PASSKEY, DisplayName: "<Key>", CreateTime: timestamppb.Now()}}
		h.emails = []*identityv1.Email{{Email: "ada@example.com", Primary: true, Verified: true}, {Email: "b@example.com", Verified: true}, {Email: "c@example.com"}}
		secret, _ := h.signedIn("ada", true)
		return h, cookieHeader(secret)
	}

	t.Run("ItShowsWhatOpensTheAccount", func(t *testing.T) {
		t.Parallel()
		h, cookie := begin(t)
		a := h.open("/security", "Cookie", cookie)
		requirePage(t, a, 200, "Account security", "<Key>", "Passkey, set up on", "Recovery codes left: 7", "Primary: mail about the account goes here",
			"Make b@example.com the primary one", "Remove c@example.com", "Waits for the link", "Firefox on Linux (this one)", "<b>", "192.0.2.7")
		require.NotContains(t, a.words(), "Make c@example.com")
		require.NotContains(t, a.words(), "Remove ada@example.com")
		require.Equal(t, 1, strings.Count(a.text, `action="/security/session-end"`), "not the session at hand")
		h.all = nil
		a = h.open("/security", "Cookie", cookie)
		requirePage(t, a, 200, "None yet: whoever knows your password can sign in as you.")
		require.NotContains(t, a.words(), "Recovery codes left")
		requirePage(t, h.open("/security?done=password", "Cookie", cookie), 200, "Your password is changed.")
		require.NotContains(t, h.open("/security?done=%3Cb%3Eevil", "Cookie", cookie).text, "evil")
	})
	t.Run("WhoIsNotSignedInSignsInFirst", func(t *testing.T) {
		t.Parallel()
		h, _ := begin(t)
		for _, a := range []answer{h.open("/security"), h.post("/security/password", "password=x"), h.post("/security/prove", "do=passkey")} {
			require.Equal(t, 303, a.StatusCode)
			require.Equal(t, "/sign-in?next=%2Fsecurity", a.Header.Get("Location"))
		}
		require.Empty(t, h.calls())
	})
	t.Run("R70 OnlyOurOwnFormsChangeAnything", func(t *testing.T) {
		t.Parallel()
		h, cookie := begin(t)
		for do := range changes {
			a := h.do("POST", "/security/"+do, "", "Cookie", cookie, "Accept", "text/html", "Sec-Fetch-Site", "cross-site")
			require.Equal(t, 403, a.StatusCode, do)
			require.Equal(t, "/security", h.open("/security/"+do, "Cookie", cookie).Header.Get("Location"), "a form's address, opened again")
		}
		require.Empty(t, h.calls())
		require.Equal(t, 404, h.post("/security/nothing", "", "Cookie", cookie).StatusCode)
		require.Equal(t, 404, h.post("/security/prove", "do=nothing", "Cookie", cookie).StatusCode)
	})
	t.Run("RB16 WhatAsksForAProofOfWhoIsThereGoesOnAfterIt", func(t *testing.T) {
		t.Parallel()
		h, cookie := begin(t)
		h.stepUp = true
		a := h.post("/security/factor-remove", "factor_id=fac_1&request_id=one", "Cookie", cookie)
		requirePage(t, a, 200, "Is it you?", "Code of your authenticator app", "Use a passkey")
		form := a.fields("/security/prove")
		for with, status := range map[string]int{"password=wrong": 401, "password=good": 401, "passkey=other": 401} {
			a = h.post("/security/prove", form.Encode()+"&"+with, "Cookie", cookie)
			require.Equal(t, status, a.StatusCode, with)
			require.Equal(t, form, a.fields("/security/prove"), "it waits on")
		}
		a = h.post("/security/prove", form.Encode()+"&password=good&code=123456", "Cookie", cookie)
		require.Equal(t, 303, a.StatusCode)
		require.Equal(t, "/security?done=factor-remove", a.Header.Get("Location"))
		require.NotNil(t, a.cookie(), "the session is another one")
	})
	t.Run("R34 TheBrowserMakesAPasskeyOfTheOptions", func(t *testing.T) {
		t.Parallel()
		h, cookie := begin(t)
		a := h.post("/security/passkey", "", "Cookie", cookie)
		requirePage(t, a, 200, "Set a passkey up", "This browser cannot make passkeys here")
		require.Contains(t, a.text, `data-create="{&#34;challenge&#34;:&#34;&lt;x&gt;&#34;}" hidden`)
		require.Contains(t, a.text, scriptURL)
		require.Equal(t, "/security?done=passkey-made", h.post("/security/passkey-made", "passkey=made", "Cookie", cookie).Header.Get("Location"))
		h.stepUp = true
		a = h.post("/security/passkey-made", "passkey=made", "Cookie", cookie)
		requirePage(t, a, 200, "Is it you?")
		require.Equal(t, url.Values{"do": {"passkey"}, "form": {""}}, a.fields("/security/prove"), "that passkey was for the session that ends")
		h.stepUp, h.refusal = false, refuse(errorv1.Reason_REASON_PASSKEY_INVALID)
		requirePage(t, h.post("/security/passkey-made", "passkey=made", "Cookie", cookie), 401, "The passkey was not accepted.", "Account security")
	})
	t.Run("R30 TheSecretOfAnAppStaysUntilItsCodeIsRight", func(t *testing.T) {
		t.Parallel()
		h, cookie := begin(t)
		a := h.post("/security/app", "", "Cookie", cookie)
		requirePage(t, a, 200, "SECRETOFTHEAPP")
		form := a.fields("/security/app-code")
		a = h.post("/security/app-code", form.Encode()+"&code=000000", "Cookie", cookie)
		requirePage(t, a, 401, "The code is wrong", "SECRETOFTHEAPP")
		require.Equal(t, form, a.fields("/security/app-code"))
		requirePage(t, h.post("/security/app-code", form.Encode()+"&code=123456", "Cookie", cookie), 200, "Your recovery codes", "abcd-efgh")
		require.NotContains(t, h.log.String(), "SECRETOFTHEAPP")
	})
	t.Run("AFormThatIsSentTwiceSaysSoAndTakesNoSessionAway", func(t *testing.T) {
		t.Parallel()
		h, cookie := begin(t)
		twice := func(path, form string) {
			t.Helper()
			first := h.post(path, form, "Cookie", cookie)
			require.NotNil(t, first.cookie(), first.text)
			a := h.post(path, form, "Cookie", cookie)
			requirePage(t, a, 401, "this was sent twice", "the first time counts", "make new ones there", "Account security")
			require.Nil(t, a.cookie(), "the browser may have the next one by now")
			cookie = cookieHeader(first.cookie().Value)
			requirePage(t, h.open("/security", "Cookie", cookie), 200, "Account security")
		}
		twice("/security/app-code", "factor_id=fac_1&secret=SECRETOFTHEAPP&code=123456")
		h.stepUp = true
		form := h.post("/security/factor-remove", "factor_id=fac_1", "Cookie", cookie).fields("/security/prove")
		twice("/security/prove", form.Encode()+"&password=good&code=123456")

		h.refusal = refuse(errorv1.Reason_REASON_UNAUTHENTICATED) // it ends while the form is on its way
		a := h.post("/security/factor-remove", "factor_id=fac_1", "Cookie", cookie)
		requirePage(t, a, 401, "this was sent twice")
		require.Nil(t, a.cookie())
		stale := cookieHeader("secret-of-nobody")
		require.Equal(t, "/sign-in?next=%2Fsecurity", h.open("/security", "Cookie", stale).Header.Get("Location"), "who only looks signs in")
	})
	t.Run("WithScriptsAFormIsSentOnce", func(t *testing.T) {
		t.Parallel()
		h, cookie := begin(t)
		a := h.post("/security/app", "", "Cookie", cookie)
		requirePage(t, a, 200, "SECRETOFTHEAPP")
		require.Contains(t, a.text, `action="/security/app-code" data-once`)
		require.Contains(t, a.text, scriptURL)
		a = h.post("/security/app-code", a.fields("/security/app-code").Encode()+"&code=000000", "Cookie", cookie)
		require.Contains(t, a.text, scriptURL)
		h.stepUp = true
		a = h.post("/security/app", "", "Cookie", cookie)
		require.Contains(t, a.text, `action="/security/prove" data-once`)
		require.Contains(t, a.text, scriptURL)
	})
	t.Run("ASecondClickAndARefusalDoNoHarm", func(t *testing.T) {
		t.Parallel()
		h, cookie := begin(t)
		h.refusal = refuse(errorv1.Reason_REASON_FACTOR_NOT_FOUND)
		require.Equal(t, "/security?done=gone", h.post("/security/factor-remove", "factor_id=fac_1", "Cookie", cookie).Header.Get("Location"))
		require.Equal(t, "/security?done=gone", h.post("/security/session-end", "session_id=ses_x", "Cookie", cookie).Header.Get("Location"))
		h.refusal = fault.New(errorv1.Reason_REASON_MFA_REQUIRED, "Acme asks for one.")
		requirePage(t, h.post("/security/factor-remove", "factor_id=fac_1", "Cookie", cookie), h.refusal.(*fault.Fault).HTTPStatus(), "Acme asks for one.", "Account security")
		h.refusal = refuse(errorv1.Reason_REASON_BUSY)
		requirePage(t, h.post("/security/factor-remove", "factor_id=fac_1", "Cookie", cookie), 503, "There is a lot to do just now.")
		h.refusal = refuse(errorv1.Reason_REASON_INTERNAL)
		requirePage(t, h.post("/security/factor-remove", "factor_id=fac_1", "Cookie", cookie), 500, "Something went wrong on our side")
		h.change = func(context.Context, *identityv1.ChangePasswordRequest) (*identityv1.ChangePasswordResponse, error) {
			return nil, refuse(errorv1.Reason_REASON_CREDENTIALS_INVALID)
		}
		requirePage(t, h.post("/security/password", "current_password=x&password=y", "Cookie", cookie), 401, "The password that you have now is wrong.")
	})
}
