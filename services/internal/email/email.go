// Package email decides when two spellings are one address. The display form is what the person wrote;
// the key is what is compared and stored as unique.
package email

import (
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Address is one mail address.
type Address struct {
	Display string // as written, without white space around it
	Key     string // compared: the local part in lower case, the domain as lower-case A-labels
}

// profile turns a domain into A-labels and refuses what IDNA 2008 does not allow.
var profile = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(true), idna.ValidateLabels(true), idna.VerifyDNSLength(true))

// Parse reads one bare address. Dots and plus signs in the local part mean something (RFC 5321 leaves them to the
// receiver), so they stay. ok is false for anything that is not a bare address on a named domain.
func Parse(text string) (a Address, ok bool) {
	text = strings.TrimSpace(text)
	local, domain, found := strings.Cut(text, "@")
	switch {
	case !found, local == "", len(text) > 254, len(local) > 64, !utf8.ValidString(text):
		return a, false
	case strings.ContainsAny(text, " \"(),:;<>[\\]"), strings.Contains(domain, "@"), strings.IndexFunc(text, unicode.IsControl) >= 0:
		return a, false
	case strings.HasPrefix(local, "."), strings.HasSuffix(local, "."), strings.Contains(local, ".."):
		return a, false
	}
	ascii, err := profile.ToASCII(strings.ToLower(domain))
	if err != nil || !strings.Contains(ascii, ".") {
		return a, false
	}
	if _, err := netip.ParseAddr(ascii); err == nil {
		return a, false
	}
	return Address{Display: text, Key: strings.ToLower(local) + "@" + ascii}, true
}

// Mask hides most of an address: ada@example.com becomes a••@example.com.
func (a Address) Mask() string {
	local, domain, _ := strings.Cut(a.Display, "@")
	first, size := utf8.DecodeRuneInString(local)
	return string(first) + strings.Repeat("•", max(2, min(6, utf8.RuneCountInString(local[size:])))) + "@" + domain
}
