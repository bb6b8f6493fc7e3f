package gateway

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

func TestR70CrossOrigin(t *testing.T) {
	t.Parallel()
	h := start(t)
	cookie, _ := h.signedIn("Ada", true)
	foreign := [][]string{
		{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"},
		{"Origin", "http://roster.example"}, {"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"},
	}

	t.Run("R70 AForeignPageChangesNothing", func(t *testing.T) {
		t.Parallel()
		for _, headers := range foreign {
			headers := append([]string{"Cookie", cookieHeader(cookie)}, headers...)
			for _, path := range []string{"/v1/sessions:signOut", "/v1/sessions", acceptURL, "/sign-in", "/sign-out", "/verify", "/invite/accept", "/invite/decline"} {
				a := h.do("POST", path, "", headers...)
				require.Equal(t, 403, a.StatusCode, "%s %s", path, headers)
				require.Equal(t, "CROSS_ORIGIN", a.reason(t))
			}
			require.Equal(t, 403, h.do("PATCH", "/v1/me", `{}`, headers...).StatusCode)
			require.Equal(t, 403, h.do("DELETE", "/v1/sessions/x", "", headers...).StatusCode)
			require.Equal(t, 200, h.do("GET", "/v1/me", "", headers...).StatusCode, "reading is for the browser to forbid")
		}
		require.NotContains(t, h.calls(), "SignOut")
		a := h.do("POST", "/sign-out", "", "Sec-Fetch-Site", "cross-site", "Accept", "text/html")
		require.Equal(t, 403, a.StatusCode)
		require.Contains(t, a.text, "This came from another site", "people get a page")
	})
	t.Run("R70 OurOwnPagesAndProgramsMay", func(t *testing.T) {
		t.Parallel()
		for _, headers := range [][]string{{}, {"Sec-Fetch-Site", "same-origin"}, {"Sec-Fetch-Site", "none"}, {"Origin", publicURL}} {
			require.Equal(t, 200, h.do("POST", previewURL, `{"linkToken":"x"}`, headers...).StatusCode, headers)
		}
	})
	t.Run("R71 NoOtherOriginReadsAnything", func(t *testing.T) {
		t.Parallel()
		for _, headers := range append(foreign, []string{"Origin", publicURL}) {
			for _, method := range []string{"GET", "OPTIONS", "POST"} {
				a := h.do(method, "/v1/me", "", append(headers, "Access-Control-Request-Method", "POST", "Cookie", cookieHeader(cookie))...)
				for name := range a.Header {
					require.False(t, strings.HasPrefix(name, "Access-Control-"), name)
				}
			}
		}
	})
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	t.Run("R73 EveryAnswerHasThem", everyAnswerHasItsHeaders)
	t.Run("R73 APlainDeploymentDoesNotAskForTLS", func(t *testing.T) {
		t.Parallel()
		plain := start(t, func(d *Dependencies) { d.PublicURL = "http://localhost:8080" })
		require.Empty(t, plain.open("/").Header.Get("Strict-Transport-Security"))
	})
}

func everyAnswerHasItsHeaders(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.preview = func(context.Context, *invitationv1.PreviewInvitationRequest) (*invitationv1.PreviewInvitationResponse, error) {
		panic("at the service")
	}
	for _, path := range []string{"/v1/me", "/v1/nothing", "/", "/sign-in", "/invite/x", "/verify/x", "/nothing", "/docs", "/openapi.json", "/asyncapi.json"} {
		a := h.open(path)
		require.Equal(t, "no-store", a.Header.Get("Cache-Control"), path)
		require.Equal(t, "nosniff", a.Header.Get("X-Content-Type-Options"), path)
		require.Equal(t, "no-referrer", a.Header.Get("Referrer-Policy"), path)
		require.Contains(t, a.Header.Get("Content-Security-Policy"), "default-src 'none'", path)
		require.Contains(t, a.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'", path)
		require.Equal(t, "max-age=31536000", a.Header.Get("Strict-Transport-Security"), path)
		require.Regexp(t, `^[0-9a-f]{32}$`, a.Header.Get("X-Request-Id"), path)
		require.NotContains(t, a.text, "panic")
		require.NotContains(t, strings.ReplaceAll(a.text, `<script src="/static/`, ""), "<script", "inline scripts are none of ours")
	}
}

func TestTrace(t *testing.T) {
	t.Parallel()
	h := start(t)
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	ask := func(headers ...string) (answered, service string) {
		a := h.do("POST", previewURL, `{"linkToken":"x"}`, headers...)
		md, _ := h.latest()
		require.Len(t, md.Get("traceparent"), 1)
		return a.Header.Get("X-Request-Id"), strings.Split(md.Get("traceparent")[0], "-")[1]
	}
	for _, c := range []struct {
		name    string
		headers []string
		kept    bool
	}{
		{"ATraceIsContinued", []string{"Traceparent", "00-" + trace + "-00f067aa0ba902b7-01"}, true},
		{"ARequestIdThatIsATraceIdIsOne", []string{"X-Request-Id", trace}, true},
		{"AnotherRequestIdIsNone", []string{"X-Request-Id", "my-request"}, false},
		{"NorIsOneOfTheRightLength", []string{"X-Request-Id", strings.Repeat("z", 32)}, false},
		{"NorZero", []string{"X-Request-Id", strings.Repeat("0", 32)}, false},
		{"NorIsABadTrace", []string{"Traceparent", "00-" + trace + "-xx-01"}, false},
		{"NoneIsMade", nil, false},
	} {
		answered, service := ask(c.headers...)
		require.Len(t, answered, 32, c.name)
		require.Equal(t, answered, service, c.name)
		require.Equal(t, c.kept, answered == trace, c.name)
		require.Equal(t, answered, h.log.last(t)["trace"], c.name)
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	h := start(t)
	for _, c := range []struct{ method, path, route string }{
		{"POST", "/v1/organizations/org_secret/members/acc_secret:disable", "/v1/organizations/{organization_id}/members/{account_id}:disable"},
		{"GET", "/v1/organizations/org_secret/secret", "/v1/organizations/*/*"},
		{"GET", "/invite/secret", "/invite/{token}"},
		{"GET", "/verify/secret", "/verify/{token}"},
		{"GET", "/reset/secret", "/reset/{token}"},
		{"GET", "/unknown/secret", "/*/*"},
		{"GET", "/Invite/secret", "/*/*"},
		{"GET", "/invite/secret/secret", "/invite/*/*"},
		{"POST", "/invite/secret", "/invite/*"},
		{"GET", "/secret%0aforged", "/*"},
		{"SECRET", "/v1/me", "/v1/me"},
		{"GET", "/sign-in?next=secret", "/sign-in"},
		{"GET", "//invite/secret", "/invite/{token}"},
	} {
		h.do(c.method, c.path, "")
		line := h.log.last(t)
		require.Equal(t, c.route, line["route"], c.path)
		require.NotEmpty(t, line["status"])
		require.NotContains(t, h.log.String(), "secret", c.path)
		require.NotContains(t, h.log.String(), "SECRET", c.path)
	}
}

func TestCanary(t *testing.T) {
	t.Parallel()
	t.Run("R84 NothingThatSomebodySendsIsLogged", nothingIsLogged)
}

func nothingIsLogged(t *testing.T) {
	t.Parallel()
	h := start(t)
	const canary = "canary-4f1d"
	h.signIn = func(ctx context.Context, _ *identityv1.CreateSessionRequest) (*identityv1.CreateSessionResponse, error) {
		_, err := h.openSession(ctx, "Ada")
		return &identityv1.CreateSessionResponse{}, err
	}
	h.accept = func(context.Context, *invitationv1.AcceptInvitationRequest) (*invitationv1.AcceptInvitationResponse, error) {
		return nil, fault.New(errorv1.Reason_REASON_INVITATION_MISMATCH, "This is for "+canary+"@example.com.")
	}
	h.decline = func(context.Context, *invitationv1.DeclineInvitationRequest) (*invitationv1.DeclineInvitationResponse, error) {
		panic("no answer")
	}
	form := "token=" + canary + "&password=" + canary + "&display_name=" + canary + "&identifier=" + canary + "&confirmed=yes"
	for _, path := range []string{"/sign-in", "/sign-out", "/verify", "/invite/accept", "/invite/decline"} {
		for _, way := range []string{"new", "sign-in", "me"} {
			h.post(path, form+"&way="+way, "Cookie", cookieHeader(canary))
		}
		h.post(path+"?token="+canary, "")
	}
	for _, path := range []string{"/invite/" + canary, "/verify/" + canary, "/reset/" + canary, "/" + canary, "/v1/" + canary, "/v1/invitations:" + canary, "/v1/sessions/" + canary} {
		h.open(path, "Cookie", cookieHeader(canary), "User-Agent", canary)
		h.do("GET", path, "", "Authorization", "Bearer "+canary)
		h.do("DELETE", path, "", "Authorization", "Bearer "+canary, "Idempotency-Key", canary, "If-Match", canary)
	}
	h.do("POST", "/v1/sessions", `{"email":"`+canary+`@example.com","password":"`+canary+`"}`)
	h.do("POST", acceptURL, `{"linkToken":"`+canary+`","password":"`+canary+`","`+canary+`":1}`)
	h.do("POST", acceptURL, `{"linkToken":"`+canary)
	h.do("POST", acceptURL, `{"linkToken":"`+canary+`"}`, "X-Request-Id", canary, "Traceparent", canary)
	require.Greater(t, strings.Count(h.log.String(), "\n"), 40)
	require.NotContains(t, h.log.String(), canary)
	require.NotContains(t, h.log.String(), "secret-of-")
}

func TestPanics(t *testing.T) {
	t.Parallel()
	log := new(logged)
	e := &edge{Dependencies: Dependencies{PublicURL: publicURL, Log: slog.New(slog.NewJSONHandler(log, nil)), Forget: func(id.Session) {}},
		crossOrigin: http.NewCrossOriginProtection(), crossOriginAPI: http.NewCrossOriginProtection()}
	e.api = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("the inside") })
	e.site = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		panic("the inside")
	})

	t.Run("IsInternalAndKeepsItsWordsHere", func(t *testing.T) {
		w := httptest.NewRecorder()
		e.ServeHTTP(w, httptest.NewRequest("GET", "/v1/me", nil))
		require.Equal(t, 500, w.Code)
		require.NotContains(t, w.Body.String(), "inside")
		a := answer{w.Result(), w.Body.String()}
		require.Equal(t, "INTERNAL", a.reason(t))
		require.Contains(t, w.Body.String(), a.Header.Get("X-Request-Id"))
		line := log.last(t)
		require.Equal(t, "ERROR", line["level"])
		require.Equal(t, "panic: the inside", line["error"])
		require.Contains(t, line["stack"], "ServeHTTP")
	})
	t.Run("HalfAnAnswerIsCut", func(t *testing.T) {
		require.PanicsWithValue(t, http.ErrAbortHandler, func() { //nolint:testifylint // the very value
			e.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		})
	})
}

