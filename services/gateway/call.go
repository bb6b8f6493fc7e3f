package gateway

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

const (
	cookieName   = "__Host-roster"
	maxSecret    = 512
	maxAgent     = 512
	maxLanguages = 128
)

// call is what the edge knows of a request: above, what may pass on to a service; below, what was learned on the
// way. Headers of the request that are not in it reach nobody.
type call struct {
	address    string // the client's
	agent      string
	languages  string
	credential presented
	rest       *rest // of a call to the REST API; nil: a page's

	sent         bool         // a service was asked
	body         error        // why the body could not be read as the method's request
	wantsProblem bool         // errors as RFC 9457
	opened       *http.Cookie // of a session that has just begun
	closed       bool         // the cookie is worth nothing any more
	forget       func(id.Session)

	// For the log.
	route  string // a template, never a path
	reason string // of the refusal
	cause  error  // what failed
	stack  string
}

// presented is the credential that the request shows: one, or none.
type presented struct {
	secret string
	cookie bool
}

// rest is what the headers and the query of an API call say about the request to the method.
type rest struct {
	requestID string
	etag      string
	condition bool // If-Match was sent
	mutation  bool // not GET
	hasBody   bool // the method is one whose request is in the body
	query     url.Values
}

type callKey struct{}

func withCall(ctx context.Context, c *call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

// callFrom returns the call that ctx belongs to; nil for what the gateway does by itself.
func callFrom(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

func (e *edge) newCall(r *http.Request) *call {
	c := &call{
		address:   clientAddress(r, e.TrustedProxies),
		agent:     printable(r.UserAgent(), maxAgent),
		languages: printable(r.Header.Get("Accept-Language"), maxLanguages),
		forget:    e.Forget,

		wantsProblem: accepts(r.Header, problemType),
	}
	if secret, ok := cookieOf(r); ok {
		c.credential = presented{secret, true}
	}
	return c
}

// cookieOf returns the session cookie. Two of them are one that nobody knows: which is the browser's own?
func cookieOf(r *http.Request) (secret string, ok bool) {
	found := r.CookiesNamed(cookieName)
	if len(found) == 0 {
		return "", false
	}
	if len(found) > 1 || len(found[0].Value) > maxSecret {
		return "", true
	}
	return printable(found[0].Value, maxSecret), true
}

var errScheme = fault.New(errorv1.Reason_REASON_UNAUTHENTICATED, "The authorization header must be one `Bearer <session or key>`.")

// bearer reads the Authorization header, which counts for the API only. One request, one credential.
func (c *call) bearer(h http.Header) error {
	values := h.Values("Authorization")
	if len(values) == 0 {
		return nil
	}
	if c.credential.cookie {
		return fault.Invalid("authorization", "comes with a session cookie; send one of the two")
	}
	scheme, secret, _ := strings.Cut(values[0], " ")
	if len(values) > 1 || !strings.EqualFold(scheme, "Bearer") || secret == "" || len(secret) > maxSecret ||
		strings.ContainsAny(secret, " \t") || secret != printable(secret, maxSecret) {
		return errScheme
	}
	c.credential = presented{secret: secret}
	return nil
}

// setCookie puts the outcome of the call into the browser's cookie.
func (c *call) setCookie(h http.Header) {
	switch {
	case c.opened != nil:
		h.Add("Set-Cookie", c.opened.String())
	case c.closed:
		h.Add("Set-Cookie", newCookie("", time.Unix(1, 0), -1).String())
	}
}

// newCookie returns the cookie of a session. Secure also in development: browsers trust http://localhost.
func newCookie(secret string, expires time.Time, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: cookieName, Value: secret, Path: "/", Expires: expires, MaxAge: maxAge,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// note remembers what failed, for the log.
func (c *call) note(err error) {
	if c.cause == nil {
		c.cause = err
	}
}

// clientAddress returns the address of the client: the peer's, or the one that the outermost trusted proxy has
// seen. Only the entries that trusted proxies appended count; a client may send what it likes to the left of them.
func clientAddress(r *http.Request, proxies int) string {
	peer, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		peer = r.RemoteAddr
	}
	if proxies > 0 {
		hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		if proxies <= len(hops) {
			if address, ok := parseHop(hops[len(hops)-proxies]); ok {
				return address
			}
		}
	}
	address, _ := parseHop(peer)
	return address
}

// parseHop reads an entry of X-Forwarded-For; some proxies add the port.
func parseHop(hop string) (string, bool) {
	hop = strings.TrimSpace(hop)
	if with, err := netip.ParseAddrPort(hop); err == nil {
		return with.Addr().Unmap().WithZone("").String(), true
	}
	address, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(hop, "["), "]"))
	if err != nil {
		return "", false
	}
	return address.Unmap().WithZone("").String(), true
}

// printable returns text as a gRPC header may carry it: printable ASCII, at most so many bytes.
func printable(text string, most int) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text[:min(len(text), most)])
}
