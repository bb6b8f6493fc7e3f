// Package gateway is the edge of the suite: the REST API, which is every RPC with an HTTP route, and the few
// pages that a mail links to. It speaks HTTP with strangers and gRPC with the services, keeps nothing, and decides
// nothing but what a stranger's request may bring in: one credential, one address, one body of JSON.
//
// The way of a request is (*edge).ServeHTTP; what passes from it to a service is in client.go and nowhere else.
package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"google.golang.org/grpc"

	"github.com/rosterhq/roster/services/internal/id"
)

// Dependencies is what the gateway stands on.
type Dependencies struct {
	// Conns leads to the services, by their names: membership, invitation, identity, billing. Each was dialed with
	// ClientInterceptor for that audience.
	Conns map[string]*grpc.ClientConn

	PublicURL      string           // https://roster.example, without a slash at the end: the origin of every link
	AppOrigins     []string         // https://app.example: whose pages may call the API as who is signed in, and may be led to
	TrustedProxies int              // how many proxies stand before the gateway and append to X-Forwarded-For
	Forget         func(id.Session) // hears of sessions that have ended; nil: nobody listens
	DevMail        http.Handler     // the development inbox, at /dev/mail; nil: none
	Log            *slog.Logger     // nil: slog.Default()
}

// Limits of what a stranger may send.
const (
	maxBody = 1 << 20
	maxForm = 64 << 10
)

// New returns the handler of the public listener.
func New(d Dependencies) (http.Handler, error) {
	origin, err := originOf(d.PublicURL)
	if err != nil {
		return nil, fmt.Errorf("gateway: the public URL: %w", err)
	}
	for _, service := range services {
		if d.Conns[service.role] == nil {
			return nil, fmt.Errorf("gateway: no connection to %s", service.role)
		}
	}
	if d.TrustedProxies < 0 {
		return nil, errors.New("gateway: trusted proxies are counted from 0")
	}
	if d.Log == nil {
		d.Log = slog.Default()
	}
	if d.Forget == nil {
		d.Forget = func(id.Session) {}
	}

	e := &edge{Dependencies: d, secure: origin.Scheme == "https", crossOrigin: http.NewCrossOriginProtection()}
	if err := e.crossOrigin.AddTrustedOrigin(d.PublicURL); err != nil { // where a proxy changes the Host
		return nil, fmt.Errorf("gateway: %w", err)
	}
	if err := e.trust(); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	if e.api, err = e.newAPI(); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	if e.site, err = e.newSite(); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	return e, nil
}

// isAPI tells the paths of the REST API from those of pages.
func isAPI(path string) bool { return path == "/v1" || strings.HasPrefix(path, "/v1/") }
