package gateway

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/rosterhq/roster/pkg/fault"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

// FuzzHeaders reads what a request's headers say, which goes on to services as headers.
func FuzzHeaders(f *testing.F) {
	f.Add("__Host-roster=rst_x", "Bearer rst_x", "k-1", `W/"v1"`, "Firefox/140 ä", "10.0.0.1, 198.51.100.7", "text/html;q=0.1")
	f.Add("__Host-roster=a; __Host-roster=b", "Basic x", "\x00", "*", "\r\nx: y", "[::1]:80", ";;q=")
	f.Fuzz(func(t *testing.T, cookie, authorization, key, match, agent, forwarded, accept string) {
		r := httptest.NewRequest(http.MethodPost, "/v1/me", nil)
		r.Header = http.Header{"Cookie": {cookie}, "Authorization": {authorization}, "Idempotency-Key": {key}, "If-Match": {match},
			"User-Agent": {agent}, "Accept-Language": {agent}, "X-Forwarded-For": {forwarded}, "Accept": {accept}, "Content-Type": {accept}}
		c := (&edge{Dependencies: Dependencies{TrustedProxies: 1}}).newCall(r)
		said := []string{c.address, c.agent, c.languages, c.credential.secret}
		if c.bearer(r.Header) == nil {
			said = append(said, c.credential.secret)
		}
		if rest, err := restOf(r); err == nil {
			said = append(said, rest.requestID, rest.etag)
		}
		isJSON(r.Header)
		for _, text := range said {
			require.LessOrEqual(t, len(text), max(maxSecret, len(key), len(match)))
			require.Equal(t, printable(text, len(text)), text, "it stays one printable line")
		}
	})
}

// FuzzBody reads a body as a request, here the deepest that there is: a policy.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{
		`{"policy":{"groups":true,"inviteTtl":"604800s"},"updateMask":"groups"}`, `{"policy":{"inviteTtl":"x"}}`, `{"updateMask":"a..b"}`, `{} {}`, `[]`, `{"x":1}`, `{"policy":{"policy":1}}`, "\xff",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c := new(call)
		var request membershipv1.UpdatePolicyRequest
		err := newMarshaler().NewDecoder(&body{text: text, call: c}).Decode(&request)
		if err == nil || c.body == nil {
			return
		}
		refusal := c.unread(err)
		require.NotNil(t, fault.From(refusal), "%v", err)
		require.NotContains(t, refusal.Error(), "proto")
		require.LessOrEqual(t, len(refusal.Error()), 400)
	})
}

// FuzzRedact writes a path into a log.
func FuzzRedact(f *testing.F) {
	for _, seed := range []string{"/invite/secret", "//invite/secret", "/v1/organizations/x", "\r\n", strings.Repeat("/", 100), ""} {
		f.Add(seed)
	}
	e := &edge{words: map[string]bool{"v1": true, "invite": true}}
	f.Fuzz(func(t *testing.T, path string) {
		require.Regexp(t, `^(/(\*|v1|invite|)){1,10}$`, e.redact(path))
	})
}

// FuzzForm reads a form, of a page or of a service that asks about a token.
func FuzzForm(f *testing.F) {
	for _, seed := range []string{"token=rst_x&token_type_hint=access_token", "token=a&token=b", "token=%ff", "%zz", "a;b", "=", strings.Repeat("x=1&", 2000)} {
		f.Add("application/x-www-form-urlencoded", []byte(seed))
	}
	f.Add("Application/X-WWW-Form-URLEncoded ; charset=x", []byte("token=x"))
	f.Fuzz(func(t *testing.T, media string, text []byte) {
		r := httptest.NewRequest(http.MethodPost, "/oauth/introspect", strings.NewReader(string(text)))
		r.Header = http.Header{"Content-Type": {media}}
		values, err := (&site{}).form(httptest.NewRecorder(), r)
		if err != nil {
			require.NotNil(t, fault.From(err), "%v", err)
			return
		}
		require.LessOrEqual(t, len(text), maxForm)
		for _, all := range values {
			for _, value := range all {
				require.True(t, utf8.ValidString(value))
			}
		}
	})
}

// FuzzBroughtBack reads what a browser comes back with from an identity provider.
func FuzzBroughtBack(f *testing.F) {
	f.Add("state=x&code=y&iss=https%3A%2F%2Fid.example", "flow.L2RvY3M")
	f.Add("state=%ff&code=y", "flow")
	f.Add("state=x&state=y", "")
	f.Add("error=access_denied&error_description=%00", "flow.//evil")
	s := &site{edge: &edge{Dependencies: Dependencies{AppOrigins: []string{app}}}}
	f.Fuzz(func(t *testing.T, query, kept string) {
		u := url.URL{RawQuery: query}
		brought, next, ok := s.broughtBack(u.Query(), (&http.Request{Header: http.Header{"Cookie": {flowCookie + "=" + kept}}}).CookiesNamed(flowCookie))
		if !ok {
			return
		}
		_, err := proto.Marshal(brought)
		require.NoError(t, err, "it can be sent")
		require.LessOrEqual(t, len(brought.GetFlow()), maxFlow)
		require.Equal(t, next, s.next(next), "it leads nowhere else")
	})
}
