// Package naming decides what names people and organizations may take. What one service lets pass another must take: by
// then there may be nobody left to correct it.
package naming

import (
	"fmt"
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

// ParseDisplayName reads a name as people and organizations show themselves: 1 to 100 characters, see ParseLine.
func ParseDisplayName(field, text string) (string, error) { return ParseLine(field, text, 1, 100) }

// ParseLine reads words that are shown: any script, one line of least to most characters. What would let them change the
// text around them is refused: line breaks, control characters, marks that turn the direction of writing.
func ParseLine(field, text string, least, most int) (string, error) {
	if !utf8.ValidString(text) {
		return "", fault.Invalid(field, "must be UTF-8")
	}
	line := norm.NFC.String(strings.TrimSpace(text))
	if n := utf8.RuneCountInString(line); n < least || n > most {
		return "", fault.Invalid(field, fmt.Sprintf("must have %d to %d characters", least, most))
	}
	if strings.ContainsFunc(line, disturbs) {
		return "", fault.Invalid(field, "must be one line of plain text")
	}
	if line != "" && !strings.ContainsFunc(line, visible) {
		return "", fault.Invalid(field, "must have something to see")
	}
	return line, nil
}

// visible tells what shows by itself: some letters are there to hold a place, and a Braille cell may have no dot.
func visible(r rune) bool {
	return unicode.IsGraphic(r) && !unicode.In(r, unicode.Z, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point) && r != '\u2800'
}

func disturbs(r rune) bool {
	if r == '\u200c' || r == '\u200d' { // joiners: Persian and many emoji need them
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co)
}
