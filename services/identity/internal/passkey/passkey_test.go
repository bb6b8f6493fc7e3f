package passkey_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/identity/internal/passkey"
	"github.com/rosterhq/roster/services/internal/testkit"
)

const publicURL = "https://roster.example:8443/below"

var handle = []byte("a handle of thirty-two bytes....")

// set sets a passkey up.
func set(t *testing.T, rp *passkey.RelyingParty) (*testkit.Passkey, passkey.Credential) {
	t.Helper()
	key := testkit.NewPasskey(t, publicURL)
	options, challenge, err := rp.CreationOptions(passkey.Holder{Handle: handle, Name: "ada@example.com", DisplayName: "Ada"})
	require.NoError(t, err)
	creation, err := passkey.ParseCreation(key.Create(t, options))
	require.NoError(t, err)
	require.Equal(t, challenge, creation.Challenge)
	made, err := rp.Register(passkey.Holder{Handle: handle}, creation)
	require.NoError(t, err)
	return key, made
}

func TestCeremonies(t *testing.T) {
	t.Parallel()
	t.Run("R34 WhatTheBrowserIsAskedFor", func(t *testing.T) {
		t.Parallel()
		rp := passkey.New(publicURL)
		_, own := set(t, rp)
		holder := passkey.Holder{Handle: handle, Name: "ada@example.com", DisplayName: "Ada", Has: []passkey.Credential{own}}
		text, challenge, err := rp.CreationOptions(holder)
		require.NoError(t, err)
		require.Len(t, challenge, 32)
		var create struct {
			Challenge, Attestation string
			Timeout                int
			RP                     struct{ ID, Name string }
			User                   struct{ ID, Name, DisplayName string }
			AuthenticatorSelection struct{ ResidentKey, UserVerification string }
			ExcludeCredentials     []struct{ ID string }
		}
		require.NoError(t, json.Unmarshal([]byte(text), &create))
		require.Equal(t, "roster.example", create.RP.ID)
		require.Equal(t, base64.RawURLEncoding.EncodeToString(challenge), create.Challenge)
		require.Equal(t, base64.RawURLEncoding.EncodeToString(handle), create.User.ID)
		require.Equal(t, "none", create.Attestation)
		require.Equal(t, "preferred", create.AuthenticatorSelection.ResidentKey)
		require.Equal(t, "required", create.AuthenticatorSelection.UserVerification)
		require.Equal(t, 300_000, create.Timeout)
		require.Len(t, create.ExcludeCredentials, 1)
		require.Equal(t, base64.RawURLEncoding.EncodeToString(own.ID), create.ExcludeCredentials[0].ID)

		text, _, err = rp.RequestOptions([]passkey.Credential{own})
		require.NoError(t, err)
		var request struct {
			RPID             string
			UserVerification string
			AllowCredentials []struct{ ID string }
		}
		require.NoError(t, json.Unmarshal([]byte(text), &request))
		require.Equal(t, "roster.example", request.RPID)
		require.Equal(t, "required", request.UserVerification)
		require.Equal(t, base64.RawURLEncoding.EncodeToString(own.ID), request.AllowCredentials[0].ID)
		text, other, err := rp.RequestOptions(nil)
		require.NoError(t, err)
		require.NotContains(t, text, "allowCredentials")
		require.NotEqual(t, challenge, other)
	})
	t.Run("AnAddressOfTheNetworkHasNoPasskeys", func(t *testing.T) {
		t.Parallel()
		for _, at := range []string{"http://127.0.0.1:8080", "http://[::1]:8080", "http://%"} {
			_, _, err := passkey.New(at).RequestOptions(nil)
			require.ErrorIs(t, err, passkey.ErrNoName, at)
			_, _, err = passkey.New(at).CreationOptions(passkey.Holder{Handle: handle, Name: "ada"})
			require.ErrorIs(t, err, passkey.ErrNoName, at)
		}
		_, _, err := passkey.New("http://localhost:8080").RequestOptions(nil)
		require.NoError(t, err)
	})
}

// lies are what a browser or an authenticator may say that is not so, and what is checked of it in both kinds of ceremonies.
var lies = map[string]func(key *testkit.Passkey){
	"R34 AnotherOrigin":            func(key *testkit.Passkey) { key.Origin = "https://roster.example.evil.example:8443" },
	"R34 AnotherPort":              func(key *testkit.Passkey) { key.Origin = "https://roster.example:8444" },
	"R34 AnotherScheme":            func(key *testkit.Passkey) { key.Origin = "http://roster.example:8443" },
	"R34 ASubdomain":               func(key *testkit.Passkey) { key.Origin = "https://evil.roster.example:8443" },
	"R34 AnotherRelyingParty":      func(key *testkit.Passkey) { key.RP = "example" },
	"R34 ItsOwnerWasNotLookedAt":   func(key *testkit.Passkey) { key.Unverified = true },
	"R34 AFrameOfAnotherOrigin":    func(key *testkit.Passkey) { key.Says = map[string]any{"crossOrigin": true} },
	"R34 AFrameBelowAnotherOrigin": func(key *testkit.Passkey) { key.Says = map[string]any{"crossOrigin": true, "topOrigin": key.Origin} },
	"R34 ATopOriginAlone":          func(key *testkit.Passkey) { key.Says = map[string]any{"topOrigin": key.Origin} },
}

