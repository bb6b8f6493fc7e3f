package factor

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // what authenticator apps know; HMAC does not need more of it
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/url"
	"time"
)

// What every authenticator app assumes.
const (
	step   = 30 // seconds
	digits = 6
	modulo = 1_000_000 // 10 to the digits
)

// window is how many steps a code may be early or late.
const window = 1

// secretBytes is as many as the hash has.
const secretBytes = sha1.Size

var base = base32.StdEncoding.WithPadding(base32.NoPadding)

// Secret is what an authenticator app and we know.
type Secret []byte

// NewSecret makes a secret of 160 random bits.
func NewSecret() Secret {
	s := make(Secret, secretBytes)
	rand.Read(s) // never fails, see crypto/rand
	return s
}

// Text is the secret as people type it into an app.
func (s Secret) Text() string { return base.EncodeToString(s) }

// URI is the secret as apps read it from a picture. account tells its entry in the app from others.
func (s Secret) URI(account string) string {
	const issuer = "Roster"
	values := url.Values{"secret": {s.Text()}, "issuer": {issuer}}
	return "otpauth://totp/" + url.PathEscape(issuer) + ":" + url.PathEscape(account) + "?" + values.Encode()
}

// Code is the code of a time step: RFC 4226 on the step's number.
func (s Secret) Code(at int64) string {
	mac := hmac.New(sha1.New, s)
	_ = binary.Write(mac, binary.BigEndian, at) // a hash takes everything
	sum := mac.Sum(nil)
	offset := sum[len(sum)-1] & 0xf
	number := binary.BigEndian.Uint32(sum[offset:]) & 0x7fffffff
	return fmt.Sprintf("%0*d", digits, number%modulo)
}

// StepAt is the time step of a time.
func StepAt(now time.Time) int64 { return now.Unix() / step }

// Match finds the step whose code this is, after the last that was used, and not further than the window from now.
func (s Secret) Match(code string, last int64, now time.Time) (at int64, ok bool) {
	middle := StepAt(now)
	for i := middle - window; i <= middle+window; i++ { // of two with one code the later, so that both are used up
		if subtle.ConstantTimeCompare([]byte(s.Code(i)), []byte(code)) == 1 && i > last {
			at, ok = i, true
		}
	}
	return at, ok
}
