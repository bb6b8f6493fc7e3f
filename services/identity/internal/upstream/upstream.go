// Package upstream speaks OpenID Connect with identity providers, as their client: discovery, the authorization code flow with PKCE, and
// the proof of what they sign. What is believed of it is package federation's to say.
package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/rosterhq/roster/services/identity/internal/federation"
	"github.com/rosterhq/roster/services/internal/id"
)

// algorithms are what providers sign with. Whatever they announce, none and those with a shared secret are not among them.
var algorithms = []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA}

// How long is remembered what a provider says of itself, and that it does not answer: strangers can make us ask.
const (
	remembered = 10 * time.Minute
	unheard    = 5 * time.Second
)

// Upstream speaks with providers.
type Upstream struct {
	client *http.Client
	plain  bool // http is spoken
	now    func() time.Time

	mu    sync.Mutex
	known map[id.Provider]*discovery
}

// New returns an Upstream that speaks over the client.
func New(client *http.Client, plain bool, now func() time.Time) *Upstream {
	return &Upstream{client: client, plain: plain, now: now, known: make(map[id.Provider]*discovery)}
}

// discovery is what a provider says of itself. Who has it asks; others wait.
type discovery struct {
	mu       sync.Mutex
	issuer   string
	until    time.Time
	provider *oidc.Provider
	meta     metadata
	err      error
}

// metadata is what go-oidc does not tell of the discovery document.
type metadata struct {
	AuthMethods []string `json:"token_endpoint_auth_methods_supported"`
	NamesIssuer bool     `json:"authorization_response_iss_parameter_supported"`
	Endpoint    string   `json:"authorization_endpoint"`
	JWKS        string   `json:"jwks_uri"`
}

// ErrAway says that the provider does not answer as it should.
var ErrAway = errors.New("the identity provider does not answer")

// ErrProof says that what the provider signed, or was said to have signed, proves nothing.
var ErrProof = errors.New("the identity provider's answer proves nothing")

func (u *Upstream) discover(ctx context.Context, p federation.Provider) (*oidc.Provider, metadata, error) {
	u.mu.Lock()
	d := u.known[p.ID]
	if d == nil || d.issuer != p.Issuer {
		d = &discovery{issuer: p.Issuer}
		u.known[p.ID] = d
	}
	u.mu.Unlock()

	d.mu.Lock()
	defer d.mu.Unlock()
	if now := u.now(); now.After(d.until) {
		// Whoever asks first may leave; the others wait for the answer all the same.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
		defer cancel()
		d.provider, d.meta, d.err = u.ask(ctx, p.Issuer)
		d.until = u.now().Add(remembered)
		if d.err != nil {
			d.until = u.now().Add(unheard)
		}
	}
	return d.provider, d.meta, d.err
}

func (u *Upstream) ask(ctx context.Context, issuer string) (*oidc.Provider, metadata, error) {
	var meta metadata
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, u.client), issuer)
	if err != nil {
		return nil, meta, fmt.Errorf("%w: discovery: %s", ErrAway, brief(err))
	}
	if err := provider.Claims(&meta); err != nil {
		return nil, meta, fmt.Errorf("%w: discovery: %s", ErrAway, brief(err))
	}
	for _, endpoint := range []string{meta.Endpoint, provider.Endpoint().TokenURL, meta.JWKS} {
		where, err := url.Parse(endpoint)
		if err != nil || where.Host == "" || where.Scheme != "https" && (!u.plain || where.Scheme != "http") {
			return nil, meta, fmt.Errorf("%w: discovery: an endpoint is not https", ErrAway)
		}
	}
	return provider, meta, nil
}

// brief is an error without what a server said: that may be anything.
func brief(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	if text != "" && text[0] >= '0' && text[0] <= '9' { // a status, and the body behind it
		text, _, _ = strings.Cut(text, ":")
	}
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) {
		text = "refused with " + refused.ErrorCode
	}
	return text[:min(len(text), 200)]
}

// Client is who we are at a provider.
type Client struct {
	Provider    federation.Provider
	Secret      string // empty: none
	RedirectURI string
}