func TestRegister(t *testing.T) {
	t.Parallel()
	register := func(t *testing.T, change func(*testkit.Passkey)) error {
		t.Helper()
		rp, key := passkey.New(publicURL), testkit.NewPasskey(t, publicURL)
		options, _, err := rp.CreationOptions(passkey.Holder{Handle: handle, Name: "ada"})
		require.NoError(t, err)
		change(key)
		creation, err := passkey.ParseCreation(key.Create(t, options))
		require.NoError(t, err)
		_, err = rp.Register(passkey.Holder{Handle: handle}, creation)
		return err
	}
	require.NoError(t, register(t, func(*testkit.Passkey) {}))
	for name, lie := range lies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Error(t, register(t, lie))
		})
	}
	t.Run("R34 WhatIsSignedIsNothingMade", func(t *testing.T) {
		t.Parallel()
		require.Error(t, register(t, func(key *testkit.Passkey) { key.Says = map[string]any{"type": "webauthn.get"} }))
	})
}

func TestVerify(t *testing.T) {
	t.Parallel()
	rp := passkey.New(publicURL)
	key, own := set(t, rp)
	verify := func(t *testing.T, key testkit.Passkey, own passkey.Credential) (used passkey.Credential, copied bool, err error) {
		t.Helper()
		options, _, err := rp.RequestOptions([]passkey.Credential{own})
		require.NoError(t, err)
		answer, err := passkey.ParseAnswer(key.Sign(t, options))
		require.NoError(t, err)
		require.Equal(t, key.Handle, answer.Handle)
		return rp.Verify(passkey.Holder{Handle: handle, Has: []passkey.Credential{own}}, answer)
	}
	used, copied, err := verify(t, *key, own)
	require.NoError(t, err)
	require.False(t, copied)
	require.Equal(t, own, used)
	for name, lie := range lies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			liar := *key
			lie(&liar)
			_, _, err := verify(t, liar, own)
			require.Error(t, err)
		})
	}
	for name, lie := range map[string]func(key *testkit.Passkey){
		"R34 WhatIsMadeIsNothingSigned":    func(key *testkit.Passkey) { key.Says = map[string]any{"type": "webauthn.create"} },
		"R34 AnotherChallenge":             func(key *testkit.Passkey) { key.Says = map[string]any{"challenge": strings.Repeat("A", 43)} },
		"R34 AnotherHandleThanItsOwners":   func(key *testkit.Passkey) { key.Handle = []byte("another") },
		"R34 AnotherPasskeyOfTheSameOwner": func(key *testkit.Passkey) { *key = *key.Another(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			liar := *key
			lie(&liar)
			options, challenge, err := rp.RequestOptions(nil)
			require.NoError(t, err)
			answer, err := passkey.ParseAnswer(liar.Sign(t, options))
			require.NoError(t, err)
			answer.Challenge = challenge
			_, _, err = rp.Verify(passkey.Holder{Handle: handle, Has: []passkey.Credential{own}}, answer)
			require.Error(t, err)
		})
	}
	t.Run("R34 CountingBackwardsTellsOfACopy", func(t *testing.T) {
		t.Parallel()
		counts := *key
		counts.Counter = 7
		used, copied, err := verify(t, counts, own)
		require.NoError(t, err)
		require.False(t, copied)
		require.EqualValues(t, 7, used.SignCount)
		for counter, want := range map[uint32]bool{6: true, 7: true, 0: true, 8: false} {
			counts.Counter = counter
			_, copied, err := verify(t, counts, used)
			require.NoError(t, err)
			require.Equal(t, want, copied, counter)
		}
	})
	t.Run("WhatIsNoAnswerIsNotRead", func(t *testing.T) {
		t.Parallel()
		for _, text := range []string{"", "{}", "null", `{"id":"AA"}`, strings.Repeat("[", 10_000), `{"id":"AA","rawId":"AA","type":"public-key","response":{}}`} {
			_, err := passkey.ParseAnswer(text)
			require.Error(t, err, text)
			_, err = passkey.ParseCreation(text)
			require.Error(t, err, text)
		}
	})
}
