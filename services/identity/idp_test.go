package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/testkit"
)

const clientID, clientSecret = testkit.ClientID, testkit.ClientSecret

// idp is an identity provider that the deployment believes.
type idp struct {
	*testkit.IDP
	id string // in the suite
}

// says sets a claim; nil takes it away.
func (p *idp) says(name string, value any) *idp {
	p.Says(name, value)
	return p
}

// provider starts an identity provider that the deployment believes.
func (h *harness) provider() *idp {
	h.Helper()
	p := &idp{IDP: testkit.NewIDP(h.T)}
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

// otherKey is one that the provider has not published.
func otherKey(t testing.TB) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
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
	sent, code := p.Visit(begun.GetAuthorizationUrl())
	return trip{begun.GetFlow(), sent, &identityv1.CompleteFederatedSignInRequest{
		ProviderId: p.id, Flow: begun.GetFlow(), State: sent.Get("state"), Code: code, Delivery: identityv1.Delivery_DELIVERY_TOKEN,
	}}
}

// come goes to the provider and back.
func (h *harness) come(p *idp) (*identityv1.CompleteFederatedSignInResponse, error) {
	h.Helper()
	return h.federated.CompleteFederatedSignIn(h.as(""), h.beginAt(p).back)
}
