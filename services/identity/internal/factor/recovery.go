package factor

import (
	"crypto/rand"
	"crypto/sha256"
	"strings"

	"github.com/rosterhq/roster/services/internal/id"
)

const (
	recoveryCodes = 10
	recoveryBytes = 15 // 120 bits, 24 letters
	groupLetters  = 4
)

// RecoveryCode stands in for a factor, once.
type RecoveryCode struct {
	Hash []byte
	text string
}

// Text is the code itself, to be shown once. It has no String method, so that it does not slip into a log.
func (c RecoveryCode) Text() string { return c.text }

// NewRecoveryCodes makes the recovery codes of an account.
func NewRecoveryCodes(owner id.Account) []RecoveryCode {
	codes := make([]RecoveryCode, recoveryCodes)
	for i := range codes {
		var random [recoveryBytes]byte
		rand.Read(random[:]) // never fails, see crypto/rand
		letters := base.EncodeToString(random[:])
		var groups []string
		for len(letters) > 0 {
			groups, letters = append(groups, letters[:groupLetters]), letters[groupLetters:]
		}
		codes[i] = recoveryCode(owner, strings.Join(groups, "-"))
	}
	return codes
}

// ParseRecoveryCode reads a code as somebody typed it: in any case, with or without what separates the groups.
func ParseRecoveryCode(owner id.Account, typed string) RecoveryCode {
	return recoveryCode(owner, typed)
}

// recoveryCode hashes the letters with their owner: what is stored for one account says nothing about another's.
func recoveryCode(owner id.Account, text string) RecoveryCode {
	letters := strings.ToUpper(plain(text))
	hash := sha256.Sum256(append(owner[:], letters...))
	return RecoveryCode{Hash: hash[:], text: text}
}

// Digits reads a typed code of an authenticator app. ok is false when it can be none.
func Digits(typed string) (code string, ok bool) {
	code = plain(typed)
	return code, len(code) == digits && strings.Trim(code, "0123456789") == ""
}

// plain leaves out what people put between groups.
func plain(typed string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' {
			return -1
		}
		return r
	}, typed)
}
