package gateway

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
)

const previewURL = "/v1/invitations:preview"

// cookieHeader is how a browser sends a session.
func cookieHeader(secret string) string { return cookieName + "=" + secret }

func TestCredential(t *testing.T) {
	t.Parallel()
	h := start(t)
	token, teller := h.signedIn("Ada", false)
	cookie, browser := h.signedIn("Grace", true)
	me := func(headers ...string) answer { return h.do("GET", "/v1/me", "", headers...) }

	t.Run("ABearerIsACaller", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, teller.account.GetId(), me("Authorization", "Bearer "+token).json(t, "account", "id"))
		require.Equal(t, teller.account.GetId(), me("Authorization", "bearer "+token).json(t, "account", "id"))
	})
	t.Run("ACookieIsACaller", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, browser.account.GetId(), me("Cookie", cookieHeader(cookie)).json(t, "account", "id"))
	})
	t.Run("NobodyIsAskedToSignIn", func(t *testing.T) {
		t.Parallel()
		a := me()
		require.Equal(t, 401, a.StatusCode)
		require.Equal(t, "Bearer", a.Header.Get("WWW-Authenticate"))
		require.Equal(t, "UNAUTHENTICATED", a.reason(t))
	})
	t.Run("BothAreOneTooMany", func(t *testing.T) {
		t.Parallel()
		a := me("Cookie", cookieHeader(cookie), "Authorization", "Bearer "+token)
		require.Equal(t, 400, a.StatusCode)
		require.Equal(t, "VALIDATION_FAILED", a.reason(t))
	})
	t.Run("NeitherIsTakenForTheOther", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, 401, me("Authorization", "Bearer "+cookie).StatusCode)
		require.Equal(t, 401, me("Cookie", cookieHeader(token)).StatusCode)
	})
	t.Run("BadOnesAreRefused", func(t *testing.T) {
		t.Parallel()
		for _, value := range []string{"Bearer unknown", "Bearer", "Bearer ", "Basic " + token, token, "Bearer " + token + " x", "Bearer  " + token,
			"Bearer " + token + "x", "Bearer " + strings.ToUpper(token), "Bearer " + token[:len(token)-1], "", "Bearer " + strings.Repeat("x", 5000), "Bearer a.b.c"} {
			a := me("Authorization", value)
			require.Equal(t, 401, a.StatusCode, value)
			require.Equal(t, "UNAUTHENTICATED", a.reason(t))
			a = h.do("POST", previewURL, `{"linkToken":"x"}`, "Authorization", value)
			require.Equal(t, 401, a.StatusCode, "on methods for anyone as well: %s", value)
		}
		require.Equal(t, 401, me("Authorization", "Bearer "+token, "Authorization", "Bearer "+token).StatusCode)
		require.Equal(t, 401, me("Cookie", cookieHeader(cookie), "Cookie", cookieHeader(cookie)).StatusCode)
		require.Equal(t, 401, me("Cookie", cookieHeader("stale")).StatusCode)
		require.Equal(t, 401, me("Cookie", "roster="+cookie).StatusCode, "the cookie has its prefix")
		require.Equal(t, 400, h.do("GET", "/v1/me?access_token="+token, "").StatusCode, "and never in the URL")
	})
	t.Run("AnInternalTokenIsNone", func(t *testing.T) {
		t.Parallel()
		made, err := h.ResolveCredential(t.Context(), &identityv1.ResolveCredentialRequest{Secret: token, Audience: "identity"})
		require.NoError(t, err)
		require.Equal(t, 401, me("Authorization", "Bearer "+made.GetToken()).StatusCode)
	})
	t.Run("AStaleCookieLocksNobodyOut", func(t *testing.T) {
		t.Parallel()
		for _, stale := range []string{"stale", "", strings.Repeat("x", 4000)} {
			a := h.do("POST", previewURL, `{"linkToken":"x"}`, "Cookie", cookieHeader(stale))
			require.Equal(t, 200, a.StatusCode)
			cleared := a.cookie()
			require.NotNil(t, cleared)
			require.Empty(t, cleared.Value)
			require.Equal(t, -1, cleared.MaxAge)
			require.True(t, cleared.Secure && cleared.HttpOnly)
			require.Equal(t, "/", cleared.Path)
		}
	})
	t.Run("AGoodCookieStays", func(t *testing.T) {
		t.Parallel()
		require.Nil(t, h.do("POST", previewURL, `{"linkToken":"x"}`, "Cookie", cookieHeader(cookie)).cookie())
	})
	t.Run("IdentityAwayIsNotSignedOut", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.resolve = func(context.Context, *identityv1.ResolveCredentialRequest) (*identityv1.ResolveCredentialResponse, error) {
			return nil, fault.New(errorv1.Reason_REASON_UNAVAILABLE, "Away.")
		}
		for _, headers := range [][]string{{"Cookie", cookieHeader("x")}, {"Authorization", "Bearer x"}} {
			a := h.do("POST", previewURL, `{"linkToken":"x"}`, headers...)
			require.Equal(t, 503, a.StatusCode)
			require.Nil(t, a.cookie())
		}
	})
}

