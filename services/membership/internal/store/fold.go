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
	folded := []rune(strings.Join(strings.Fields(plainly.Replace(strings.ToLower(plain))), " "))
	return string(folded[:min(len(folded), foldLimit)])
}

// plainly writes letters that Unicode does not take apart as those do who have no such key, and the sigma at the end of a word as any other.
var plainly = strings.NewReplacer("ß", "ss", "æ", "ae", "œ", "oe", "ø", "o", "ł", "l", "đ", "d", "ð", "d", "þ", "th", "ı", "i", "ς", "σ")

// like escapes text for the inside of a LIKE pattern.
var like = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)
