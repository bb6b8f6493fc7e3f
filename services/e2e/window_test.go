package e2e

import (
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// window is one of a browser, a session of its own. It keeps cookies by host, Secure ones also without TLS, as browsers do on this machine, and follows links and forms.
type window struct {
	*testing.T
	cookies map[string]map[string]string
}

func newWindow(t *testing.T) *window {
	return &window{T: t, cookies: make(map[string]map[string]string)}
}

// seen is a page.
type seen struct {
	at     *url.URL
	status int
	text   string
}

// do makes one request, and follows no redirect.
func (b *window) do(method, address string, form url.Values) (*http.Response, string) {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), method, address, strings.NewReader(form.Encode()))
	require.NoError(b, err)
	req.Header.Set("Accept", "text/html")
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	jar := b.cookies[req.URL.Host]
	for name, value := range jar {
		req.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	answer, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(b, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(b, err)
	if jar == nil {
		jar = make(map[string]string)
		b.cookies[req.URL.Host] = jar
	}
	for _, set := range answer.Cookies() {
		if set.MaxAge < 0 || set.Value == "" {
			delete(jar, set.Name)
			continue
		}
		jar[set.Name] = set.Value
	}
	return answer, string(text)
}

// visit goes on until there is a page. Where it is not to go any more, until says.
func (b *window) visit(method, address string, form url.Values, until func(*url.URL) bool) seen {
	b.Helper()
	for range 15 {
		at, err := url.Parse(address)
		require.NoError(b, err)
		if until != nil && until(at) {
			return seen{at: at}
		}
		answer, text := b.do(method, address, form)
		if answer.StatusCode < 300 || answer.StatusCode > 399 {
			return seen{at, answer.StatusCode, text}
		}
		next, err := at.Parse(answer.Header.Get("Location"))
		require.NoError(b, err)
		method, form, address = http.MethodGet, nil, next.String()
	}
	require.Fail(b, "too many redirects")
	return seen{}
}

var (
	formAction = regexp.MustCompile(`<form[^>]*action="([^"]*)"`)
	hidden     = regexp.MustCompile(`<input[^>]*type="hidden"[^>]*name="([^"]*)"[^>]*value="([^"]*)"`)
)

// submit sends the first form of a page, with these fields.
func (b *window) submit(p seen, fields url.Values, until func(*url.URL) bool) seen {
	b.Helper()
	found := formAction.FindStringSubmatch(p.text)
	require.NotNil(b, found, p.text)
	to, err := p.at.Parse(html.UnescapeString(found[1]))
	require.NoError(b, err)
	form := url.Values{}
	for _, field := range hidden.FindAllStringSubmatch(p.text, -1) {
		form.Set(html.UnescapeString(field[1]), html.UnescapeString(field[2]))
	}
	for name, values := range fields {
		form[name] = values
	}
	return b.visit(http.MethodPost, to.String(), form, until)
}

// me is the session that the browser has with the suite; empty: none.
func (b *window) session() string {
	at, err := url.Parse(suite.URL)
	require.NoError(b, err)
	return b.cookies[at.Host]["__Host-roster"]
}
