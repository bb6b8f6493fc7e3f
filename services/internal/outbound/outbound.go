// Package outbound reaches servers whose addresses others have chosen, such as an organization's identity provider. What they choose must
// not be a way into our own network: every address that a name leads to is checked as it is dialed, so that the answer of a name server
// cannot change in between.
package outbound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"syscall"
	"time"
)

// Options say what may be reached beside public servers.
type Options struct {
	Networks []netip.Prefix // that may be reached although they are not public, at any port
	Plain    bool           // without TLS, too; for development
}

// Limits of an exchange.
const (
	Timeout = 10 * time.Second
	MaxBody = 256 << 10
)

// Why a server is not reached.
var (
	ErrAddress = errors.New("the address is not public")
	ErrPort    = errors.New("the port is not one of HTTPS")
	ErrScheme  = errors.New("only https is spoken")
	ErrTooLong = fmt.Errorf("the answer has more than %d bytes", MaxBody)
)

// Client returns a client that follows no redirect, asks no proxy of the environment, waits no longer than Timeout and reads no more than
// MaxBody.
func Client(o Options) *http.Client {
	dialer := &net.Dialer{Timeout: Timeout / 2, ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		return o.check(address)
	}}
	return &http.Client{
		Timeout:       Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &transport{o.Plain, &http.Transport{
			DialContext: dialer.DialContext, ForceAttemptHTTP2: true, TLSHandshakeTimeout: Timeout / 2, ResponseHeaderTimeout: Timeout,
			MaxResponseHeaderBytes: 64 << 10, MaxIdleConns: 20, MaxConnsPerHost: 20, IdleConnTimeout: time.Minute,
		}},
	}
}

// check refuses an address that a name was resolved to.
func (o Options) check(address string) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	ip := at.Addr().Unmap().WithZone("")
	for _, allowed := range o.Networks {
		if allowed.Contains(ip) {
			return nil
		}
	}
	if !public(ip) || at.Addr().Is4In6() {
		return ErrAddress
	}
	if port := at.Port(); port != 443 && port != 8443 {
		return fmt.Errorf("%w: %s", ErrPort, strconv.Itoa(int(port)))
	}
	return nil
}

// prefixes parses networks.
func prefixes(texts ...string) (all []netip.Prefix) {
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// What is not on the internet, or leads back from it: IANA's registries of special-purpose addresses. Of IPv6, everything but global
// unicast is none of ours.
var (
	special = prefixes("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
		"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
		"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
	global = netip.MustParsePrefix("2000::/3")
)

func public(ip netip.Addr) bool {
	for _, not := range special {
		if not.Contains(ip) {
			return false
		}
	}
	return ip.Is4() || global.Contains(ip)
}

// transport refuses what is not https, and answers without end.
type transport struct {
	plain bool
	next  http.RoundTripper
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" && !t.plain {
		return nil, ErrScheme
	}
	answer, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	answer.Body = &limited{answer.Body, MaxBody}
	return answer, nil
}

// limited is a body that fails, rather than ends, when it is too long.
type limited struct {
	io.ReadCloser
	left int
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.ReadCloser.Read(p[:min(len(p), l.left+1)])
	if n > l.left {
		return 0, ErrTooLong
	}
	l.left -= n
	return n, err
}
