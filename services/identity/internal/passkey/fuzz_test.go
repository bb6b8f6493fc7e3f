package passkey_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/identity/internal/passkey"
	"github.com/rosterhq/roster/services/internal/testkit"
)

// FuzzAnswers reads what a browser says that an authenticator has made and signed, of which nothing is proven.
func FuzzAnswers(f *testing.F) {
	rp, key := passkey.New(publicURL), testkit.NewPasskey(f, publicURL)
	options, _, err := rp.CreationOptions(passkey.Holder{Handle: handle, Name: "ada@example.com", DisplayName: "Ada"})
	require.NoError(f, err)
	said := key.Create(f, options)
	creation, err := passkey.ParseCreation(said)
	require.NoError(f, err)
	made, err := rp.Register(passkey.Holder{Handle: handle}, creation)
	require.NoError(f, err)
	options, challenge, err := rp.RequestOptions([]passkey.Credential{made})
	require.NoError(f, err)
	for _, seed := range []string{said, key.Sign(f, options), "", "{}", "null", `{"id":"AA","rawId":"AA","type":"public-key","response":{}}`, "\xff"} {
		f.Add(seed)
	}
	holder := passkey.Holder{Handle: handle, Has: []passkey.Credential{made}}
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := passkey.ParseCreation(text); err == nil {
			_, _ = rp.Register(holder, c)
		}
		if a, err := passkey.ParseAnswer(text); err == nil {
			if used, _, err := rp.Verify(holder, a); err == nil {
				require.Equal(t, challenge, a.Challenge, "nobody else can sign")
				require.Equal(t, made.ID, used.ID)
			}
		}
	})
}
