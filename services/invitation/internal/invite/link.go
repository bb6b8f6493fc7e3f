package invite

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/rosterhq/roster/services/internal/id"
)

// Token is the secret of one generation of one invitation: its organization, so that every lookup knows whose it
// is, and 256 random bits. Only its hash is stored.
type Token struct {
	Organization id.Organization
	secret       [32]byte
}

// NewToken makes a token.
func NewToken(organization id.Organization) Token {
	t := Token{Organization: organization}
	rand.Read(t.secret[:]) // never fails, see crypto/rand
	return t
}

// ParseToken reads the last segment of a link. Any text that NewToken did not make is ErrLinkInvalid, here or when
// its hash is looked up.
func ParseToken(text string) (Token, error) {
	organization, secret, _ := strings.Cut(text, ".")
	org, err := id.ParseOrganization(organization)
	if err != nil {
		return Token{}, ErrLinkInvalid
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(secret)
	if err != nil || len(raw) != 32 || len(secret) != base64.RawURLEncoding.EncodedLen(32) { // the decoder skips line breaks
		return Token{}, ErrLinkInvalid
	}
	return Token{Organization: org, secret: [32]byte(raw)}, nil
}

// String is the last segment of the link.
func (t Token) String() string {
	return t.Organization.String() + "." + base64.RawURLEncoding.EncodeToString(t.secret[:])
}

// Hash is what is stored.
func (t Token) Hash() []byte {
	sum := sha256.Sum256(t.secret[:])
	return sum[:]
}
