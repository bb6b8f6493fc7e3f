package gateway

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const app = "https://app.example"

func ofApps(d *Dependencies) { d.AppOrigins = []string{app, "https://admin.example:8443"} }

// TestApps is about pages of other origins that the operator trusts, and of those that nobody does.
func TestApps(t *testing.T) {
	t.Parallel()
	h := start(t, ofApps)
	cookie, _ := h.signedIn("Ada", true)
	ask := func(method, path, origin string, more ...string) answer {
		return h.do(method, path, "", append([]string{"Origin", origin, "Sec-Fetch-Site", "same-site", "Cookie", cookieHeader(cookie)}, more...)...)
	}

	t.Run("R71 AnAppReadsAndWritesTheAPI", func(t *testing.T) {
		t.Parallel()
		for _, origin := range []string{app, "https://admin.example:8443"} {
			a := ask("GET", "/v1/me", origin)
			require.Equal(t, 200, a.StatusCode)
			require.Equal(t, []string{origin}, a.Header.Values("Access-Control-Allow-Origin"))
			require.Equal(t, "true", a.Header.Get("Access-Control-Allow-Credentials"))
			require.Equal(t, "Origin", a.Header.Get("Vary"))
			require.NotEqual(t, 403, ask("PATCH", "/v1/me", origin).StatusCode)
			a = ask("GET", "/v1/nothing", origin)
			require.Equal(t, 404, a.StatusCode)
			require.Equal(t, origin, a.Header.Get("Access-Control-Allow-Origin"), "it may read why not, too")
		}
	})
	t.Run("R71 ItsBrowserHearsWhatItMaySend", func(t *testing.T) {
		t.Parallel()
		a := ask("OPTIONS", "/v1/sessions:signOut", app, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "idempotency-key")
		require.Equal(t, 204, a.StatusCode)
		require.Contains(t, a.Header.Get("Access-Control-Allow-Methods"), "POST")
		require.Contains(t, a.Header.Get("Access-Control-Allow-Headers"), "Idempotency-Key")
		require.Empty(t, a.text)
		require.NotContains(t, h.calls(), "SignOut")
	})
	t.Run("R71 NobodyElseDoes", func(t *testing.T) {
		t.Parallel()
		for _, origin := range []string{
			"null", "*", "https://evil.example", "https://app.example.evil.example", "https://evil-app.example", "http://app.example", "https://app.example:444",
			"https://APP.example", "https://app.example/", "https://app.example https://evil.example", "https://sub.app.example", "app.example",
		} {
			for _, method := range []string{"GET", "OPTIONS", "POST"} {
				a := ask(method, "/v1/me", origin, "Access-Control-Request-Method", "POST")
				for name := range a.Header {
					require.False(t, strings.HasPrefix(name, "Access-Control-"), "%s %s %s", method, origin, name)
				}
				require.Equal(t, "Origin", a.Header.Get("Vary"))
			}
			require.Equal(t, 403, ask("POST", "/v1/sessions:signOut", origin).StatusCode, origin)
		}
		a := ask("GET", "/v1/me", app, "Origin", app)
		require.Empty(t, a.Header.Get("Access-Control-Allow-Origin"), "two origins are none")
	})
	t.Run("R71 PagesAreForNoApp", func(t *testing.T) {
		t.Parallel()
		for _, path := range []string{"/sign-in", "/sign-out", "/verify", "/invite/accept"} {
			require.Equal(t, 403, ask("POST", path, app).StatusCode, path)
		}
		require.Empty(t, ask("GET", "/", app).Header.Get("Access-Control-Allow-Origin"))
	})
}

