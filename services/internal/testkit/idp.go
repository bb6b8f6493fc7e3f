package testkit

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
)

// What the suite is to an IDP.
const ClientID, ClientSecret = "roster", "open sesame: the client secret"

// IDP is an identity provider (OpenID Connect) that says whatever a test wants it to say. Its code for a browser is the challenge that the browser came
// with, so that it knows whose verifier is the right one. Whoever changes a field while the suite may be asking uses Says.
type IDP struct {
	testing.TB
	*httptest.Server
	Key *rsa.PrivateKey

	Claims map[string]any // beside those that are always there; nil takes one away
	Info   map[string]any // at userinfo; nil: there is none
	Sign   func(claims []byte) string
	Paths  map[string]http.HandlerFunc // in place of what stands below
	Meta   map[string]any              // in the discovery document
	Used   map[string]bool             // codes

	mu     sync.Mutex
	nonces map[string]string // by code
}

// idpKey takes a while to make.
var idpKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// NewIDP starts a provider, which stops with the test.
func NewIDP(t testing.TB) *IDP {
	p := &IDP{TB: t, Key: idpKey(), Used: make(map[string]bool), nonces: make(map[string]string), Claims: map[string]any{}, Paths: map[string]http.HandlerFunc{}, Meta: map[string]any{}}
	p.Sign = p.SignRS256
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

func (p *IDP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if other := p.Paths[r.URL.Path]; other != nil {
		other(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	answer := map[string]any{}
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		answer = map[string]any{
			"issuer": p.URL, "authorization_endpoint": p.URL + "/auth", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/jwks",
			"id_token_signing_alg_values_supported": []string{"RS256", "HS256", "none", "ES256"},
		}
		if p.Info != nil {
			answer["userinfo_endpoint"] = p.URL + "/info"
		}
		maps.Copy(answer, p.Meta)
	case "/jwks":
		answer["keys"] = []jose.JSONWebKey{{Key: &p.Key.PublicKey, KeyID: "one", Algorithm: "RS256", Use: "sig"}}
	case "/info":
		answer = p.Info
	case "/token":
		code := r.FormValue("code")
		challenge := sha256.Sum256([]byte(r.FormValue("code_verifier")))
		id, secret, ok := r.BasicAuth()
		if given, err := url.QueryUnescape(secret); !ok || id != ClientID || err != nil || given != ClientSecret ||
			p.Used[code] || code != base64.RawURLEncoding.EncodeToString(challenge[:]) {
			w.WriteHeader(http.StatusBadRequest)
			answer["error"] = "invalid_grant"
			break
		}
		p.Used[code] = true
		claims := map[string]any{
			"iss": p.URL, "aud": ClientID, "sub": "ada-there", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
			"nonce": p.nonces[code], "email": "ada@example.com", "email_verified": true, "name": "Ada Lovelace",
		}
		maps.Copy(claims, p.Claims)
		maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
		text, err := json.Marshal(claims)
		require.NoError(p, err)
		answer = map[string]any{"access_token": "a", "token_type": "Bearer", "id_token": p.Sign(text)}
	default:
		w.WriteHeader(http.StatusNotFound)
	}
	require.NoError(p, json.NewEncoder(w).Encode(answer))
}

func (p *IDP) SignRS256(claims []byte) string {
	return p.Signed(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: p.Key, KeyID: "one"}}, claims)
}

func (p *IDP) Signed(key jose.SigningKey, claims []byte) string {
	signer, err := jose.NewSigner(key, nil)
	require.NoError(p, err)
	signed, err := signer.Sign(claims)
	require.NoError(p, err)
	text, err := signed.CompactSerialize()
	require.NoError(p, err)
	return text
}

// Says sets a claim; nil takes it away.
func (p *IDP) Says(name string, value any) *IDP {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Claims[name] = value
	return p
}

// Visit is what a browser does at the provider: it comes with what the suite has sent it there with, and gets a code.
func (p *IDP) Visit(authorizationURL string) (sent url.Values, code string) {
	where, err := url.Parse(authorizationURL)
	require.NoError(p, err)
	sent, code = where.Query(), where.Query().Get("code_challenge")
	p.mu.Lock()
	defer p.mu.Unlock()
	p.nonces[code] = sent.Get("nonce")
	return sent, code
}
