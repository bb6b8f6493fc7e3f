// Package credential turns what a client presents into a caller. Identity resolves a session or a key into an
// internal token, good for one service and a minute; the service verifies the token by itself. Nothing here
// decides what a caller may do.
package credential

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json" // tells "Exp" from "exp" and refuses a name that comes twice

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
)

const (
	issuer    = "roster.identity"
	tokenType = "roster-internal+jwt"

	// Lifetime is the longest that a token may live.
	Lifetime = time.Minute
	leeway   = 10 * time.Second // between the clocks of two machines
	maxToken = 8 << 10
)

// SecretHeader is the header of an answer in which the gateway finds the secret of a new session, which it puts into a
// cookie. Only the gateway gets one: elsewhere a page's script could read the header.
const SecretHeader = "roster-session-secret"

// Claims is what a token says. Times are whole seconds.
type Claims struct {
	Account        id.Account        // the person; either this
	Operator       id.Operator       // or the operator
	ServiceAccount id.ServiceAccount // or the service account is set
	Organization   id.Organization   // whose the service account is; zero: the deployment's
	Session        id.Session        // optional
	Key            id.APIKey         // of a person's program, or of a service account; it comes with
	Scopes         []string          // the permissions or scopes that it is for, sorted
	Audience       string            // the one service that the token is for

	Stage    caller.Stage
	AuthTime time.Time // when they last proved who they are; zero: not known
	Level    int       // with how many factors
	Reach    int       // how many factors they have
	IssuedAt time.Time
	Expires  time.Time
}

// payload is the claims as they travel.
type payload struct {
	Issuer   string   `json:"iss"`
	Audience string   `json:"aud"` // never a list: a token for two services is a token for neither
	Subject  string   `json:"sub"`
	Org      string   `json:"org,omitempty"`
	Session  string   `json:"sid,omitempty"`
	Key      string   `json:"key,omitempty"`
	Scopes   []string `json:"scopes,omitempty"`
	Stage    string   `json:"stage,omitempty"`
	AuthTime int64    `json:"auth_time,omitempty"`
	Level    int      `json:"level,omitempty"`
	Reach    int      `json:"reach,omitempty"`
	IssuedAt int64    `json:"iat"`
	Expires  int64    `json:"exp"`
}

// Sign returns the token of the claims: a compact JWS (RFC 7515), EdDSA (RFC 8037). The key is an Ed25519
// private key with a key id.
func Sign(key jose.JSONWebKey, c Claims) (string, error) {
	switch {
	case key.KeyID == "":
		return "", errors.New("sign token: the key has no id")
	case subjects(c) != 1:
		return "", errors.New("sign token: the subject is one account, one operator or one service account")
	case !c.ServiceAccount.IsZero() && (c.Key.IsZero() || !c.Session.IsZero()):
		return "", errors.New("sign token: a service account has a key, and no session")
	case !c.Organization.IsZero() && c.ServiceAccount.IsZero():
		return "", errors.New("sign token: only a service account is of an organization")
	case c.Key.IsZero() != (len(c.Scopes) == 0):
		return "", errors.New("sign token: a key comes with scopes, and they with it")
	case c.Audience == "":
		return "", errors.New("sign token: no audience")
	case !c.Expires.After(c.IssuedAt), c.Expires.Sub(c.IssuedAt) > Lifetime:
		return "", fmt.Errorf("sign token: lifetime %s is not within %s", c.Expires.Sub(c.IssuedAt), Lifetime)
	}
	p := payload{
		Issuer:   issuer,
		Audience: c.Audience,
		Subject:  c.Account.String() + c.Operator.String() + c.ServiceAccount.String(), // all but one are empty
		Org:      c.Organization.String(),
		Session:  c.Session.String(),
		Key:      c.Key.String(),
		Scopes:   c.Scopes,
		Stage:    string(c.Stage),
		Level:    c.Level,
		Reach:    c.Reach,
		IssuedAt: c.IssuedAt.Unix(),
		Expires:  c.Expires.Unix(),
	}
	if !c.AuthTime.IsZero() {
		p.AuthTime = c.AuthTime.Unix()
	}
	body, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: key}, new(jose.SignerOptions).WithType(tokenType))
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	signed, err := signer.Sign(body)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return signed.CompactSerialize()
}