func TestNext(t *testing.T) {
	t.Parallel()
	h := start(t, ofApps)
	accepting(h)

	t.Run("R72 ItIsAPathOrAnApp", func(t *testing.T) {
		t.Parallel()
		e := &edge{Dependencies: Dependencies{AppOrigins: []string{app}}}
		for given, want := range map[string]string{
			"/": "/", "/docs": "/docs", "/organizations/org_a/seats?tab=1&x=%2F%2Fy": "/organizations/org_a/seats?tab=1&x=%2F%2Fy",
			"/a%20b": "/a%20b", "/docs#here": "/docs", app: app, app + "/in?x=1": app + "/in?x=1", "": "/",
		} {
			require.Equal(t, want, e.next(given), given)
		}
		for _, evil := range []string{
			"//evil.example", "///evil.example", `/\evil.example`, `\\evil.example`, `/\/evil.example`, "https://evil.example", "https:evil.example", "https:/evil.example",
			"https:///evil.example", "HTTPS://app.example", "javascript:alert(1)", "data:text/html,x", "evil.example", "docs", "?x", "#x", ".", "../docs",
			"/%2f%2fevil.example", "/%2Fevil.example", "/%5cevil.example", "/%252f%252fevil.example", "/a/..//evil.example", "/%2e%2e/x", "/a//b",
			"/\tevil", "/\r\nSet-Cookie: x=1", "/%0d%0aSet-Cookie:%20x=1", "/%09/evil.example", " /docs", "/docs ", "\x00/docs", "/\u2028x", "/\xff", "/%ff", "/%zz",
			app + "@evil.example", "https://user@app.example/", "https://app.example:pass@evil.example", app + ".evil.example", app + ":444", "http://app.example",
			app + `\@evil.example`, app + "//evil.example", "https://app.example%2f@evil.example", "//app.example", "/" + strings.Repeat("x", 3000),
		} {
			require.Equal(t, "/", e.next(evil), "%q", evil)
		}
	})
	t.Run("R72 SigningInLeadsThereAndNowhereElse", func(t *testing.T) {
		t.Parallel()
		for next, want := range map[string]string{"/docs": "/docs", app + "/in": app + "/in", "//evil.example": "/", "https://evil.example": "/"} {
			shown := h.open("/sign-in?next=" + url.QueryEscape(next))
			require.Contains(t, shown.text, `name="next" value="`+want+`"`)
			require.NotContains(t, shown.text, "evil.example")
			leads := strings.HasPrefix(want, app)
			require.Equal(t, leads, strings.Contains(shown.Header.Get("Content-Security-Policy"), "form-action 'self' "+app), next)

			a := h.post("/sign-in", "identifier=ada&password=good&next="+url.QueryEscape(next))
			require.Equal(t, 303, a.StatusCode)
			require.Equal(t, want, a.Header.Get("Location"))
			again := h.post("/sign-in", "identifier=ada&password=wrong&next="+url.QueryEscape(next))
			require.Contains(t, again.text, `name="next" value="`+want+`"`, "it stays when the password was wrong")
		}
		a := h.post("/sign-in?next=/docs", "identifier=ada&password=good")
		require.Equal(t, "/", a.Header.Get("Location"), "the form says where, not the address")
	})
	t.Run("R72 NoOtherWordLeadsAnywhere", func(t *testing.T) {
		t.Parallel()
		evil := url.QueryEscape("https://evil.example/")
		for _, word := range []string{"next", "redirect", "redirect_uri", "return_to", "returnTo", "continue", "url", "to", "goto", "destination", "callback", "RelayState"} {
			for _, path := range []string{"/", "/sign-in", "/sign-out", "/sign-in/code", "/verify", "/verify/x", "/reset", "/reset/x", "/forgot", "/invite/x", "/invite/accept", "/invite/decline"} {
				for _, method := range []string{http.MethodGet, http.MethodPost} {
					var a answer
					if method == http.MethodGet {
						a = h.open(path + "?" + word + "=" + evil)
					} else {
						a = h.post(path+"?"+word+"="+evil, "identifier=ada&password=good&"+word+"="+evil)
					}
					require.NotContains(t, a.Header.Get("Location"), "evil", "%s %s %s", method, path, word)
					require.NotContains(t, a.text, "evil.example", "%s %s %s", method, path, word)
					require.Empty(t, a.Header.Get("Refresh"))
				}
			}
		}
	})
}

func FuzzNext(f *testing.F) {
	for _, seed := range []string{"/", "/docs?x=1", app + "/in", "//evil.example", `/\evil.example`, "/%2f%2fevil", "https://app.example@evil.example", "/\t/evil"} {
		f.Add(seed)
	}
	e := &edge{Dependencies: Dependencies{AppOrigins: []string{app}}}
	f.Fuzz(func(t *testing.T, text string) {
		next := e.next(text)
		base, err := url.Parse(publicURL + "/sign-in")
		require.NoError(t, err)
		to, err := base.Parse(next)
		require.NoError(t, err)
		require.Nil(t, to.User)
		require.Contains(t, []string{publicURL, app}, to.Scheme+"://"+to.Host)
		require.Equal(t, strings.HasPrefix(next, "/"), to.Host == base.Host)
		require.NotRegexp(t, `^/[/\\]|[\x00-\x20\x7f]`, next)
		require.Equal(t, next, e.next(next), "it stays")
	})
}

func FuzzForwardedHop(f *testing.F) {
	for _, seed := range []string{"198.51.100.7", "198.51.100.7:80", "[2001:db8::1]:80", "2001:db8::1%eth0", "unknown", "::ffff:192.0.2.1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		address, ok := parseHop(text)
		require.Equal(t, ok, address != "")
		if ok {
			again, ok := parseHop(address)
			require.True(t, ok)
			require.Equal(t, address, again)
			require.Equal(t, address, printable(address, len(address)))
		}
	})
}
