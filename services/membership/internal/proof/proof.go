// Package proof looks into the DNS for what only the owner of a domain can have written there. It remembers nothing: what
// the owner has just written is to be found, and what is gone is to be missed.
package proof

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"
)

// timeout is how long a question may take, all tries together.
const timeout = 5 * time.Second

// Resolver asks a DNS server.
type Resolver struct{ dns net.Resolver }

// New returns a resolver that asks this server, host:port, or what the system's configuration names when it is empty.
func New(server string) *Resolver {
	r := &Resolver{net.Resolver{PreferGo: true}}
	if server != "" {
		r.dns.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, server)
		}
	}
	return r
}

// Has tells whether the name has a TXT record of this value. The error says that the DNS gave no answer. What it answers is
// written by strangers; it is compared and forgotten, and cannot be larger than a DNS message, 64 KiB.
func (r *Resolver) Has(ctx context.Context, name, value string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	texts, err := r.dns.LookupTXT(ctx, name+".") // with the dot, no search list of this machine's is tried
	if missing, ok := errors.AsType[*net.DNSError](err); ok && missing.IsNotFound {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look up TXT of %s: %w", name, err)
	}
	return slices.Contains(texts, value), nil
}
