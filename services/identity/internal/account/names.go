package account

import (
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/rosterhq/roster/pkg/fault"
	"github.com/rosterhq/roster/services/internal/email"
)

// ParseEmail reads an address from the named field.
func ParseEmail(field, text string) (email.Address, error) {
	address, ok := email.Parse(text)
	if !ok {
		return address, fault.Invalid(field, "must be an email address, such as ada@example.com")
	}
	if parsed, err := mail.ParseAddress(Mailbox(address)); err != nil || parsed.Address != Mailbox(address) {
		return address, fault.Invalid(field, "must be an email address, such as ada@example.com")
	}
	return address, nil
}

// Mailbox is where mail to the address goes: the local part as the person wrote it, at the domain that a mail
// server can look up.
func Mailbox(a email.Address) string {
	local, _, _ := strings.Cut(a.Display, "@")
	_, domain, _ := strings.Cut(a.Key, "@")
	return local + "@" + domain
}

// Username is a name to sign in with.
type Username struct {
	Display string // as written
	Key     string // compared: in lower case
}

// ParseUsername reads a username from the named field: 1 to 64 ASCII letters, digits, dots, underscores, hyphens.
// No two of them look alike.
func ParseUsername(field, text string) (Username, error) {
	if text == "" || len(text) > 64 {
		return Username{}, fault.Invalid(field, "must have 1 to 64 characters")
	}
	for _, r := range text {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '.', r == '_', r == '-':
		default:
			return Username{}, fault.Invalid(field, "must be made of the letters a to z, digits, and . _ -")
		}
	}
	return Username{Display: text, Key: strings.ToLower(text)}, nil
}

// maxDisplayName counts code points.
const maxDisplayName = 100

// ParseDisplayName reads a name as people show themselves: any script, one line. What would let a name change the
// text around it is refused: line breaks, control characters, marks that turn the direction of writing.
func ParseDisplayName(field, text string) (string, error) {
	if !utf8.ValidString(text) {
		return "", fault.Invalid(field, "must be UTF-8")
	}
	name := norm.NFC.String(strings.TrimSpace(text))
	if n := utf8.RuneCountInString(name); n < 1 || n > maxDisplayName {
		return "", fault.Invalid(field, "must have 1 to 100 characters")
	}
	if strings.ContainsFunc(name, disturbs) {
		return "", fault.Invalid(field, "must be one line of plain text")
	}
	return name, nil
}

func disturbs(r rune) bool {
	if r == '\u200c' || r == '\u200d' { // joiners: Persian and many emoji need them
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co)
}
