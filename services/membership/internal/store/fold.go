package store

import (
	"strings"
	"unicode"

	"golang.org/x/text/runes"
	"golang.org/x/text/transform"
	"golang.org/x/text/unicode/norm"
)

// foldLimit bounds folded text, so that it always fits into an index.
const foldLimit = 200

// fold makes text comparable: without case, accents, and superfluous white space.
func fold(text string) string {
	plain, _, err := transform.String(transform.Chain(norm.NFKD, runes.Remove(runes.In(unicode.Mn)), runes.Remove(runes.In(unicode.C))), text)
	if err != nil {
		plain = text // these transformers do not fail
	}
	folded := []rune(strings.Join(strings.Fields(strings.ToLower(plain)), " "))
	return string(folded[:min(len(folded), foldLimit)])
}

// like escapes text for the inside of a LIKE pattern.
var like = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)
