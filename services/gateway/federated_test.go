package gateway

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

// setCookies returns the cookies that an answer sets, by name.
func setCookies(a answer) map[string]*http.Cookie {
	found := make(map[string]*http.Cookie)
	for _, cookie := range a.Cookies() {
		found[cookie.Name] = cookie
	}
	return found
}

func TestFederatedPages(t *testing.T) {
	t.Parallel()
	h := start(t)
	var heard *identityv1.CompleteFederatedSignInRequest
	h.begin = func(_ context.Context, req *identityv1.BeginFederatedSignInRequest) (*identityv1.BeginFederatedSignInResponse, error) {
		if req.GetProviderId() == "idp_often" {
			return nil, fault.New(errorv1.Reason_REASON_RATE_LIMITED, "There was too much of this.").WithRetry(1500 * time.Millisecond)
		}
		if req.GetProviderId() != "idp_one" {
			return nil, refuse(errorv1.Reason_REASON_IDENTITY_PROVIDER_NOT_FOUND)
		}
		return &identityv1.BeginFederatedSignInResponse{
			AuthorizationUrl: "https://accounts.example.com/auth?state=s", Flow: "the-flow", ExpireTime: timestamppb.New(time.Now().Add(10 * time.Minute))}, nil
	}
	h.complete = func(_ context.Context, req *identityv1.CompleteFederatedSignInRequest) (*identityv1.CompleteFederatedSignInResponse, error) {
		heard = req
		switch req.GetCode() {
		case "half":
			return &identityv1.CompleteFederatedSignInResponse{Challenge: &identityv1.Challenge{}}, nil
		case "bad":
			return nil, refuse(errorv1.Reason_REASON_FEDERATED_SIGN_IN_FAILED)
		}
		return &identityv1.CompleteFederatedSignInResponse{}, nil
	}

	t.Run("R40 TheBrowserKeepsTheFlow", func(t *testing.T) {
		a := h.open("/signin/oidc/idp_one")
		require.Equal(t, http.StatusSeeOther, a.StatusCode)
		require.Equal(t, "https://accounts.example.com/auth?state=s", a.Header.Get("Location"))
		kept := setCookies(a)[flowCookie]
		require.Equal(t, "the-flow", kept.Value)
		require.True(t, kept.HttpOnly && kept.Secure && kept.Path == "/" && kept.Domain == "" && kept.SameSite == http.SameSiteLaxMode)
		require.WithinDuration(t, time.Now().Add(10*time.Minute), kept.Expires, time.Minute)
		requirePage(t, h.open("/signin/oidc/idp_two"), 404, "There is no such way to sign in")
	})
	t.Run("R61 WhoBeginsTooOftenWaits", func(t *testing.T) {
		a := h.open("/signin/oidc/idp_often")
		requirePage(t, a, 429, "One moment, please", "There was too much of this.")
		require.Equal(t, "2", a.Header.Get("Retry-After"))
		require.Empty(t, setCookies(a))
	})
	t.Run("R72 ItComesBackAndGoesNowhereElse", func(t *testing.T) {
		back := "/signin/oidc/idp_one/callback?state=s&iss=https%3A%2F%2Faccounts.example.com&next=https%3A%2F%2Fevil.example&code="
		a := h.open(back+"good", "Cookie", flowCookie+"=the-flow")
		require.Equal(t, http.StatusSeeOther, a.StatusCode, a.text)
		require.Equal(t, "/", a.Header.Get("Location"))
		require.Equal(t, -1, setCookies(a)[flowCookie].MaxAge, "it is good once")
		require.Equal(t, "idp_one the-flow s good https://accounts.example.com",
			heard.GetProviderId()+" "+heard.GetFlow()+" "+heard.GetState()+" "+heard.GetCode()+" "+heard.GetIssuer())
		require.Equal(t, identityv1.Delivery_DELIVERY_COOKIE, heard.GetDelivery())
		a = h.open(back+"half", "Cookie", flowCookie+"=the-flow")
		require.Equal(t, "/sign-in", a.Header.Get("Location"))
		a = h.open("/signin/oidc/idp_one?next=%2Forganizations%2Fone%3Ftab%3Dtwo")
		kept := setCookies(a)[flowCookie].Value
		a = h.open(back+"good", "Cookie", flowCookie+"="+kept)
		require.Equal(t, "/organizations/one?tab=two", a.Header.Get("Location"), "where it was to lead")
		require.Equal(t, "the-flow", heard.GetFlow())
		a = h.open(back+"half", "Cookie", flowCookie+"="+kept)
		require.Equal(t, "/sign-in?next=%2Forganizations%2Fone%3Ftab%3Dtwo", a.Header.Get("Location"))
		for _, evil := range []string{"https://evil.example", "//evil.example", `/\evil.example`, "/%2fevil.example", "javascript:alert(1)", strings.Repeat("/a", 1000)} {
			a = h.open("/signin/oidc/idp_one?next=" + url.QueryEscape(evil))
			require.Equal(t, "the-flow", setCookies(a)[flowCookie].Value, evil)
			a = h.open(back+"good", "Cookie", flowCookie+"=the-flow."+base64.RawURLEncoding.EncodeToString([]byte(evil)))
			require.Equal(t, "/", a.Header.Get("Location"), evil)
		}
		require.NotContains(t, h.log.String(), "the-flow")
		require.NotContains(t, h.log.String(), "idp_one")
	})
	t.Run("R18 WhatIsNotWholeIsNotHeard", func(t *testing.T) {
		heard = nil
		for _, back := range []struct{ query, cookie string }{
			{"?state=s&code=good", ""},
			{"?state=s&code=good&code=better", flowCookie + "=the-flow"},
			{"?state=s&state=t&code=good", flowCookie + "=the-flow"},
			{"?state=%ff&code=good", flowCookie + "=the-flow"},
			{"?state=s&code=good", flowCookie + "=the-flow; " + flowCookie + "=another"},
		} {
			a := h.open("/signin/oidc/idp_one/callback"+back.query, "Cookie", back.cookie)
			requirePage(t, a, 401, "That sign-in did not come to its end")
			require.Equal(t, -1, setCookies(a)[flowCookie].MaxAge)
		}
		require.Nil(t, heard)
		requirePage(t, h.open("/signin/oidc/idp_one/callback?state=s&code=bad", "Cookie", flowCookie+"=the-flow"), 401, "That sign-in did not come to its end")
		a := h.open("/signin/oidc/idp_one/callback?error=%3Cscript%3E&error_description=Call+555", "Cookie", flowCookie+"=the-flow")
		requirePage(t, a, 200, "You are not signed in")
		require.NotContains(t, a.text, "script>")
		require.NotContains(t, a.text, "555")
	})
	t.Run("R63 AnOrganizationsPageShowsItsOwnAndNoOtherWordOfIt", func(t *testing.T) {
		h.waysOf = map[string][]*identityv1.SignInProvider{"org_one": {{Id: "idp_works", DisplayName: "Works"}}}
		a := h.open("/signin/org_one?next=%2Fone")
		requirePage(t, a, 200, "Continue with Works")
		require.Contains(t, a.text, `href="/signin/oidc/idp_works?next=%2fone"`)
		nobody, none := h.open("/signin/org_two"), h.open("/signin/org_two")
		require.Equal(t, none.text, nobody.text)
		require.NotContains(t, nobody.text, "Works")
		require.NotContains(t, h.open("/sign-in").text, "Works")
	})
	t.Run("TheSignInPageOffersThem", func(t *testing.T) {
		h.ways = []*identityv1.SignInProvider{{Id: "idp_one", DisplayName: `<Example>`}}
		a := h.open("/sign-in")
		requirePage(t, a, 200, "Continue with <Example>")
		require.Contains(t, a.text, `href="/signin/oidc/idp_one"`)
	})
}