// parse takes a token apart and checks all of its form. Nothing in it is believed yet.
func parse(token string) (signed *jose.JSONWebSignature, keyID string, err error) {
	if len(token) > maxToken {
		return nil, "", errors.New("too long")
	}
	for part := range strings.SplitSeq(token, ".") {
		// Go's decoder skips line breaks and, unless strict, ignores bits of the last letter: many spellings of
		// one token. There is one.
		raw, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil || base64.RawURLEncoding.EncodeToString(raw) != part {
			return nil, "", errors.New("not canonical base64url")
		}
	}
	if signed, err = jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.EdDSA}); err != nil {
		return nil, "", err
	}
	header := signed.Signatures[0].Protected
	if typ, _ := header.ExtraHeaders[jose.HeaderType].(string); typ != tokenType {
		return nil, "", errors.New("not an internal token")
	}
	if _, ok := header.ExtraHeaders["crit"]; ok {
		return nil, "", errors.New("has critical headers")
	}
	if header.KeyID == "" {
		return nil, "", errors.New("no key id")
	}
	return signed, header.KeyID, nil
}

// read returns the claims of a token that the key has signed, for the audience, at the time now.
func read(signed *jose.JSONWebSignature, key ed25519.PublicKey, audience string, now time.Time) (c Claims, err error) {
	body, err := signed.Verify(key)
	if err != nil {
		return c, err
	}
	var p payload
	if err := json.Unmarshal(body, &p); err != nil {
		return c, err
	}
	c = Claims{Audience: p.Audience, Scopes: p.Scopes, Stage: caller.Stage(p.Stage), Level: p.Level, Reach: p.Reach, IssuedAt: time.Unix(p.IssuedAt, 0), Expires: time.Unix(p.Expires, 0)}
	switch {
	case p.Issuer != issuer:
		return c, errors.New("of another issuer")
	case p.Audience != audience || audience == "":
		return c, errors.New("for another service")
	case p.IssuedAt <= 0 || p.Expires <= 0:
		return c, errors.New("without times")
	case c.IssuedAt.After(now.Add(leeway)):
		return c, errors.New("from the future")
	case !c.Expires.After(c.IssuedAt) || c.Expires.Sub(c.IssuedAt) > Lifetime:
		return c, errors.New("lives too long")
	case expired(c, now):
		return c, errors.New("expired")
	}
	if p.AuthTime != 0 {
		c.AuthTime = time.Unix(p.AuthTime, 0)
	}
	switch kind, _, _ := strings.Cut(p.Subject, "_"); kind {
	case "opr":
		c.Operator, err = id.ParseOperator(p.Subject)
	case "sva":
		c.ServiceAccount, err = id.ParseServiceAccount(p.Subject)
	default:
		c.Account, err = id.ParseAccount(p.Subject)
	}
	if err == nil && p.Org != "" {
		c.Organization, err = id.ParseOrganization(p.Org)
	}
	if err == nil && !c.Organization.IsZero() && c.ServiceAccount.IsZero() {
		err = errors.New("of an organization, and no service account")
	}
	if err == nil && p.Session != "" {
		c.Session, err = id.ParseSession(p.Session)
	}
	if err == nil && p.Key != "" {
		c.Key, err = id.ParseAPIKey(p.Key)
	}
	if err == nil && c.Key.IsZero() != (len(c.Scopes) == 0) {
		err = errors.New("a key without scopes, or scopes without a key")
	}
	if err == nil && subjects(c) != 1 {
		err = errors.New("names nobody")
	}
	if err == nil && !c.ServiceAccount.IsZero() && (c.Key.IsZero() || p.Session != "") {
		err = errors.New("a service account without a key, or with a session")
	}
	return c, err
}

// subjects counts who the claims are about.
func subjects(c Claims) (n int) {
	for _, none := range []bool{c.Account.IsZero(), c.Operator.IsZero(), c.ServiceAccount.IsZero()} {
		if !none {
			n++
		}
	}
	return n
}

func expired(c Claims, now time.Time) bool { return !now.Before(c.Expires.Add(leeway)) }

// SessionOf returns the session in a token that identity has just given us, unverified; zero when there is none.
func SessionOf(token string) id.Session {
	session, _ := id.ParseSession(unverified(token).Session)
	return session
}

// credentialOf returns the session or the key in such a token.
func credentialOf(token string) id.Any {
	if key, err := id.ParseAPIKey(unverified(token).Key); err == nil {
		return id.Any(key)
	}
	return id.Any(SessionOf(token))
}

func unverified(token string) (p payload) {
	if parts := strings.Split(token, "."); len(parts) == 3 {
		if raw, err := base64.RawURLEncoding.DecodeString(parts[1]); err == nil {
			_ = json.Unmarshal(raw, &p) // what it is not is empty
		}
	}
	return p
}
