package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What pages of the deployment's apps may send, and may read of an answer.
const (
	corsMethods = "GET, POST, PUT, PATCH, DELETE"
	corsHeaders = "Authorization, Content-Type, Idempotency-Key, If-Match, Traceparent, X-Request-Id"
	corsExposed = "Retry-After, WWW-Authenticate, X-Request-Id"
	corsMaxAge  = "600"
)

// originOf reads an origin as browsers write it: a scheme and a host, and a port where it is not the scheme's.
func originOf(text string) (*url.URL, error) {
	origin, err := url.Parse(text)
	if err != nil || origin.Host == "" || (origin.Scheme != "http" && origin.Scheme != "https") ||
		text != strings.ToLower(origin.Scheme+"://"+origin.Host) || strings.ContainsAny(text, "*, ") {
		return nil, fmt.Errorf("an origin is a scheme and a host, such as https://roster.example; got %q", text)
	}
	return origin, nil
}

// trust lets the deployment's own apps in: their pages may call the API as whoever is signed in, and signing in may lead to them.
func (e *edge) trust() error {
	e.crossOriginAPI = http.NewCrossOriginProtection()
	for _, origin := range append([]string{e.PublicURL}, e.AppOrigins...) {
		at, err := originOf(origin)
		if err != nil {
			return err
		}
		if e.secure && at.Scheme != "https" {
			return errors.New("an app whose pages can be changed on their way is not to be trusted: " + origin + " must be https")
		}
		if err := e.crossOriginAPI.AddTrustedOrigin(origin); err != nil {
			return err
		}
	}
	return nil
}

// allowOrigin says to the browser whether the page that asks may read the answer, and answers when that is all it asked.
func (e *edge) allowOrigin(h http.Header, r *http.Request) (preflight bool) {
	h.Add("Vary", "Origin")
	origin := r.Header.Values("Origin")
	if len(origin) != 1 || !slices.Contains(e.AppOrigins, origin[0]) {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin[0])
	h.Set("Access-Control-Allow-Credentials", "true")
	h.Set("Access-Control-Expose-Headers", corsExposed)
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", corsMethods)
	h.Set("Access-Control-Allow-Headers", corsHeaders)
	h.Set("Access-Control-Max-Age", corsMaxAge)
	return true
}

// next is where signing in leads: a path of ours, or a page of one of the deployment's apps. Everything else leads to the start.
func (e *edge) next(text string) string {
	if text == "" || len(text) > 2048 || !utf8.ValidString(text) || strings.ContainsFunc(text, unfit) {
		return "/"
	}
	to, err := url.Parse(text)
	if err != nil || to.User != nil || to.Opaque != "" || !plainPath(to.Path) {
		return "/"
	}
	origin := ""
	if to.Scheme != "" || to.Host != "" {
		if origin = to.Scheme + "://" + to.Host; !slices.Contains(e.AppOrigins, origin) || !strings.HasPrefix(text, origin) {
			return "/"
		}
	}
	if origin == "" && to.Path == "" {
		return "/"
	}
	if to.RawQuery == "" {
		return origin + to.EscapedPath()
	}
	return origin + to.EscapedPath() + "?" + to.RawQuery
}

// unfit tells what browsers drop from an address or take for a slash.
func unfit(r rune) bool { return r == '\\' || unicode.IsControl(r) || unicode.IsSpace(r) }

// plainPath tells a path that means the same to everybody, however often it is decoded on its way.
func plainPath(path string) bool {
	if path != "" && path[0] != '/' {
		return false
	}
	for {
		if strings.Contains(path, "//") || strings.Contains(path, "/.") || strings.ContainsFunc(strings.ReplaceAll(path, " ", ""), unfit) || !utf8.ValidString(path) {
			return false
		}
		decoded, err := url.PathUnescape(path)
		if err != nil || decoded == path {
			return err == nil
		}
		path = decoded
	}
}
