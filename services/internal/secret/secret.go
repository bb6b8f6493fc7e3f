// Package secret makes and reads what opens something: links in mails, sessions, keys of operators. A secret
// names its owner's row and carries 256 random bits; what is stored is a hash of the whole.
package secret

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/rosterhq/roster/services/internal/id"
)

// Kind tells secrets of one purpose from those of another. One is never good as the other.
type Kind struct {
	prefix   string
	checksum bool // lets scanners of leaked secrets tell a key from what looks like one
}

// The kinds of secrets.
var (
	Link            = Kind{}
	Session         = Kind{prefix: "rst_"}
	OperatorKey     = Kind{prefix: "rok_", checksum: true}
	APIKey          = Kind{prefix: "rak_", checksum: true}
	ServiceKey      = Kind{prefix: "rsk_", checksum: true}
	OrganizationKey = Kind{prefix: "rsok_", checksum: true} // of a service account of an organization, whose id it carries
)

const (
	randomBytes   = 32
	checksumBytes = 6
)

// Secret is the text of a secret that was just made, or presented, and what is looked up by it.
type Secret struct {
	Owner id.Any // whose row it is
	Hash  []byte // SHA-256 of the text
	text  string
}

// Text is the secret itself, to be shown once. It has no String method, so that it does not slip into a log.
func (s Secret) Text() string { return s.text }

// New makes a secret.
func New[K any](kind Kind, owner id.ID[K]) Secret {
	var random [randomBytes]byte
	rand.Read(random[:]) // never fails, see crypto/rand
	return Derived(kind, owner, random)
}

// Derived makes a secret of bytes that nobody else can know.
func Derived[K any](kind Kind, owner id.ID[K], random [randomBytes]byte) Secret {
	text := kind.prefix + base64.RawURLEncoding.EncodeToString(append(owner[:], random[:]...))
	if kind.checksum {
		text += checksum(text)
	}
	return secret(id.Any(owner), text)
}

// Parse reads a secret as it was presented. There is one spelling of it: what is cut, longer or changed in case is
// not a secret.
func Parse(kind Kind, text string) (s Secret, ok bool) {
	body, ok := strings.CutPrefix(text, kind.prefix)
	if !ok {
		return s, false
	}
	if kind.checksum {
		end := len(text) - base64.RawURLEncoding.EncodedLen(checksumBytes)
		if end < len(kind.prefix) || checksum(text[:end]) != text[end:] {
			return s, false
		}
		body = text[len(kind.prefix):end]
	}
	var owner id.Any
	raw, err := base64.RawURLEncoding.DecodeString(body)
	// Encoding again catches line breaks, which the decoder skips.
	if err != nil || len(raw) != len(owner)+randomBytes || base64.RawURLEncoding.EncodeToString(raw) != body {
		return s, false
	}
	copy(owner[:], raw)
	return secret(owner, text), true
}

func secret(owner id.Any, text string) Secret {
	hash := sha256.Sum256([]byte(text))
	return Secret{Owner: owner, Hash: hash[:], text: text}
}

func checksum(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:checksumBytes])
}
