package e2e

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/rosterhq/roster/pkg/fault"
	accessv1 "github.com/rosterhq/roster/pkg/gen/roster/access/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

// browse sends one HTTP request as it is.
func browse(t *testing.T, method, path, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, suite.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(text)
}

// browser signs somebody in as a browser does, and returns its session cookie.
func browser(t *testing.T, email string) *http.Cookie {
	t.Helper()
	resp, text := browse(t, http.MethodPost, "/v1/sessions", `{"email":"`+email+`","password":"`+password+`"}`)
	require.Equal(t, 200, resp.StatusCode, text)
	cookies := resp.Cookies()
	require.Len(t, cookies, 1)
	require.NotContains(t, text, cookies[0].Value)
	return cookies[0]
}

// route is the REST route of a method, with something in the place of every id.
func (m method) route() (verb, path string) {
	rule, _ := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
	for verb, path := range map[string]string{
		http.MethodGet: rule.GetGet(), http.MethodPost: rule.GetPost(), http.MethodPut: rule.GetPut(), http.MethodPatch: rule.GetPatch(), http.MethodDelete: rule.GetDelete(),
	} {
		if path == "" {
			continue
		}
		for strings.Contains(path, "{") {
			begin, end := strings.IndexByte(path, '{'), strings.IndexByte(path, '}')
			path = path[:begin] + "x" + path[end+1:]
		}
		return verb, path
	}
	return "", ""
}

