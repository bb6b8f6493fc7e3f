// Package passkey is the relying party of WebAuthn: what authenticators are asked to make and to sign, and whether what they answer is
// right. It does no I/O, and is the only package that knows the library; whose a passkey is and what it opens, the verbs say.
package passkey

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

// Lifetime is how long a challenge may be answered.
const Lifetime = 5 * time.Minute

// Ceremony is what a challenge is for. One for another is no challenge.
type Ceremony string

// The ceremonies.
const (
	Create Ceremony = "CREATE"  // to set a passkey up
	Prove  Ceremony = "PROVE"   // to prove who is there, for somebody who is known
	SignIn Ceremony = "SIGN_IN" // to say who is there
)

// ErrNoName says that there can be no passkeys: they belong to a name, and people reach the suite at an address of the network.
var ErrNoName = errors.New("the public URL has no name that passkeys could belong to")

// RelyingParty is the suite, as authenticators know it.
type RelyingParty struct {
	lib *webauthn.WebAuthn // nil: it has no name
}

// New returns the relying party of what people reach at the URL. Passkeys belong to its host, and are used from its origin only.
func New(publicURL string) *RelyingParty {
	at, err := url.Parse(publicURL)
	if err != nil {
		return &RelyingParty{}
	}
	timeout := webauthn.TimeoutConfig{Timeout: Lifetime, TimeoutUVD: Lifetime}
	lib, err := webauthn.New(&webauthn.Config{
		RPID:                  at.Hostname(),
		RPDisplayName:         "Roster",
		RPOrigins:             []string{at.Scheme + "://" + at.Host},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementPreferred, UserVerification: protocol.VerificationRequired,
		},
		Timeouts: webauthn.TimeoutsConfig{Login: timeout, Registration: timeout},
		// No extension is asked for and none decides anything, but some authenticators answer all the same.
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore,
	})
	if err != nil {
		return &RelyingParty{}
	}
	return &RelyingParty{lib}
}

// Credential is a passkey, as we know it.
type Credential struct {
	ID        []byte // what its authenticator calls it
	PublicKey []byte
	SignCount uint32 // how often it was used, if its authenticator counts
	Syncable  bool   // its owner may have it on several devices; that never changes
}

// Holder is whose passkeys they are.
type Holder struct {
	Handle      []byte // what authenticators know them by; random
	Name        string // such as an address, to tell several accounts of one person apart
	DisplayName string
	Has         []Credential
}

// CreationOptions are what a browser makes a passkey with, as JSON, and the challenge in them. Another of an authenticator that has one of the holder's
// is not made.
func (r *RelyingParty) CreationOptions(who Holder) (options string, challenge []byte, err error) {
	if r.lib == nil {
		return "", nil, ErrNoName
	}
	creation, session, err := r.lib.BeginRegistration(user{who},
		webauthn.WithCredentialParameters(webauthn.CredentialParametersRecommendedL3()),
		webauthn.WithExclusions(webauthn.Credentials(user{who}.WebAuthnCredentials()).CredentialDescriptors()))
	if err != nil {
		return "", nil, fmt.Errorf("make options: %w", err)
	}
	return optionsOf(creation.Response, session.Challenge)
}

// RequestOptions are what a browser signs with one of these passkeys, as JSON, and the challenge in them. Of none: with
// whichever the person chooses.
func (r *RelyingParty) RequestOptions(of []Credential) (options string, challenge []byte, err error) {
	if r.lib == nil {
		return "", nil, ErrNoName
	}
	assertion, session, err := r.lib.BeginDiscoverableLogin()
	if err != nil {
		return "", nil, fmt.Errorf("make options: %w", err)
	}
	assertion.Response.AllowedCredentials = webauthn.Credentials(user{Holder{Has: of}}.WebAuthnCredentials()).CredentialDescriptors()
	return optionsOf(assertion.Response, session.Challenge)
}