func TestLinks(t *testing.T) {
	t.Parallel()
	t.Run("R16 TheirOriginIsThatOfTheConfiguration", theirOriginIsConfigured)
}

func theirOriginIsConfigured(t *testing.T) {
	t.Parallel()
	h := start(t)
	id := regexp.MustCompile(`[0-9a-f]{32}|name="request_id" value="\w+"`)
	plain := func(path string, headers ...string) string {
		r := h.request("GET", path, "", append(headers, "Accept", "text/html")...)
		for i := 0; i < len(headers); i += 2 {
			if headers[i] == "Host" {
				r.Host = headers[i+1]
			}
		}
		a := h.send(r)
		require.NotContains(t, a.Header.Get("Location"), "evil")
		return id.ReplaceAllString(a.text, "")
	}
	for _, path := range []string{"/", "/invite/x", "/verify/x", "/sign-in", "/docs", "/openapi.json", "/asyncapi.json", "/nothing", "//evil.example/..", "/sign-in?next=https://evil.example"} {
		want := plain(path)
		require.NotContains(t, want, "evil.example")
		for _, headers := range [][]string{{"Host", "evil.example"}, {"X-Forwarded-Host", "evil.example"}, {"X-Forwarded-Proto", "ftp"},
			{"Forwarded", "host=evil.example"}, {"Origin", "https://evil.example"}, {"Referer", "https://evil.example/"}, {"X-Original-Url", "/evil.example"}} {
			require.Equal(t, want, plain(path, headers...), "%s %s", path, headers)
		}
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	h := start(t)
	conns := make(map[string]*grpc.ClientConn)
	for _, service := range services {
		conns[service.role] = h.dial("gateway", service.role)
	}
	for _, url := range []string{"", "roster.example", "https://roster.example/", "https://roster.example/app", "ftp://roster.example", "https://", "https://a@roster.example", "https://roster.example?x"} {
		_, err := New(Dependencies{Conns: conns, PublicURL: url})
		require.Error(t, err, url)
	}
	_, err := New(Dependencies{Conns: conns, PublicURL: publicURL, TrustedProxies: -1})
	require.Error(t, err)
	_, err = New(Dependencies{Conns: map[string]*grpc.ClientConn{"identity": conns["identity"]}, PublicURL: publicURL})
	require.ErrorContains(t, err, "membership")
	for _, app := range []string{"*", "null", "https://*.example", "https://app.example/", "https://App.example", "app.example", "http://app.example", "https://a@app.example", ""} {
		_, err := New(Dependencies{Conns: conns, PublicURL: publicURL, AppOrigins: []string{app}})
		require.Error(t, err, app)
	}
	_, err = New(Dependencies{Conns: conns, PublicURL: publicURL, AppOrigins: []string{"https://app.example", "https://app.example:8443"}})
	require.NoError(t, err)
}

func TestDevMail(t *testing.T) {
	t.Parallel()
	h := start(t, func(d *Dependencies) {
		d.DevMail = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "mail "+r.URL.Path) })
	})
	require.Equal(t, "mail /dev/mail", h.open("/dev/mail").text)
	require.Equal(t, "mail /dev/mail/1", h.open("/dev/mail/1").text)
	require.Contains(t, h.open("/").text, "/dev/mail")
	require.Equal(t, 404, start(t).open("/dev/mail").StatusCode)
	require.NotContains(t, start(t).open("/").text, "/dev/mail")
}