// TestWebEdge is about what stands between strangers and the services.
func TestWebEdge(t *testing.T) {
	t.Parallel()

	t.Run("R40 a browser's session is in a cookie and nowhere else", func(t *testing.T) {
		t.Parallel()
		ada := signUp(t, "REST")
		cookie := browser(t, ada.Email)
		require.Equal(t, "__Host-roster", cookie.Name)
		require.True(t, cookie.Secure && cookie.HttpOnly)
		require.Equal(t, http.SameSiteLaxMode, cookie.SameSite)
		require.Equal(t, "/", cookie.Path)
		require.Empty(t, cookie.Domain)
		me := func(headers ...string) int {
			resp, _ := browse(t, http.MethodGet, "/v1/me", "", headers...)
			return resp.StatusCode
		}
		require.Equal(t, 200, me("Cookie", cookie.Name+"="+cookie.Value))
		require.Equal(t, 401, me("Authorization", "Bearer "+cookie.Value))
		require.Equal(t, 401, me("Cookie", cookie.Name+"="+ada.Token), "a token is no cookie")
		require.Equal(t, 401, me("Cookie", "roster="+cookie.Value))
		require.Equal(t, 400, me("Cookie", cookie.Name+"="+cookie.Value, "Authorization", "Bearer "+ada.Token))
		_, err := connect("gRPC", cookie.Value).GetMe(t.Context(), &identityv1.GetMeRequest{})
		refused(t, err, errorv1.Reason_REASON_UNAUTHENTICATED)
		_, err = connect("gRPC", "").CreateSession(t.Context(), &identityv1.CreateSessionRequest{
			Email: ada.Email, Password: password, Delivery: identityv1.Delivery_DELIVERY_COOKIE})
		refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		resp, _ := browse(t, http.MethodGet, "/v1/me?access_token="+ada.Token, "")
		require.Equal(t, 400, resp.StatusCode)
	})

	t.Run("R57 what is not exactly the name of a method is none", func(t *testing.T) {
		t.Parallel()
		ada := signUp(t, "gRPC")
		request, answer := &identityv1.GetMeRequest{}, &identityv1.GetMeResponse{}
		require.NoError(t, wire("gRPC", ada.Token).Invoke(t.Context(), "/roster.identity.v1.AccountService/GetMe", request, answer))
		for _, name := range []string{
			"/roster.identity.v1.AccountService/getMe", "/roster.identity.v1.AccountService/GetMe/", "//roster.identity.v1.AccountService/GetMe",
			"/roster.identity.v1.accountservice/GetMe", "/roster.identity.v1.AccountService/", "/roster.identity.v1.AccountService/GetMe%20",
		} {
			err := wire("gRPC", ada.Token).Invoke(t.Context(), name, request, answer)
			refused(t, err, errorv1.Reason_REASON_ROUTE_NOT_FOUND)
		}
		for _, malformed := range []string{"roster.identity.v1.AccountService/GetMe", "/GetMe"} {
			err := wire("gRPC", ada.Token).Invoke(t.Context(), malformed, request, answer)
			require.Equal(t, codes.Unimplemented, status.Code(err), malformed)
		}
		for _, path := range []string{"/roster.identity.v1.AccountService/GetMe", "/V1/me", "/v1/me/", "/v1//me", "/v1/ME", "/v1/../v1/me", "/v1/me;x", "/v1/%2e/me"} {
			resp, _ := browse(t, http.MethodGet, path, "", "Authorization", "Bearer "+ada.Token)
			require.Equal(t, 404, resp.StatusCode, path)
		}
	})

	t.Run("R57 what services ask each other nobody else may ask", func(t *testing.T) {
		t.Parallel()
		ada, asked := signUp(t, "gRPC"), 0
		for _, m := range methods() {
			if m.rule.GetCaller() != accessv1.Rule_CALLER_SERVICE {
				continue
			}
			asked++
			require.False(t, m.over("REST"), m.FullName())
			for _, token := range []string{"", ada.Token, suite.operator} {
				_, err := m.call(t, wire("gRPC", token), nil)
				require.Contains(t, []errorv1.Reason{errorv1.Reason_REASON_CALLER_REFUSED, errorv1.Reason_REASON_ROUTE_NOT_FOUND}, fault.ReasonOf(err), "%s: %v", m.FullName(), err)
			}
		}
		require.Greater(t, asked, 10)
	})

	t.Run("R60 too much is refused", func(t *testing.T) {
		t.Parallel()
		ada := signUp(t, "gRPC")
		large := strings.Repeat("x", 5<<20)
		_, err := ada.UpdateMe(t.Context(), &identityv1.UpdateMeRequest{DisplayName: large})
		require.Equal(t, codes.ResourceExhausted, status.Code(err))
		resp, _ := browse(t, http.MethodPatch, "/v1/me", `{"displayName":"`+large+`"}`, "Authorization", "Bearer "+ada.Token)
		require.Equal(t, 413, resp.StatusCode)
		resp, _ = browse(t, http.MethodGet, "/v1/me", "", "X-Large", large[:64<<10])
		require.Equal(t, 431, resp.StatusCode)
	})

	t.Run("R70 a page of another origin changes nothing, by whatever method", func(t *testing.T) {
		t.Parallel()
		ada := signUp(t, "REST")
		cookie := browser(t, ada.Email)
		reads := make(map[string]bool)
		for _, m := range methods() {
			if verb, path := m.route(); verb == http.MethodGet {
				reads[path] = true
			}
		}
		changing := 0
		for _, m := range methods() {
			verb, path := m.route()
			if verb == "" || verb == http.MethodGet {
				continue
			}
			changing++
			for _, from := range [][]string{{"Origin", "https://evil.example"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site", "Origin", "null"}} {
				resp, text := browse(t, verb, path, "", append(from, "Cookie", cookie.Name+"="+cookie.Value)...)
				require.Equal(t, 403, resp.StatusCode, m.FullName())
				require.Contains(t, text, "CROSS_ORIGIN")
			}
			if verb != http.MethodDelete {
				resp, _ := browse(t, verb, path, "a=b", "Content-Type", "text/plain", "Cookie", cookie.Name+"="+cookie.Value)
				require.Equal(t, 415, resp.StatusCode, m.FullName())
			}
			resp, _ := browse(t, http.MethodGet, path, "", "X-HTTP-Method-Override", verb, "Cookie", cookie.Name+"="+cookie.Value)
			require.True(t, reads[path] || resp.StatusCode >= 400, "%s by GET", m.FullName())
		}
		require.Greater(t, changing, 50)
		resp, _ := browse(t, http.MethodGet, "/v1/me", "", "Cookie", cookie.Name+"="+cookie.Value)
		require.Equal(t, 200, resp.StatusCode, "still signed in")
	})

	t.Run("R71 the operator's own apps may read and write, and no other page", func(t *testing.T) {
		t.Parallel()
		cookie := browser(t, signUp(t, "REST").Email)
		from := func(origin string) (*http.Response, string) {
			return browse(t, http.MethodPatch, "/v1/me", `{"displayName":"Ada"}`, "Origin", origin, "Sec-Fetch-Site", "same-site", "Cookie", cookie.Name+"="+cookie.Value)
		}
		resp, text := from(appOrigin)
		require.Equal(t, 200, resp.StatusCode, text)
		require.Equal(t, appOrigin, resp.Header.Get("Access-Control-Allow-Origin"))
		require.Equal(t, "Origin", resp.Header.Get("Vary"))
		for _, origin := range []string{"null", "https://evil.example", appOrigin + ".evil.example", strings.Replace(appOrigin, "https", "http", 1)} {
			resp, _ := from(origin)
			require.Equal(t, 403, resp.StatusCode, origin)
			require.Empty(t, resp.Header.Get("Access-Control-Allow-Origin"))
		}
	})

	t.Run("R72 signing in leads to a path or an app of ours", func(t *testing.T) {
		t.Parallel()
		ada := signUp(t, "REST")
		for next, want := range map[string]string{"/docs": "/docs", appOrigin + "/in": appOrigin + "/in", "//evil.example": "/", "https:/evil.example": "/", "/%09/evil.example": "/"} {
			form := strings.NewReplacer("%", "%25", "/", "%2F", ":", "%3A").Replace(next)
			resp, _ := browse(t, http.MethodPost, "/sign-in", "identifier="+ada.Email+"&password="+strings.ReplaceAll(password, " ", "+")+"&next="+form,
				"Content-Type", "application/x-www-form-urlencoded")
			require.Equal(t, 303, resp.StatusCode)
			require.Equal(t, want, resp.Header.Get("Location"), next)
		}
	})

	t.Run("R73 every answer says what browsers may do with it, and no refusal says how we are made", func(t *testing.T) {
		t.Parallel()
		ada := signUp(t, "REST")
		for _, m := range methods() {
			verb, path := m.route()
			if verb == "" {
				continue
			}
			if m.rule.GetCaller() == accessv1.Rule_CALLER_ANYONE {
				continue // their refusals are the tests' of each
			}
			resp, text := browse(t, verb, path, "", "Authorization", "Bearer "+ada.Token)
			require.GreaterOrEqual(t, 500, resp.StatusCode, "%s: %s", m.FullName(), text)
			require.NotEqual(t, 500, resp.StatusCode, "%s: %s", m.FullName(), text)
			for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"} {
				require.Equal(t, want, resp.Header.Get(name), m.FullName())
			}
			require.Contains(t, resp.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'")
			if resp.StatusCode < 400 {
				continue
			}
			for _, inner := range []string{"SQLSTATE", "pgx", "goroutine", "rpc error", ".go:", "127.0.0.1", "roster.identity.v1", "roster.membership.v1", "proto:"} {
				require.NotContains(t, text, inner, m.FullName())
			}
		}
	})

	scenario(t, "R74 a page token goes on with the list that it is of, for whom it was made, and nothing else", func(t *testing.T, over string) {
		host, other := signUp(t, over), signUp(t, over)
		org, token, values := scene(t, "owner", host, signUp(t, over), other)
		values["permission"] = "org.read"
		conn := wire(over, token)
		first, err := org.owner.ListPeople(t.Context(), &membershipv1.ListPeopleRequest{OrganizationId: org.ID, PageSize: 1})
		require.NoError(t, err)
		made := first.GetNextPageToken()
		require.NotEmpty(t, made)
		flipped := []byte(made)
		flipped[len(flipped)/2] ^= 1
		lists := 0
		for _, m := range methods() {
			field := m.Input().Fields().ByName("page_token")
			if field == nil || !m.over(over) {
				continue
			}
			lists++
			for _, forged := range []string{"x", "!", "1", "eyJhIjoxfQ", "' OR 1=1 --", string(flipped), made + "A", made[:len(made)-4], made} {
				if forged == made && m.Name() == "ListPeople" {
					continue
				}
				values["page_token"] = forged
				_, err := m.call(t, conn, values)
				require.Equal(t, errorv1.Reason_REASON_PAGE_TOKEN_INVALID, fault.ReasonOf(err), "%s, %q: %v", m.Name(), forged, err)
			}
		}
		require.GreaterOrEqual(t, lists, 10)
		next := func(by *person, in, query string) error {
			_, err := by.ListPeople(t.Context(), &membershipv1.ListPeopleRequest{OrganizationId: in, PageSize: 1, Query: query, PageToken: made})
			return err
		}
		require.NoError(t, next(org.owner, org.ID, ""))
		refused(t, next(org.owner, values["spare"], ""), errorv1.Reason_REASON_PAGE_TOKEN_INVALID)
		refused(t, next(org.owner, org.ID, "a"), errorv1.Reason_REASON_PAGE_TOKEN_INVALID)
		refused(t, next(other, org.ID, ""), errorv1.Reason_REASON_PAGE_TOKEN_INVALID)
	})

	scenario(t, "R75 what changes a profile gives no power", func(t *testing.T, over string) {
		org, token, values := scene(t, "admin", signUp(t, over), signUp(t, over), signUp(t, over))
		changes := []string{"UpdateMe", "UpdateMember", "UpdateOrganization", "UpdateGroup", "UpdateProject"}
		power := []string{
			"role", "roles", "permissions", "state", "status", "owner", "owner_id", "owner_account_id", "verified", "email_verified", "emails", "managed", "managed_by",
			"seats", "seat_id", "limit", "id", "create_time", "session_epoch", "factors", "password",
		}
		people := org.people(t, org.owner)
		me, err := connect(over, token).GetMe(t.Context(), &identityv1.GetMeRequest{})
		require.NoError(t, err)
		found := 0
		for _, m := range methods() {
			if !slices.Contains(changes, string(m.Name())) {
				continue
			}
			found++
			for _, word := range power {
				require.Nil(t, m.Input().Fields().ByName(protoreflect.Name(word)), "%s takes %s", m.Name(), word)
				if mask := m.Input().Fields().ByName("update_mask"); mask != nil {
					request := messageOf(t, m.Input())
					fill(request.ProtoReflect(), values)
					request.ProtoReflect().Set(mask, protoreflect.ValueOfMessage((&fieldmaskpb.FieldMask{Paths: []string{word}}).ProtoReflect()))
					err := wire(over, token).Invoke(t.Context(), m.path(), request, messageOf(t, m.Output()))
					require.Equal(t, errorv1.Reason_REASON_VALIDATION_FAILED, fault.ReasonOf(err), "%s, %s: %v", m.Name(), word, err)
				}
				if over == "REST" {
					verb, path := m.route()
					resp, text := browse(t, verb, path, `{"displayName":"Eve","`+word+`":"owner"}`, "Authorization", "Bearer "+token)
					require.Equal(t, 400, resp.StatusCode, "%s, %s", m.Name(), word)
					require.Contains(t, text, "VALIDATION_FAILED")
				}
			}
		}
		require.Equal(t, len(changes), found)
		after, err := connect(over, token).GetMe(t.Context(), &identityv1.GetMeRequest{})
		require.NoError(t, err)
		require.True(t, proto.Equal(me.GetAccount(), after.GetAccount()))
		require.Len(t, org.people(t, org.owner), len(people))
		for i, p := range org.people(t, org.owner) {
			require.Equal(t, people[i].GetRole(), p.GetRole())
			require.Equal(t, people[i].GetState(), p.GetState())
		}
	})
}