func optionsOf(response any, encoded string) (options string, challenge []byte, err error) {
	text, err := json.Marshal(response)
	if err != nil {
		return "", nil, fmt.Errorf("write options: %w", err)
	}
	challenge, err = base64.RawURLEncoding.DecodeString(encoded)
	return string(text), challenge, err
}

// Creation is what a browser says of a passkey that it has made. Nothing of it is proven.
type Creation struct {
	Challenge []byte // that it answers
	parsed    *protocol.ParsedCredentialCreationData
}

// ParseCreation reads what a browser says.
func ParseCreation(text string) (c Creation, err error) {
	if c.parsed, err = protocol.ParseCredentialCreationResponseBytes([]byte(text)); err != nil {
		return c, fmt.Errorf("read a new passkey: %w", err)
	}
	c.Challenge, err = base64.RawURLEncoding.DecodeString(c.parsed.Response.CollectedClientData.Challenge)
	return c, err
}

// Answer is what a browser says that a passkey has signed. Nothing of it is proven.
type Answer struct {
	Challenge []byte // that it answers
	Handle    []byte // whose passkey it is said to be; empty: that is known
	parsed    *protocol.ParsedCredentialAssertionData
}

// ParseAnswer reads what a browser says.
func ParseAnswer(text string) (a Answer, err error) {
	if a.parsed, err = protocol.ParseCredentialRequestResponseBytes([]byte(text)); err != nil {
		return a, fmt.Errorf("read what a passkey has signed: %w", err)
	}
	a.Handle = a.parsed.Response.UserHandle
	a.Challenge, err = base64.RawURLEncoding.DecodeString(a.parsed.Response.CollectedClientData.Challenge)
	return a, err
}

// Register checks that the holder has made the passkey for us, here and now. That its challenge was ours, the caller has checked.
func (r *RelyingParty) Register(who Holder, c Creation) (made Credential, err error) {
	if r.lib == nil {
		return made, ErrNoName
	}
	in := sessionOf(who, c.Challenge)
	in.CredParams = webauthn.CredentialParametersRecommendedL3()
	found, err := r.lib.CreateCredential(user{who}, in, c.parsed)
	if err != nil {
		return made, fmt.Errorf("check a new passkey: %w", err)
	}
	return Credential{found.ID, found.PublicKey, found.Authenticator.SignCount, found.Flags.BackupEligible}, nil
}

// Verify checks that one of the holder's passkeys has signed the challenge for us, after its authenticator knew its owner. copied tells that it
// has counted backwards: somebody else may have it, too. That the challenge was ours, the caller has checked.
func (r *RelyingParty) Verify(who Holder, a Answer) (used Credential, copied bool, err error) {
	if r.lib == nil {
		return used, false, ErrNoName
	}
	found, err := r.lib.ValidateLogin(user{who}, sessionOf(who, a.Challenge), a.parsed)
	if err != nil {
		return used, false, fmt.Errorf("check what a passkey has signed: %w", err)
	}
	return Credential{found.ID, found.PublicKey, found.Authenticator.SignCount, found.Flags.BackupEligible}, found.Authenticator.CloneWarning, nil
}

// sessionOf is what the library remembers of a ceremony, as it was begun.
func sessionOf(who Holder, challenge []byte) webauthn.SessionData {
	return webauthn.SessionData{
		Challenge: base64.RawURLEncoding.EncodeToString(challenge), UserID: who.Handle, UserVerification: protocol.VerificationRequired,
	}
}

// user is a holder, for the library.
type user struct{ Holder }

func (u user) WebAuthnID() []byte          { return u.Handle }
func (u user) WebAuthnName() string        { return u.Name }
func (u user) WebAuthnDisplayName() string { return u.DisplayName }

func (u user) WebAuthnCredentials() []webauthn.Credential {
	all := make([]webauthn.Credential, len(u.Has))
	for i, one := range u.Has {
		all[i] = webauthn.Credential{
			ID: one.ID, PublicKey: one.PublicKey,
			Flags:         webauthn.CredentialFlags{BackupEligible: one.Syncable},
			Authenticator: webauthn.Authenticator{SignCount: one.SignCount},
		}
	}
	return all
}
