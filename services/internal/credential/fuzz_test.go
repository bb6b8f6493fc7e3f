package credential

import (
	"crypto/ed25519"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/internal/id"
)

func FuzzVerify(f *testing.F) {
	clock := newClock()
	key := jose.JSONWebKey{Key: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)), KeyID: "one", Algorithm: string(jose.EdDSA)}
	claims := goodClaims(clock.now())
	claims.Account, claims.Session = id.Account{1}, id.Session{2} // the same in every process that helps
	made, err := Sign(key, claims)
	require.NoError(f, err)
	var published ring
	published.set(nil, key)
	for _, seed := range []string{made, made + "A", made + "\n", "a.b.c", "", "eyJhbGciOiJub25lIn0.e30."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		_, err := NewVerifier("membership", published.get, clock.now).Verify(t.Context(), token)
		if err != nil {
			requireRefused(t, err)
		}
		require.Equal(t, token == made, err == nil)
		SessionOf(token)
	})
}
