package gateway

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/caller"
)

func TestSignInPage(t *testing.T) {
	t.Parallel()
	h := start(t)
	accepting(h)
	requirePage(t, h.open("/sign-in"), 200, "Sign in", "Email or username")

	a := h.post("/sign-in", "identifier=ada&password=good")
	require.Equal(t, 303, a.StatusCode)
	require.Equal(t, "/", a.Header.Get("Location"))
	cookie := a.cookie().Value
	require.Equal(t, 303, h.post("/sign-in", "identifier=ada&password=good", "Cookie", cookieHeader("stale")).StatusCode)

	a = h.post("/sign-in", "identifier=%3Cada%3E&password=wrong")
	requirePage(t, a, 401, "The address, the username or the password is wrong.")
	require.Contains(t, a.text, `value="&lt;ada&gt;"`)
	require.Nil(t, a.cookie())
	requirePage(t, h.post("/sign-in", "identifier=ada&password=busy"), 503, "wait a moment and try again")
	requirePage(t, h.post("/sign-in", "identifier=ada&password=limited"), 429, "Too many sign-ins have failed.")
	requirePage(t, h.post("/sign-in", "identifier=&password=x"), 400, "is wrong")

	requirePage(t, h.open("/sign-in", "Cookie", cookieHeader(cookie)), 200, "You are signed in as ada.")
	requirePage(t, h.open("/", "Cookie", cookieHeader(cookie)), 200, "You are signed in as ada", "Sign out")
	a = h.post("/sign-out", "", "Cookie", cookieHeader(cookie))
	require.Equal(t, 303, a.StatusCode)
	require.Equal(t, "/", a.Header.Get("Location"))
	require.Equal(t, -1, a.cookie().MaxAge)
	requirePage(t, h.open("/", "Cookie", cookieHeader(cookie)), 200, "Sign in")
	require.Equal(t, 303, h.post("/sign-out", "", "Cookie", cookieHeader(cookie)).StatusCode, "twice is fine")
}

func TestCodePage(t *testing.T) {
	t.Parallel()
	h := start(t)
	invited(h)
	accepting(h)
	h.signIn = func(ctx context.Context, _ *identityv1.CreateSessionRequest) (*identityv1.CreateSessionResponse, error) {
		session, err := h.openSessionAt(ctx, "ada", caller.Challenge)
		return &identityv1.CreateSessionResponse{Session: session, Challenge: &identityv1.Challenge{}}, err
	}
	h.answer = func(ctx context.Context, req *identityv1.AnswerChallengeRequest) (*identityv1.AnswerChallengeResponse, error) {
		switch req.GetCode() {
		case "123456":
			require.NoError(t, h.end(caller.From(ctx).Session.String()))
			session, err := h.openSession(ctx, "ada")
			return &identityv1.AnswerChallengeResponse{Session: session}, err
		case "many":
			return nil, refuse(errorv1.Reason_REASON_RATE_LIMITED).WithRetry(time.Second)
		case "over":
			return nil, refuse(errorv1.Reason_REASON_UNAUTHENTICATED)
		case "twice":
			return nil, refuse(errorv1.Reason_REASON_STATE_CONFLICT)
		case "broken":
			return nil, refuse(errorv1.Reason_REASON_INTERNAL)
		}
		return nil, refuse(errorv1.Reason_REASON_CODE_INVALID)
	}
	signIn := func() string {
		a := h.post("/sign-in", "identifier=ada&password=good")
		requirePage(t, a, 200, "Is it you?", "recovery codes")
		require.Contains(t, a.text, `autocomplete="one-time-code"`)
		return cookieHeader(a.cookie().Value)
	}

	t.Run("R36 TheFormAsksForTheCodeAndNobodyIsSignedInBefore", func(t *testing.T) {
		cookie := signIn()
		requirePage(t, h.open("/sign-in", "Cookie", cookie), 200, "Is it you?")
		requirePage(t, h.open("/", "Cookie", cookie), 200, "Sign in")
		require.Equal(t, "SIGN_IN_INCOMPLETE", h.do("GET", "/v1/me", "", "Cookie", cookie).reason(t))

		a := h.post("/sign-in/code", "code=123456", "Cookie", cookie)
		require.Equal(t, 303, a.StatusCode)
		require.Equal(t, "/", a.Header.Get("Location"))
		require.NotEqual(t, cookie, cookieHeader(a.cookie().Value))
		requirePage(t, h.open("/", "Cookie", cookieHeader(a.cookie().Value)), 200, "You are signed in as ada")
		require.Equal(t, 401, h.do("GET", "/v1/me", "", "Cookie", cookie).StatusCode, "R39")
	})
	t.Run("WhatIsWrongWithTheCode", func(t *testing.T) {
		cookie := signIn()
		for code, status := range map[string]int{"000000": 401, "many": 429, "": 400} {
			a := h.post("/sign-in/code", "code="+code, "Cookie", cookie)
			requirePage(t, a, status, "Is it you?")
			require.Nil(t, a.cookie())
		}
		done, _ := h.signedIn("ada", true)
		require.Equal(t, 303, h.post("/sign-in/code", "code=twice", "Cookie", cookieHeader(done)).StatusCode)
		require.Equal(t, 500, h.post("/sign-in/code", "code=broken", "Cookie", cookie).StatusCode)
		a := h.post("/sign-in/code", "code=over", "Cookie", cookie)
		requirePage(t, a, 401, "Sign in again.", "Password")
		require.Equal(t, -1, a.cookie().MaxAge)
		requirePage(t, h.post("/sign-in/code", "code=123456"), 401, "Sign in again.")
	})
	t.Run("BeginningAgainEndsTheHalfSession", func(t *testing.T) {
		a := h.post("/sign-out", "", "Cookie", signIn())
		require.Equal(t, 303, a.StatusCode)
		require.Equal(t, -1, a.cookie().MaxAge)
	})
	t.Run("R23 AnInvitationIsAcceptedAfterTheCode", func(t *testing.T) {
		a := h.post("/invite/accept", "token=good&way=sign-in&identifier=ada&password=good")
		requirePage(t, a, 200, "Is it you?")
		require.Contains(t, a.text, `name="token" value="good"`)
		require.NotContains(t, h.calls(), "AcceptInvitation")
		a = h.post("/sign-in/code", "code=123456&token=good", "Cookie", cookieHeader(a.cookie().Value))
		requirePage(t, a, 200, "Accept as ada")
	})
}

