package gateway

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/caller"
)

func TestPasskeyPages(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.passkey = func(ctx context.Context, req *identityv1.FinishPasskeySignInRequest) (*identityv1.FinishPasskeySignInResponse, error) {
		switch {
		case req.GetDelivery() != identityv1.Delivery_DELIVERY_COOKIE:
			return nil, refuse(errorv1.Reason_REASON_INTERNAL)
		case req.GetPasskey() == "busy":
			return nil, refuse(errorv1.Reason_REASON_BUSY).WithRetry(time.Second)
		case req.GetPasskey() == "broken":
			return nil, refuse(errorv1.Reason_REASON_INTERNAL)
		case req.GetPasskey() != "signed":
			return nil, refuse(errorv1.Reason_REASON_PASSKEY_INVALID)
		}
		session, err := h.openSession(ctx, "ada")
		return &identityv1.FinishPasskeySignInResponse{Session: session}, err
	}

	t.Run("R34 TheFormIsThereForScriptsAndTheScriptIsAFileOfOurs", func(t *testing.T) {
		a := h.open("/sign-in")
		requirePage(t, a, 200, "Sign in with a passkey")
		require.Contains(t, a.text, `data-begin="/v1/sessions:beginPasskeySignIn" hidden`)
		require.Contains(t, a.text, `<script src="`+scriptURL+`" defer></script>`)
		require.Contains(t, a.Header.Get("Content-Security-Policy"), "script-src 'self'; connect-src 'self'")
		require.NotContains(t, h.open("/forgot").Header.Get("Content-Security-Policy"), "script-src")
		script := h.open(scriptURL)
		require.Equal(t, "text/javascript; charset=utf-8", script.Header.Get("Content-Type"))
		require.Contains(t, script.Header.Get("Cache-Control"), "immutable")
	})
	t.Run("R34 WhatIsSignedSignsIn", func(t *testing.T) {
		a := h.post("/sign-in/passkey", "passkey=signed&next=%2Fdocs")
		require.Equal(t, 303, a.StatusCode)
		require.Equal(t, "/docs", a.Header.Get("Location"))
		requirePage(t, h.open("/", "Cookie", cookieHeader(a.cookie().Value)), 200, "You are signed in as ada")
	})
	t.Run("WhatIsWrongKeepsTheForm", func(t *testing.T) {
		for passkey, status := range map[string]int{"": 400, "other": 401, "busy": 503} {
			a := h.post("/sign-in/passkey", "passkey="+passkey+"&next=%2Fdocs")
			requirePage(t, a, status, "Password", "Sign in with a passkey")
			require.Contains(t, a.text, `value="/docs"`)
			require.Nil(t, a.cookie())
		}
		require.Equal(t, 500, h.post("/sign-in/passkey", "passkey=broken").StatusCode)
	})
	t.Run("R34 ItAnswersTheChallenge", func(t *testing.T) {
		h.signIn = func(ctx context.Context, _ *identityv1.CreateSessionRequest) (*identityv1.CreateSessionResponse, error) {
			session, err := h.openSessionAt(ctx, "ada", caller.Challenge)
			return &identityv1.CreateSessionResponse{Session: session, Challenge: &identityv1.Challenge{}}, err
		}
		h.answer = func(ctx context.Context, req *identityv1.AnswerChallengeRequest) (*identityv1.AnswerChallengeResponse, error) {
			if req.GetPasskey() != "signed" {
				return nil, refuse(errorv1.Reason_REASON_PASSKEY_INVALID)
			}
			session, err := h.openSession(ctx, "ada")
			return &identityv1.AnswerChallengeResponse{Session: session}, err
		}
		a := h.post("/sign-in", "identifier=ada&password=good")
		requirePage(t, a, 200, "Is it you?", "Use a passkey")
		cookie := cookieHeader(a.cookie().Value)
		requirePage(t, h.post("/sign-in/code", "passkey=other", "Cookie", cookie), 401, "The passkey was not accepted.", "Use a passkey")
		require.Equal(t, 303, h.post("/sign-in/code", "passkey=signed", "Cookie", cookie).StatusCode)
	})
}
