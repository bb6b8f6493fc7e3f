package testkit

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/url"
	"testing"

	"github.com/descope/virtualwebauthn"
	"github.com/stretchr/testify/require"
)

// Passkey is an authenticator with one passkey, and the browser before it. What it says can be changed, to lie.
type Passkey struct {
	Origin     string         // of the page that asks
	RP         string         // whom the page asks for
	Handle     []byte         // whose passkey it is
	Counter    uint32         // how often it says that it was used
	Unverified bool           // it has not looked who its owner is
	Says       map[string]any // what else, or in place of what, the browser says

	credential virtualwebauthn.Credential
}

// NewPasskey returns a passkey for what people reach at the URL.
func NewPasskey(t testing.TB, publicURL string) *Passkey {
	t.Helper()
	at, err := url.Parse(publicURL)
	require.NoError(t, err)
	const length = 77 // of a key whose coordinates do not begin with a zero, which the library would cut
	made := virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
	for len(made.Key.AttestationData()) != length {
		made = virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
	}
	return &Passkey{Origin: at.Scheme + "://" + at.Host, RP: at.Hostname(), credential: made}
}

func (p *Passkey) parts() (virtualwebauthn.RelyingParty, virtualwebauthn.Authenticator, virtualwebauthn.Credential) {
	credential, key := p.credential, *p.credential.Key // signing writes to the key
	credential.Counter, credential.Key = p.Counter, &key
	return virtualwebauthn.RelyingParty{ID: p.RP, Origin: p.Origin},
		virtualwebauthn.NewAuthenticatorWithOptions(virtualwebauthn.AuthenticatorOptions{UserHandle: p.Handle, UserNotVerified: p.Unverified}), credential
}

// Create answers the options of a ceremony that sets a passkey up, and keeps whose it is. Nobody attests for the authenticator.
func (p *Passkey) Create(t testing.TB, options string) string {
	t.Helper()
	parsed, err := virtualwebauthn.ParseAttestationOptions(options)
	require.NoError(t, err)
	p.Handle = []byte(parsed.UserID)
	rp, authenticator, credential := p.parts()
	return rewrite(t, virtualwebauthn.CreateAttestationResponse(rp, authenticator, credential, *parsed), func(response map[string]string) {
		object := decode(t, response["attestationObject"])
		_, data, found := bytes.Cut(object, []byte("authData")) // its last member
		require.True(t, found)
		response["attestationObject"] = encode(append([]byte("\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData"), data...))
		response["clientDataJSON"] = encode(p.say(t, response["clientDataJSON"]))
	})
}

// Sign answers the options of a ceremony that proves who is there.
func (p *Passkey) Sign(t testing.TB, options string) string {
	t.Helper()
	parsed, err := virtualwebauthn.ParseAssertionOptions(options)
	require.NoError(t, err)
	rp, authenticator, credential := p.parts()
	return rewrite(t, virtualwebauthn.CreateAssertionResponse(rp, authenticator, credential, *parsed), func(response map[string]string) {
		said := p.say(t, response["clientDataJSON"])
		hash := sha256.Sum256(said)
		signed := sha256.Sum256(append(decode(t, response["authenticatorData"]), hash[:]...))
		signature, err := credential.Key.Sign(signed[:])
		require.NoError(t, err)
		response["clientDataJSON"], response["signature"] = encode(said), encode(signature)
	})
}

// Another is a passkey of somebody who says to be the owner of this one.
func (p *Passkey) Another(t testing.TB) *Passkey {
	t.Helper()
	other := NewPasskey(t, p.Origin)
	other.Handle = p.Handle
	return other
}

// say returns what the browser says of the ceremony.
func (p *Passkey) say(t testing.TB, encoded string) []byte {
	t.Helper()
	said := map[string]any{}
	require.NoError(t, json.Unmarshal(decode(t, encoded), &said))
	maps.Copy(said, p.Says)
	text, err := json.Marshal(said)
	require.NoError(t, err)
	return text
}

// rewrite changes the response of an answer.
func rewrite(t testing.TB, answer string, change func(response map[string]string)) string {
	t.Helper()
	var whole map[string]any
	require.NoError(t, json.Unmarshal([]byte(answer), &whole))
	response := map[string]string{}
	for name, value := range whole["response"].(map[string]any) {
		response[name] = value.(string)
	}
	change(response)
	whole["response"] = response
	text, err := json.Marshal(whole)
	require.NoError(t, err)
	return string(text)
}

func decode(t testing.TB, text string) []byte {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(text)
	require.NoError(t, err)
	return raw
}

func encode(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }
