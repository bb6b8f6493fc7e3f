package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
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

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

// idp is an identity provider that says whatever a test wants it to say. Its code for a browser is the challenge that the browser came with, so that it
// knows whose verifier is the right one.
type idp struct {
	*testing.T
	*httptest.Server
	key *rsa.PrivateKey
	id  string // in the suite

	mu     sync.Mutex
	used   map[string]bool
	nonces map[string]string // by code
	claims map[string]any    // beside those that are always there; nil takes one away
	info   map[string]any    // at userinfo; nil: there is none
	sign   func(claims []byte) string
	paths  map[string]http.HandlerFunc // in place of what stands below
	meta   map[string]any              // in the discovery document
}

const clientID, clientSecret = "roster", "open sesame: the client secret"

// idpKey takes a while to make.
var idpKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// provider starts an identity provider that the deployment believes.
func (h *harness) provider() *idp {
	h.Helper()
	p := newIDP(h.T)
	made, err := h.providers.CreateOperatorProvider(h.as(h.operator()), &identityv1.CreateOperatorProviderRequest{
		DisplayName: "Example", Issuer: p.URL, ClientId: clientID, ClientSecret: clientSecret,
	})
	require.NoError(h, err)
	p.id = made.GetProvider().GetId()
	return p
}

// operator returns the key of an operator.
func (h *harness) operator() string {
	h.Helper()
	h.exec(`DELETE FROM operator_keys`)
	token, err := h.service.Bootstrap(h.Context())
	require.NoError(h, err)
	claimed, err := h.operators.ClaimOperator(h.as(""), &identityv1.ClaimOperatorRequest{Token: token})
	require.NoError(h, err)
	return claimed.GetApiKey()
}

func newIDP(t *testing.T) *idp {
	p := &idp{T: t, key: idpKey(), used: make(map[string]bool), nonces: make(map[string]string), claims: map[string]any{}, paths: map[string]http.HandlerFunc{}, meta: map[string]any{}}
	p.sign = p.signRS256
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

func (p *idp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if other := p.paths[r.URL.Path]; other != nil {
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
		if p.info != nil {
			answer["userinfo_endpoint"] = p.URL + "/info"
		}
		maps.Copy(answer, p.meta)
	case "/jwks":
		answer["keys"] = []jose.JSONWebKey{{Key: &p.key.PublicKey, KeyID: "one", Algorithm: "RS256", Use: "sig"}}
	case "/info":
		answer = p.info
	case "/token":
		code := r.FormValue("code")
		challenge := sha256.Sum256([]byte(r.FormValue("code_verifier")))
		id, secret, ok := r.BasicAuth()
		if given, err := url.QueryUnescape(secret); !ok || id != clientID || err != nil || given != clientSecret ||
			p.used[code] || code != base64.RawURLEncoding.EncodeToString(challenge[:]) {
			w.WriteHeader(http.StatusBadRequest)
			answer["error"] = "invalid_grant"
			break
		}
		p.used[code] = true
		claims := map[string]any{
			"iss": p.URL, "aud": clientID, "sub": "ada-there", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
			"nonce": p.nonces[code], "email": "ada@example.com", "email_verified": true, "name": "Ada Lovelace",
		}
		maps.Copy(claims, p.claims)
		maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
		text, err := json.Marshal(claims)
		require.NoError(p, err)
		answer = map[string]any{"access_token": "a", "token_type": "Bearer", "id_token": p.sign(text)}
	default:
		w.WriteHeader(http.StatusNotFound)
	}
	require.NoError(p, json.NewEncoder(w).Encode(answer))
}

func (p *idp) signRS256(claims []byte) string {
	return p.signed(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: p.key, KeyID: "one"}}, claims)
}

func (p *idp) signed(key jose.SigningKey, claims []byte) string {
	signer, err := jose.NewSigner(key, nil)
	require.NoError(p, err)
	signed, err := signer.Sign(claims)
	require.NoError(p, err)
	text, err := signed.CompactSerialize()
	require.NoError(p, err)
	return text
}

// otherKey is one that the provider has not published.
func otherKey(t *testing.T) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

// says sets a claim; nil takes it away.
func (p *idp) says(name string, value any) *idp {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.claims[name] = value
	return p
}

// trip is a browser's way to the provider and back.
type trip struct {
	flow string
	sent url.Values // to the provider
	back *identityv1.CompleteFederatedSignInRequest
}

// beginAt goes to the provider.
func (h *harness) beginAt(p *idp) trip {
	h.Helper()
	begun, err := h.federated.BeginFederatedSignIn(h.as(""), &identityv1.BeginFederatedSignInRequest{ProviderId: p.id})
	require.NoError(h, err)
	return p.visited(begun)
}

func (p *idp) visited(begun *identityv1.BeginFederatedSignInResponse) trip {
	where, err := url.Parse(begun.GetAuthorizationUrl())
	require.NoError(p, err)
	sent := where.Query()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.nonces[sent.Get("code_challenge")] = sent.Get("nonce")
	return trip{begun.GetFlow(), sent, &identityv1.CompleteFederatedSignInRequest{
		ProviderId: p.id, Flow: begun.GetFlow(), State: sent.Get("state"), Code: sent.Get("code_challenge"), Delivery: identityv1.Delivery_DELIVERY_TOKEN,
	}}
}

// come goes to the provider and back.
func (h *harness) come(p *idp) (*identityv1.CompleteFederatedSignInResponse, error) {
	h.Helper()
	return h.federated.CompleteFederatedSignIn(h.as(""), h.beginAt(p).back)
}
