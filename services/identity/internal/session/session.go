// Package session is what a session is and when it ends. It does no I/O.
package session

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// Limits of sessions. They are longer than what NIST SP 800-63B suggests for AAL2, 1 h and 24 h: this is where
// people work all day, and every session can be seen and ended.
const (
	Idle     = 12 * time.Hour      // without use
	Absolute = 14 * 24 * time.Hour // in all
	Pending  = 10 * time.Minute    // in all, of a sign-in whose second factor is due
	Most     = 50                  // of one account; the oldest ends
	Touch    = time.Minute         // how exactly the time of the last use is known
)

// Refusals.
var (
	ErrNotFound        = fault.New(errorv1.Reason_REASON_SESSION_NOT_FOUND, "You have no such session.")
	ErrUnauthenticated = fault.New(errorv1.Reason_REASON_UNAUTHENTICATED, "The credential is unknown, expired or revoked. Sign in again.")
)

// Delivery is how the secret of a session reached the client, and how it must come back.
type Delivery string

// The deliveries.
const (
	Cookie Delivery = "COOKIE"
	Token  Delivery = "TOKEN"
)

// Stage is how far a sign-in has come, in the words of caller.Stage.
type Stage string

// The stages.
const (
	Complete     Stage = ""
	Challenge    Stage = "CHALLENGE"       // a second factor is due
	NextPassword Stage = "PASSWORD_CHANGE" // another password is
)

// Session is one sign-in of one person on one device.
type Session struct {
	AccountID   id.Account
	ID          id.Session
	Delivery    Delivery
	Stage       Stage
	Tries       int       // wrong answers to the challenge
	Level       int       // how many factors were proven
	AuthTime    time.Time // when
	CreateTime  time.Time
	LastUseTime time.Time
	ExpireTime  time.Time // at the latest
	UserAgent   string
	Address     string
	ProviderID  id.Provider // that its person came from; zero: none
}

// EndTime is when the session ends if it is not used again.
func (s Session) EndTime() time.Time {
	if idle := s.LastUseTime.Add(Idle); idle.Before(s.ExpireTime) {
		return idle
	}
	return s.ExpireTime
}

// Live tells whether the session is good.
func (s Session) Live(now time.Time) bool { return now.Before(s.EndTime()) }

// maxUserAgent is in bytes.
const maxUserAgent = 512

// Label is what a client calls itself, made fit to be stored and shown: one line, of limited length.
func Label(userAgent string) string {
	userAgent = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, userAgent)
	for len(userAgent) > maxUserAgent {
		_, size := utf8.DecodeLastRuneInString(userAgent)
		userAgent = userAgent[:len(userAgent)-size]
	}
	return userAgent
}
