package credential

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
)

const (
	// Reuse is how long a token is used again, while the ends of sessions are heard.
	Reuse  = 30 * time.Second
	margin = 10 * time.Second // what a token must have left, for the call that carries it
)

// Resolver exchanges secrets for internal tokens at identity, and uses a token again for a while.
type Resolver struct {
	*Ended
	identity identityv1.CredentialServiceClient
	now      func() time.Time
	flights  singleflight.Group

	mu     sync.Mutex
	tokens cache[presented, resolved]
	of     map[id.Any]map[presented]struct{} // which tokens are of a session or a key
	epoch  uint64                            // how many times Forget was called
}

// presented is what a client showed, and what for. A session that came as a cookie is not the same as one that
// came in a header: each is refused the other way.
type presented struct {
	secret   [sha256.Size]byte
	cookie   bool
	audience string
}

type resolved struct {
	token string
	of    id.Any    // the session or the key
	asked time.Time // when it was good at the earliest
}

// NewResolver returns a resolver that asks identity.
func NewResolver(identity identityv1.CredentialServiceClient, now func() time.Time) *Resolver {
	r := &Resolver{Ended: newEnded(now), identity: identity, now: now, of: make(map[id.Any]map[presented]struct{})}
	r.tokens.dropped = func(p presented, v resolved) {
		if delete(r.of[v.of], p); len(r.of[v.of]) == 0 {
			delete(r.of, v.of)
		}
	}
	return r
}

// Token returns a token of the secret's owner for one service. A refusal is identity's own and is not
// remembered.
func (r *Resolver) Token(ctx context.Context, secret string, cookie bool, audience string) (string, error) {
	p := presented{sha256.Sum256([]byte(secret)), cookie, audience}
	r.mu.Lock()
	held, ok := r.tokens.get(p, r.now())
	epoch := r.epoch
	r.mu.Unlock()
	if ok && r.covers(held.asked) && !r.has(held.of) {
		return held.token, nil
	}
	// The epoch keeps those who ask after a Forget from sharing, and from finding, what was answered before it.
	flight := fmt.Sprintf("%x %t %d %s", p.secret, cookie, epoch, audience)
	return shared(ctx, &r.flights, flight, func(ctx context.Context) (string, error) {
		asked := r.now()
		resp, err := r.identity.ResolveCredential(ctx, &identityv1.ResolveCredentialRequest{
			Secret: secret, Cookie: cookie, Audience: audience,
		})
		if err != nil {
			return "", err
		}
		r.keep(p, resp, epoch, asked)
		return resp.GetToken(), nil
	})
}

func (r *Resolver) keep(p presented, resp *identityv1.ResolveCredentialResponse, epoch uint64, asked time.Time) {
	now := r.now()
	until := now.Add(Reuse)
	if end := resp.GetExpireTime().AsTime().Add(-margin); end.Before(until) {
		until = end
	}
	v := resolved{resp.GetToken(), credentialOf(resp.GetToken()), asked}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.epoch != epoch || !now.Before(until) {
		return
	}
	r.tokens.put(p, v, now, until)
	if r.of[v.of] == nil {
		r.of[v.of] = make(map[presented]struct{})
	}
	r.of[v.of][p] = struct{}{}
}

// Forget drops the tokens of a session at once: what they say of it has just changed.
func (r *Resolver) Forget(session id.Session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.epoch++
	for p := range r.of[id.Any(session)] {
		r.tokens.drop(p)
	}
}

// Authenticator finds out who presents a bearer credential to one service. The Resolver hears which sessions and keys end: their tokens
// are refused while they last.
type Authenticator struct {
	Resolver *Resolver
	Verifier *Verifier
}

// AuthenticateClient is Authenticate for a listener that clients reach. Internal tokens have no business there: one that
// got out opens nothing.
func (a *Authenticator) AuthenticateClient(ctx context.Context, bearer string) (caller.Caller, error) {
	if isInternal(bearer) {
		return caller.Caller{}, errRefused
	}
	return a.Authenticate(ctx, bearer)
}

// Authenticate returns the caller of a bearer credential: an internal token, or a session's secret
// or a key. A bad one is UNAUTHENTICATED.
func (a *Authenticator) Authenticate(ctx context.Context, bearer string) (caller.Caller, error) {
	token := bearer
	if !isInternal(bearer) {
		var err error
		if token, err = a.Resolver.Token(ctx, bearer, false, a.Verifier.audience); err != nil {
			return caller.Caller{}, err
		}
	}
	claims, err := a.Verifier.Verify(ctx, token)
	if err != nil {
		return caller.Caller{}, err
	}
	who := caller.Caller{
		Account:        claims.Account,
		Operator:       claims.Operator,
		ServiceAccount: claims.ServiceAccount,
		Session:        claims.Session,
		Key:            claims.Key,
		Scopes:         claims.Scopes,
		Stage:          claims.Stage,
		AuthTime:       claims.AuthTime,
		Level:          claims.Level,
		Reach:          claims.Reach,
	}
	if !claims.Organization.IsZero() {
		who.Account = id.Account(claims.ServiceAccount)
	}
	if of := who.Credential(); !of.IsZero() && a.Resolver.has(of) {
		return caller.Caller{}, errRefused // the token outlives it
	}
	return who, nil
}

// isInternal knows an internal token by its two dots.
func isInternal(bearer string) bool { return strings.Count(bearer, ".") == 2 }
