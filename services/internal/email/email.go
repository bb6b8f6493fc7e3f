// Package email decides when two spellings are one address. The display form is what the person wrote;
// the key is what is compared and stored as unique.
package email

import (
	"net/mail"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"

	"github.com/rosterhq/roster/pkg/fault"
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
	text = norm.NFC.String(strings.TrimSpace(text))
	local, domain, found := strings.Cut(text, "@")
	switch {
	case !found, local == "", len(text) > 254, len(local) > 64, !utf8.ValidString(text):
		return a, false
	case strings.ContainsAny(text, " \"(),:;<>[\\]"), strings.Contains(domain, "@"), strings.ContainsFunc(text, invisible):
		return a, false
	case strings.HasPrefix(local, "."), strings.HasSuffix(local, "."), strings.Contains(local, ".."):
		return a, false
	}
	ascii, ok := ParseDomain(domain)
	if !ok {
		return a, false
	}
	a = Address{Display: text, Key: lower(local) + "@" + ascii}
	if parsed, err := mail.ParseAddress(a.Mailbox()); err != nil || parsed.Address != a.Mailbox() { // what sends mail reads it so
		return Address{}, false
	}
	return a, true
}

// ParseDomain reads the domain of addresses, as lower-case A-labels. ok is false for what is none: one label, an IP address, a
// dot at the end, or what IDNA 2008 does not allow.
func ParseDomain(text string) (ascii string, ok bool) {
	ascii, err := profile.ToASCII(strings.ToLower(norm.NFC.String(text)))
	if err != nil || !strings.Contains(ascii, ".") || strings.HasSuffix(ascii, ".") {
		return "", false
	}
	if _, err := netip.ParseAddr(ascii); err == nil {
		return "", false
	}
	return ascii, true
}

// Domain is where the address is, as ParseDomain reads it.
func (a Address) Domain() string {
	_, domain, _ := strings.Cut(a.Key, "@")
	return domain
}

// invisible tells characters that nobody sees, or that change how others look.
func invisible(r rune) bool {
	return !unicode.IsGraphic(r) || unicode.In(r, unicode.Cf, unicode.Z, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point) || r == '\u2800' // a Braille cell without a dot
}

// lower folds ASCII letters only. Others fold across scripts, the Kelvin sign to k, and a mail server that knows both would
// then deliver the proof of one mailbox to another.
func lower(local string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, local)
}

// ParseField is Parse for a field of a request.
func ParseField(field, text string) (Address, error) {
	a, ok := Parse(text)
	if !ok {
		return a, fault.Invalid(field, "must be an email address, such as ada@example.com")
	}
	return a, nil
}

// Mailbox is where mail to the address goes: the local part as the person wrote it, at the domain that a mail server can
// look up.
func (a Address) Mailbox() string {
	local, _, _ := strings.Cut(a.Display, "@")
	return local + "@" + a.Domain()
}

// Mask hides most of an address: ada@example.com becomes a••@example.com.
func (a Address) Mask() string {
	local, domain, _ := strings.Cut(a.Display, "@")
	first, size := utf8.DecodeRuneInString(local)
	return string(first) + strings.Repeat("•", max(2, min(6, utf8.RuneCountInString(local[size:])))) + "@" + domain
}
