package account

import (
	_ "embed"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
)

// Lengths of passwords, in code points. Length is what makes a password hard to guess, so that there are no rules
// about kinds of characters.
const (
	minPassword = 15
	maxPassword = 256
)

// ErrPasswordRefused is the fault of every password that the policy refuses; its metadata `rule` says which rule.
var ErrPasswordRefused = refusePassword("", "does not meet the policy")

// ErrTemporary refuses to keep the password that somebody else has seen.
var ErrTemporary = refusePassword("TEMPORARY", "must be another than the temporary one")

func refusePassword(rule, says string) *fault.Fault {
	return &fault.Fault{
		Reason:   errorv1.Reason_REASON_PASSWORD_REFUSED,
		Message:  "The password " + says + ".",
		Metadata: map[string]string{"rule": rule},
		Fields:   []fault.Field{{Name: "password", Reason: says}},
	}
}

// NormalizePassword is the form in which passwords are hashed and compared, OpaqueString of RFC 8265: composed characters are one
// character however they were typed, and every kind of space is a space. Nothing is trimmed, cut or folded.
func NormalizePassword(text string) string {
	return norm.NFC.String(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Zs, r) {
			return ' '
		}
		return r
	}, text))
}

// ParsePassword checks a new password and returns the form to hash. context is what belongs to the person, such as
// name, address and organization: a password must not consist of that.
func ParsePassword(text string, context ...string) (string, error) {
	if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return "", refusePassword("ENCODING", "must be text without control characters")
	}
	password := NormalizePassword(text)
	switch n := utf8.RuneCountInString(password); {
	case n < minPassword:
		return "", refusePassword("TOO_SHORT", "must have at least 15 characters; a few unrelated words do well")
	case n > maxPassword, len(text) > 1024:
		return "", refusePassword("TOO_LONG", "must have at most 256 characters")
	}
	if easy(password, nil) {
		return "", refusePassword("COMMON", "is made of common passwords, repetitions or rows of keys; choose a few unrelated words")
	}
	if easy(password, wordsOf(context)) {
		return "", refusePassword("CONTEXT", "is made of your name, your address or the name of the service; choose a few unrelated words")
	}
	return password, nil
}

// Words of the product itself, part of everybody's context.
var productWords = []string{"roster", "rosterhq"}

// wordsOf returns the words, of three letters or more, that a context is made of.
func wordsOf(context []string) []string {
	words := productWords
	for _, text := range context {
		folded := strings.ToLower(NormalizePassword(text))
		for _, word := range strings.FieldsFunc(folded, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
			if utf8.RuneCountInString(word) >= 3 && len(words) < 200 {
				words = append(words[:len(words):len(words)], word)
			}
		}
	}
	return words
}

//go:embed common.txt
var commonFile string

// common are the passwords that people choose first, and the words that they are made of.
var common = func() (words []string) {
	for line := range strings.Lines(commonFile) {
		if word := strings.TrimSpace(line); word != "" && !strings.HasPrefix(word, "#") {
			words = append(words, word)
		}
	}
	return words
}()

// rows are what fingers run along, and alphabets.
var rows = func() (rows [][]rune) {
	for _, row := range []string{
		"abcdefghijklmnopqrstuvwxyz", "01234567890123456789",
		"qwertyuiop[]", "asdfghjkl;'", "zxcvbnm,./", "qwertyuiopasdfghjklzxcvbnm", "azertyuiopqsdfghjklmwxcvbn", "qwertzuiopasdfghjklyxcvbnm",
		"!@#$%^&*()_+", "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/", "1qaz@wsx3edc4rfv", "1q2w3e4r5t6y7u8i9o0p", "q1w2e3r4t5y6u7i8o9p0",
		"qazwsxedcrfvtgbyhnujmikolp", "zaqxswcdevfrbgtnhymjukilop", "zaq12wsxcde34rfvbgt56yhn", "a1b2c3d4e5f6g7h8i9j0", "1a2b3c4d5e6f7g8h9i0j",
		"aabbccddeeffgghhiijjkkll", "11223344556677889900", "112233445566778899001122",
		"fedcba9876543210", "0123456789abcdef", "147258369", "159357", "789456123",
	} {
		forward := []rune(row)
		backward := make([]rune, len(forward))
		for i, r := range forward {
			backward[len(forward)-1-i] = r
		}
		rows = append(rows, forward, backward)
	}
	return rows
}()

// enough is how many guesses' worth of pieces a password must be made of. A character that belongs to no pattern
// counts one, a common word counts one, up to four digits count one; rows of keys, repeated characters, separators
// and words of the context count nothing.
const enough = 4

// easy tells whether a password, however long, is a short one in disguise.
func easy(password string, context []string) bool {
	text := []rune(strings.ToLower(password))
	if unit := repeatedUnit(text); unit <= 10 && unit < len(text) {
		return true
	}
	// cheapest[i] is the least that the characters from i on can count.
	cheapest := make([]int, len(text)+1)
	for i := len(text) - 1; i >= 0; i-- {
		rest := text[i:]
		best := 1 + cheapest[i+1]
		take := func(n, counts int) {
			if n > 0 {
				best = min(best, counts+cheapest[i+n])
			}
		}
		if separates(rest[0]) {
			take(1, 0)
		}
		if n := runOfSame(rest); n >= 3 {
			take(n, 0)
		}
		for n := 1; n <= 4 && n <= len(rest) && unicode.IsDigit(rest[n-1]); n++ {
			take(n, 1)
		}
		for n := runAlongRow(rest); n >= 4; n-- {
			take(n, 0)
		}
		for _, word := range context {
			take(prefixed(rest, word), 0)
		}
		for _, word := range common {
			take(prefixed(rest, word), 1)
		}
		cheapest[i] = best
	}
	return cheapest[0] < enough
}

// repeatedUnit returns the length of the shortest text that, repeated, gives the whole; the last may be cut off.
func repeatedUnit(text []rune) int {
	for unit := 1; unit <= len(text)/2; unit++ {
		whole := true
		for i := unit; i < len(text) && whole; i++ {
			whole = text[i] == text[i-unit]
		}
		if whole {
			return unit
		}
	}
	return len(text)
}

func separates(r rune) bool { return strings.ContainsRune(" -_.,", r) }

func runOfSame(text []rune) int {
	n := 1
	for n < len(text) && text[n] == text[0] {
		n++
	}
	return n
}

// runAlongRow returns how many characters follow one row of keys.
func runAlongRow(text []rune) (longest int) {
	for _, row := range rows {
		for start := range row {
			n := 0
			for n < len(text) && start+n < len(row) && text[n] == row[start+n] {
				n++
			}
			longest = max(longest, n)
		}
	}
	return longest
}

// prefixed returns how many characters of text are the word when text begins with it: also in letters that look like
// its own, and spelled with separators.
func prefixed(text []rune, word string) (n int) {
	for i, letter := range word {
		for i > 0 && n < len(text) && separates(text[n]) {
			n++
		}
		if n == len(text) || text[n] != letter && !strings.ContainsRune(lookalikes[letter], text[n]) {
			return 0
		}
		n++
	}
	return n
}

var lookalikes = map[rune]string{
	'a': "@4", 'b': "8", 'e': "3", 'g': "9", 'i': "1!|", 'l': "1|!", 'o': "0", 's': "$5", 't': "7+", 'z': "2",
}
