package federation

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rosterhq/roster/services/internal/naming"
)

// maxSubject is what OpenID Connect allows.
const maxSubject = 255

// Fresh is how long ago somebody may have proven who they are who was asked to do it anew: clocks differ, and people type.
const Fresh = 10 * time.Minute

// Person is who the provider says has come.
type Person struct {
	Subject       string
	Email         string
	EmailVerified bool // the provider says so, in so many words
	Name          string
	AuthTime      time.Time // when they have proven it there; zero: it does not say
}

// Claims are what a provider signs, or tells whoever has its access token.
type Claims struct {
	Subject           string          `json:"sub"`
	AuthorizedParty   string          `json:"azp"`
	Nonce             string          `json:"nonce"`
	AuthTime          json.Number     `json:"auth_time"`
	Email             string          `json:"email"`
	EmailVerified     json.RawMessage `json:"email_verified"`
	Name              string          `json:"name"`
	PreferredUsername string          `json:"preferred_username"`
}

// Person is who the claims are about; ok is false for nobody. Whether an address is proven, the boolean says and nothing that looks like it:
// providers let people write the text.
func (c Claims) Person() (p Person, ok bool) {
	if c.Subject == "" || len(c.Subject) > maxSubject || !utf8.ValidString(c.Subject) || strings.ContainsRune(c.Subject, 0) {
		return p, false
	}
	p = Person{Subject: c.Subject, Email: c.Email, EmailVerified: c.Email != "" && bytes.Equal(c.EmailVerified, []byte("true"))}
	if seconds, err := c.AuthTime.Int64(); err == nil && seconds > 0 {
		p.AuthTime = time.Unix(seconds, 0).UTC()
	}
	local, _, _ := strings.Cut(c.Email, "@")
	for _, name := range []string{c.Name, c.PreferredUsername, local, "Someone"} {
		if p.Name, _ = naming.ParseDisplayName("name", name); p.Name != "" {
			break
		}
	}
	return p, true
}

// ProvenAt is when the person has proven who they are, as far as we can know; the beginning of time when we cannot. ok is false when that is
// not good enough: they were asked to do it anew.
func (p Person) ProvenAt(f Flow, now time.Time) (at time.Time, ok bool) {
	at = p.AuthTime
	if at.After(now) {
		at = now
	}
	if at.IsZero() {
		at = time.Unix(0, 0).UTC()
	}
	return at, !f.Again || now.Sub(at) <= Fresh
}
