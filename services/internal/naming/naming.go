// Package naming decides what names people and organizations may take. What one service lets pass another must take: by
// then there may be nobody left to correct it.
package naming

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/rosterhq/roster/pkg/fault"
)

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

// ParseDisplayName reads a name as people and organizations show themselves: any script, one line. What would let a name change the
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
	if !strings.ContainsFunc(name, unicode.IsGraphic) {
		return "", fault.Invalid(field, "must have something to see")
	}
	return name, nil
}

func disturbs(r rune) bool {
	if r == '\u200c' || r == '\u200d' { // joiners: Persian and many emoji need them
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co)
}