func (c Client) config(p *oidc.Provider, meta metadata) *oauth2.Config {
	endpoint := p.Endpoint()
	endpoint.AuthStyle = oauth2.AuthStyleInHeader // as OpenID Connect has it where the provider says nothing
	if c.Secret == "" || len(meta.AuthMethods) > 0 && !slices.Contains(meta.AuthMethods, "client_secret_basic") {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return &oauth2.Config{
		ClientID: c.Provider.ClientID, ClientSecret: c.Secret, Endpoint: endpoint, RedirectURL: c.RedirectURI, Scopes: []string{oidc.ScopeOpenID, "email", "profile"},
	}
}

// URL is where the browser goes to for the flow.
func (u *Upstream) URL(ctx context.Context, c Client, f federation.Flow) (string, error) {
	provider, meta, err := u.discover(ctx, c.Provider)
	if err != nil {
		return "", err
	}
	options := []oauth2.AuthCodeOption{oidc.Nonce(f.Nonce), oauth2.S256ChallengeOption(f.Verifier)}
	if f.Again {
		options = append(options, oauth2.SetAuthURLParam("prompt", "login"), oauth2.SetAuthURLParam("max_age", "0"))
	}
	return c.config(provider, meta).AuthCodeURL(f.State, options...), nil
}

// Answer is what the browser came back with.
type Answer struct {
	Code   string
	Issuer string // empty: it names none
}

// Exchange finds out whom the provider means by the answer to the flow.
func (u *Upstream) Exchange(ctx context.Context, c Client, f federation.Flow, a Answer) (who federation.Person, err error) {
	provider, meta, err := u.discover(ctx, c.Provider)
	if err != nil {
		return who, err
	}
	if a.Issuer != c.Provider.Issuer && (a.Issuer != "" || meta.NamesIssuer) { // RFC 9207
		return who, fmt.Errorf("%w: the answer is another issuer's", ErrProof)
	}
	ctx = oidc.ClientContext(ctx, u.client)
	token, err := c.config(provider, meta).Exchange(ctx, a.Code, oauth2.VerifierOption(f.Verifier))
	var refused *oauth2.RetrieveError
	switch {
	case errors.As(err, &refused) && refused.Response != nil && refused.Response.StatusCode < http.StatusInternalServerError:
		return who, fmt.Errorf("%w: code: %s", ErrProof, brief(err))
	case err != nil:
		return who, fmt.Errorf("%w: code: %s", ErrAway, brief(err))
	}
	signed, ok := token.Extra("id_token").(string)
	if !ok {
		return who, fmt.Errorf("%w: there is no id_token", ErrProof)
	}
	verified, err := provider.Verifier(&oidc.Config{ClientID: c.Provider.ClientID, SupportedSigningAlgs: algorithms, Now: u.now}).Verify(ctx, signed)
	if err != nil {
		return who, fmt.Errorf("%w: id_token: %s", ErrProof, brief(err))
	}
	var claims federation.Claims
	if err := verified.Claims(&claims); err != nil {
		return who, fmt.Errorf("%w: id_token: %s", ErrProof, brief(err))
	}
	switch {
	case claims.Nonce != f.Nonce:
		return who, fmt.Errorf("%w: id_token: the nonce is another", ErrProof)
	case claims.AuthorizedParty != "" && claims.AuthorizedParty != c.Provider.ClientID,
		claims.AuthorizedParty == "" && len(verified.Audience) > 1:
		return who, fmt.Errorf("%w: id_token: it was made for somebody else", ErrProof)
	}
	if claims.Email == "" && provider.UserInfoEndpoint() != "" { // many tell it there only, as OpenID Connect Core 5.4 has it
		if err := u.complete(ctx, provider, token, &claims); err != nil {
			return who, err
		}
	}
	who, ok = claims.Person()
	if !ok {
		return who, fmt.Errorf("%w: it is about nobody", ErrProof)
	}
	return who, nil
}

// complete takes from the provider's directory what is not in its proof.
func (u *Upstream) complete(ctx context.Context, provider *oidc.Provider, token *oauth2.Token, claims *federation.Claims) error {
	info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
	var lost *url.Error
	switch {
	case errors.As(err, &lost):
		return fmt.Errorf("%w: userinfo: %s", ErrAway, brief(err))
	case err != nil:
		return fmt.Errorf("%w: userinfo: %s", ErrProof, brief(err))
	}
	var more federation.Claims
	if err := info.Claims(&more); err != nil || more.Subject != claims.Subject {
		return fmt.Errorf("%w: userinfo: it is about somebody else", ErrProof)
	}
	claims.Email, claims.EmailVerified = more.Email, more.EmailVerified
	if claims.Name == "" {
		claims.Name, claims.PreferredUsername = more.Name, more.PreferredUsername
	}
	return nil
}