func TestR40SessionCookie(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.signIn = func(ctx context.Context, req *identityv1.CreateSessionRequest) (*identityv1.CreateSessionResponse, error) {
		if req.GetDelivery() == identityv1.Delivery_DELIVERY_TOKEN {
			secret, who := h.signedIn("Ada", false)
			return &identityv1.CreateSessionResponse{Token: secret, Session: &identityv1.Session{Id: who.session.String()}}, nil
		}
		session, err := h.openSession(ctx, "Ada")
		return &identityv1.CreateSessionResponse{Session: session}, err
	}
	const body = `{"email":"ada@example.com","password":"correct horse battery"}`
	signIn := func(t *testing.T) (*http.Cookie, string) {
		t.Helper()
		a := h.do("POST", "/v1/sessions", body)
		require.Equal(t, 200, a.StatusCode, a.text)
		c := a.cookie()
		require.NotNil(t, c)
		require.NotContains(t, a.text, c.Value)
		return c, a.json(t, "session", "id").(string)
	}
	requireForgotten := func(t *testing.T, session string) {
		t.Helper()
		want, err := id.ParseSession(session)
		require.NoError(t, err)
		h.mu.Lock()
		defer h.mu.Unlock()
		require.Contains(t, h.forgotten, want)
	}

	t.Run("R40 ItIsTheBrowsersAlone", func(t *testing.T) {
		t.Parallel()
		a := h.do("POST", "/v1/sessions", body, "Cookie", cookieHeader("stale"))
		set := a.Header.Values("Set-Cookie")
		require.Len(t, set, 1)
		require.Regexp(t, `^__Host-roster=secret-of-ses_\w+; Path=/; Expires=[^;]+; HttpOnly; Secure; SameSite=Lax$`, set[0])
		for name := range a.Header {
			require.NotContains(t, strings.ToLower(name), "grpc")
			require.NotContains(t, strings.ToLower(name), "roster-session")
			require.NotEqual(t, "X-Internal", name)
		}
	})
	t.Run("ATokenIsNoCookie", func(t *testing.T) {
		t.Parallel()
		a := h.do("POST", "/v1/sessions", `{"email":"a@b","password":"p","delivery":"DELIVERY_TOKEN"}`)
		require.Nil(t, a.cookie())
		require.NotEmpty(t, a.json(t, "token"))
	})
	t.Run("SigningOutEndsItAtOnce", func(t *testing.T) {
		t.Parallel()
		c, session := signIn(t)
		require.Equal(t, 200, h.do("GET", "/v1/me", "", "Cookie", cookieHeader(c.Value)).StatusCode)
		a := h.do("POST", "/v1/sessions:signOut", "", "Cookie", cookieHeader(c.Value))
		require.Equal(t, 200, a.StatusCode)
		require.Equal(t, -1, a.cookie().MaxAge)
		requireForgotten(t, session)
		require.Equal(t, 401, h.do("GET", "/v1/me", "", "Cookie", cookieHeader(c.Value)).StatusCode)
	})
	t.Run("DeletingTheCurrentOneClearsTheCookie", func(t *testing.T) {
		t.Parallel()
		c, session := signIn(t)
		other, otherSession := signIn(t)
		a := h.do("DELETE", "/v1/sessions/"+otherSession, "", "Cookie", cookieHeader(c.Value))
		require.Equal(t, 200, a.StatusCode)
		require.Nil(t, a.cookie(), "another one")
		requireForgotten(t, otherSession)
		require.Equal(t, 401, h.do("GET", "/v1/me", "", "Cookie", cookieHeader(other.Value)).StatusCode)
		require.Equal(t, -1, h.do("DELETE", "/v1/sessions/"+session, "", "Cookie", cookieHeader(c.Value)).cookie().MaxAge)
		requireForgotten(t, session)
	})
	t.Run("ABearersSignOutLeavesCookiesAlone", func(t *testing.T) {
		t.Parallel()
		secret, who := h.signedIn("Ada", false)
		a := h.do("POST", "/v1/sessions:signOut", "", "Authorization", "Bearer "+secret)
		require.Equal(t, 200, a.StatusCode)
		require.Empty(t, a.Header.Values("Set-Cookie"))
		requireForgotten(t, who.session.String())
	})
	t.Run("ARefusedSignInSetsNone", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.accept = func(ctx context.Context, _ *invitationv1.AcceptInvitationRequest) (*invitationv1.AcceptInvitationResponse, error) {
			_, _ = h.openSession(ctx, "Ada")
			return nil, fault.New(errorv1.Reason_REASON_INVITATION_EXPIRED, "Expired.")
		}
		require.Nil(t, h.do("POST", acceptURL, `{"linkToken":"x"}`).cookie())
	})
}