func TestNextPasswordPage(t *testing.T) {
	t.Parallel()
	h := start(t)
	invited(h)
	accepting(h)
	h.signIn = func(ctx context.Context, _ *identityv1.CreateSessionRequest) (*identityv1.CreateSessionResponse, error) {
		session, err := h.openSessionAt(ctx, "ada", caller.PasswordChange)
		return &identityv1.CreateSessionResponse{Session: session, PasswordChangeRequired: true}, err
	}
	h.change = func(ctx context.Context, req *identityv1.ChangePasswordRequest) (*identityv1.ChangePasswordResponse, error) {
		switch {
		case req.GetCurrentPassword() != "temporary":
			return nil, refuse(errorv1.Reason_REASON_CREDENTIALS_INVALID)
		case req.GetPassword() == "short":
			return nil, fault.New(errorv1.Reason_REASON_PASSWORD_REFUSED, "It needs 15 characters.")
		case req.GetPassword() == "many":
			return nil, refuse(errorv1.Reason_REASON_RATE_LIMITED).WithRetry(time.Second)
		case req.GetPassword() == "busy":
			return nil, refuse(errorv1.Reason_REASON_BUSY).WithRetry(time.Second)
		case req.GetPassword() == "broken":
			return nil, refuse(errorv1.Reason_REASON_INTERNAL)
		}
		require.NoError(t, h.end(caller.From(ctx).Session.String()))
		session, err := h.openSession(ctx, "ada")
		return &identityv1.ChangePasswordResponse{Session: session}, err
	}
	signIn := func() string {
		a := h.post("/sign-in", "identifier=ada&password=temporary")
		requirePage(t, a, 200, "Choose your password", "somebody else has seen")
		return cookieHeader(a.cookie().Value)
	}

	t.Run("R10 NobodyIsSignedInBeforeThereIsAnotherPassword", func(t *testing.T) {
		cookie := signIn()
		requirePage(t, h.open("/sign-in", "Cookie", cookie), 200, "Choose your password")
		requirePage(t, h.open("/sign-in/password", "Cookie", cookie), 200, "Choose your password")
		requirePage(t, h.open("/", "Cookie", cookie), 200, "Sign in")

		a := h.post("/sign-in/password", "current_password=temporary&password=another&next=/docs", "Cookie", cookie)
		require.Equal(t, 303, a.StatusCode)
		require.Equal(t, "/docs", a.Header.Get("Location"))
		requirePage(t, h.open("/", "Cookie", cookieHeader(a.cookie().Value)), 200, "You are signed in as ada")
		require.Equal(t, 401, h.do("GET", "/v1/me", "", "Cookie", cookie).StatusCode, "R39")
	})
	t.Run("WhatIsWrongWithThePassword", func(t *testing.T) {
		cookie := signIn()
		for form, wrong := range map[string]struct {
			status int
			says   string
		}{
			"current_password=x&password=another":        {401, "The temporary password is wrong."},
			"current_password=temporary&password=short":  {400, "It needs 15 characters."},
			"current_password=temporary&password=many":   {429, "too many wrong passwords"},
			"current_password=temporary&password=busy":   {503, "try again"},
			"current_password=&password=":                {400, "Choose your password"},
			"current_password=temporary&password=broken": {500, "Something went wrong"},
		} {
			a := h.post("/sign-in/password", form, "Cookie", cookie)
			requirePage(t, a, wrong.status, wrong.says)
			require.NotContains(t, a.text, "temporary&")
			require.Nil(t, a.cookie())
		}
		requirePage(t, h.post("/sign-in/password", "current_password=temporary&password=another"), 401, "Sign in again.")
	})
	t.Run("R10 AnInvitationIsAcceptedAfterIt", func(t *testing.T) {
		a := h.post("/invite/accept", "token=good&way=sign-in&identifier=ada&password=temporary")
		requirePage(t, a, 200, "Choose your password")
		require.Contains(t, a.text, `name="token" value="good"`)
		require.NotContains(t, h.calls(), "AcceptInvitation")
		a = h.post("/sign-in/password", "current_password=temporary&password=another&token=good", "Cookie", cookieHeader(a.cookie().Value))
		requirePage(t, a, 200, "Accept as ada")
	})
}
