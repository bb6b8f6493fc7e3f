package credential

import (
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
)

// TestVectors holds what tokens are made of to the examples of the standards.
func TestVectors(t *testing.T) {
	t.Parallel()
	const (
		private = `{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
		signed  = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc." +
			"hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
		thumbprint = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
	)
	var key jose.JSONWebKey
	require.NoError(t, json.Unmarshal([]byte(private), &key))

	t.Run("RFC 8037 appendix A, a signature of Ed25519", func(t *testing.T) {
		t.Parallel()
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: key.Key}, nil)
		require.NoError(t, err)
		made, err := signer.Sign([]byte("Example of Ed25519 signing"))
		require.NoError(t, err)
		text, err := made.CompactSerialize()
		require.NoError(t, err)
		require.Equal(t, signed, text)
		read, err := jose.ParseSignedCompact(signed, []jose.SignatureAlgorithm{jose.EdDSA})
		require.NoError(t, err)
		plain, err := read.Verify(key.Key.(ed25519.PrivateKey).Public())
		require.NoError(t, err)
		require.Equal(t, "Example of Ed25519 signing", string(plain))
		_, _, err = parse(signed)
		require.Error(t, err, "it is no token of ours")
	})
	t.Run("RFC 7638 as RFC 8037 appendix A has it, a thumbprint", func(t *testing.T) {
		t.Parallel()
		sum, err := key.Thumbprint(crypto.SHA256)
		require.NoError(t, err)
		require.Equal(t, thumbprint, base64.RawURLEncoding.EncodeToString(sum))
	})
	t.Run("RFC 7515 appendix A, signatures of other kinds are refused", func(t *testing.T) {
		t.Parallel()
		clock := newClock()
		v := NewVerifier("membership", (&ring{keys: []jose.JSONWebKey{newKey(t, "one")}}).get, clock.now)
		const claims = ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
		for name, token := range map[string]string{
			"HS256": "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9" + claims + "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
			"ES256": "eyJhbGciOiJFUzI1NiJ9" + claims + "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
			"none":  "eyJhbGciOiJub25lIn0" + claims,
		} {
			_, err := v.Verify(t.Context(), token)
			requireRefused(t, err, name)
		}
	})
	t.Run("RFC 7515 appendix C, base64url has no padding and one spelling", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, "A-z_4ME", base64.RawURLEncoding.EncodeToString([]byte{3, 236, 255, 224, 193}))
		for _, spelled := range []string{"A-z_4ME=", "A-z_4MF", "A+z/4ME", "A-z_\n4ME"} {
			_, _, err := parse(spelled + "." + spelled + "." + spelled)
			require.ErrorContains(t, err, "canonical", spelled)
		}
	})
}
