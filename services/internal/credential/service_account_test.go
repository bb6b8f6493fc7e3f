package credential

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/internal/id"
)

func TestServiceAccount(t *testing.T) {
	t.Parallel()
	clock := newClock()
	key := newKey(t, "one")
	published := &ring{}
	published.set(nil, key)
	good := Claims{ServiceAccount: id.NewServiceAccount(), Key: id.NewAPIKey(), Scopes: []string{"access.check"}, Audience: "membership",
		IssuedAt: clock.now(), Expires: clock.now().Add(Lifetime)}

	t.Run("R48 a token names a service account and its key", func(t *testing.T) {
		t.Parallel()
		token, err := Sign(key, good)
		require.NoError(t, err)
		claims, err := NewVerifier("membership", published.get, clock.now).Verify(t.Context(), token)
		require.NoError(t, err)
		require.Equal(t, good, claims)
		require.Equal(t, id.Any(good.Key), credentialOf(token), "what ends the key ends the token")
	})
	t.Run("R48 a token names the organization of a service account, which then acts under its number", func(t *testing.T) {
		t.Parallel()
		of := good
		of.Organization, of.Scopes = id.NewOrganization(), []string{"members.read"}
		token, err := Sign(key, of)
		require.NoError(t, err)
		verifier := NewVerifier("membership", published.get, clock.now)
		claims, err := verifier.Verify(t.Context(), token)
		require.NoError(t, err)
		require.Equal(t, of, claims)
		who, err := (&Authenticator{Resolver: NewResolver(nil, clock.now), Verifier: verifier}).Authenticate(t.Context(), token)
		require.NoError(t, err)
		require.Equal(t, id.Account(of.ServiceAccount), who.Account)
		require.Equal(t, of.ServiceAccount, who.ServiceAccount)
		require.False(t, who.Platform())
		_, err = Sign(key, Claims{Account: id.NewAccount(), Organization: of.Organization, Audience: "membership", IssuedAt: of.IssuedAt, Expires: of.Expires})
		require.ErrorContains(t, err, "only a service account")
	})
	t.Run("R48 nobody is two, and a service account is no session", func(t *testing.T) {
		t.Parallel()
		for name, wrong := range map[string]func(*Claims){
			"an account, too":  func(c *Claims) { c.Account = id.NewAccount() },
			"an operator, too": func(c *Claims) { c.Operator = id.NewOperator() },
			"without a key":    func(c *Claims) { c.Key, c.Scopes = id.APIKey{}, nil },
			"without scopes":   func(c *Claims) { c.Scopes = nil },
			"with a session":   func(c *Claims) { c.Session = id.NewSession() },
			"for too long":     func(c *Claims) { c.Expires = c.Expires.Add(time.Second) },
		} {
			c := good
			wrong(&c)
			_, err := Sign(key, c)
			require.Error(t, err, name)
		}
	})
}