func TestR56Smuggling(t *testing.T) {
	t.Parallel()
	h := start(t)
	secret, who := h.signedIn("Ada", false)
	evil := []string{"X-User-Id", "X-Org-Id", "X-Roster-Client-Address", "X-Roster-User-Agent", "Grpc-Metadata-Authorization", "Grpc-Metadata-X-Roster-Client-Address",
		"Grpc-Metadata-X-User-Id", "Grpc-Metadata-Anything-Bin", "X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "X-Real-Ip", "Grpc-Timeout", "Baggage",
		"Tracestate", "Te", "Roster-Session-Secret", "Permanent", "Origin-Of-Evil"}
	headers := []string{"Authorization", "Bearer " + secret, "Accept-Language", "de", "User-Agent", "Ferret/1.0 ä"}
	for _, name := range evil {
		value := "203.0.113.66"
		if name == "Grpc-Timeout" {
			value = "1n"
		}
		headers = append(headers, name, value)
	}

	t.Run("R56 NothingReachesAService", func(t *testing.T) {
		require.Equal(t, 200, h.do("GET", "/v1/organizations/org_a", "", headers...).StatusCode)
		md, heard := h.latest()
		require.Equal(t, []string{"127.0.0.1"}, md.Get(caller.AddressHeader))
		require.Equal(t, []string{"Ferret/1.0 ?"}, md.Get(caller.UserAgentHeader))
		require.Equal(t, []string{"de"}, md.Get("accept-language"))
		require.Len(t, md.Get("authorization"), 1)
		require.NotContains(t, md.Get("authorization")[0], secret)
		require.Len(t, md.Get("traceparent"), 1)
		require.Equal(t, who.session, heard.Session)
		require.Equal(t, "gateway", heard.Service)
		for name, values := range md {
			switch name {
			case caller.AddressHeader, caller.UserAgentHeader, "accept-language", "authorization", "traceparent", "user-agent", "content-type", ":authority", "grpc-accept-encoding":
			default:
				t.Errorf("%s: %v reached the service", name, values)
			}
			require.NotContains(t, strings.Join(values, " "), "203.0.113.66", name)
		}
	})
	t.Run("R56 TheGatewaysNameIsNotLent", func(t *testing.T) {
		h := start(t)
		// The service hears whom the gateway speaks for even where it knows no address.
		conn := h.dial("gateway", "invitation", grpc.WithChainUnaryInterceptor(ClientInterceptor(nil, "invitation")))
		ctx := withCall(t.Context(), &call{})
		_, err := invitationv1.NewInvitationServiceClient(conn).PreviewInvitation(ctx, &invitationv1.PreviewInvitationRequest{LinkToken: "x"})
		require.NoError(t, err)
		md, _ := h.latest()
		require.Equal(t, []string{""}, md.Get(caller.AddressHeader))
	})
	t.Run("LongAgentsAreCut", func(t *testing.T) {
		require.Equal(t, 200, h.do("GET", "/v1/organizations/org_a", "", "Authorization", "Bearer "+secret, "User-Agent", strings.Repeat("x", 3000)).StatusCode)
		md, _ := h.latest()
		require.Len(t, md.Get(caller.UserAgentHeader)[0], 512)
	})
}

func TestR62ClientAddress(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		peer    string
		proxies int
		header  []string
		want    string
	}{
		{"ThePeerWithoutProxies", "192.0.2.1:555", 0, []string{"203.0.113.66"}, "192.0.2.1"},
		{"WhatTheProxySaw", "192.0.2.1:555", 1, []string{"203.0.113.66, 198.51.100.7"}, "198.51.100.7"},
		{"AcrossHeaders", "192.0.2.1:555", 1, []string{"203.0.113.66", "198.51.100.7"}, "198.51.100.7"},
		{"WhatTheOuterProxySaw", "192.0.2.1:555", 2, []string{"203.0.113.66, 198.51.100.7, 192.0.2.9"}, "198.51.100.7"},
		{"TooShortIsThePeer", "192.0.2.1:555", 2, []string{"203.0.113.66"}, "192.0.2.1"},
		{"NoneIsThePeer", "192.0.2.1:555", 1, nil, "192.0.2.1"},
		{"NoAddressIsThePeer", "192.0.2.1:555", 1, []string{"unknown"}, "192.0.2.1"},
		{"WithAPort", "192.0.2.1:555", 1, []string{"198.51.100.7:1234"}, "198.51.100.7"},
		{"SixInBrackets", "192.0.2.1:555", 1, []string{"[2001:db8::1]:1234"}, "2001:db8::1"},
		{"SixWithAZone", "[fe80::1%eth0]:555", 0, nil, "fe80::1"},
		{"FourInSix", "[::ffff:192.0.2.1]:555", 0, nil, "192.0.2.1"},
		{"NoPeer", "", 0, nil, ""},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = c.peer
		r.Header["X-Forwarded-For"] = c.header
		require.Equal(t, c.want, clientAddress(r, c.proxies), c.name)
	}

	t.Run("R62 RotatingTheHeaderDoesNotHelp", func(t *testing.T) {
		t.Parallel()
		h := start(t, func(d *Dependencies) { d.TrustedProxies = 1 })
		for _, forged := range []string{"203.0.113.1", "203.0.113.2", "203.0.113.3, 203.0.113.4"} {
			h.do("POST", previewURL, `{"linkToken":"x"}`, "X-Forwarded-For", forged+", 198.51.100.7")
			_, who := h.latest()
			require.Equal(t, "198.51.100.7", who.Address)
		}
	})
}
