// Package mail writes and sends the messages Roster sends to people.
//
// Render turns typed data into the words of a message, and SMTP hands one message to one server. Who is
// written to, when, and how often to try again is decided elsewhere.
package mail

import (
	"errors"
	"fmt"
	netmail "net/mail"
	"regexp"
	"strings"
	"unicode"
)

// ErrPermanent marks a failure that no retry can mend: the server answered that the address does not exist or
// that it will never take the message, or the message is not fit to be sent to anyone.
var ErrPermanent = errors.New("mail cannot be delivered")

// Message is one mail, ready to be sent. Every field is required.
type Message struct {
	ID      string // local part of the Message-ID; the same at each attempt, so that a receiver can drop a second copy
	To      string // one bare address: ada@example.com
	Subject string
	Text    string
	HTML    string
}

// idPattern is stricter than RFC 5322: what a UUID or a slug is made of.
var idPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)

// check refuses a message whose fields could add a header or a recipient. The encoder below would also defuse
// most of these; refusing keeps the guarantee here, where it can be read.
func (m Message) check() error {
	to, err := netmail.ParseAddress(m.To)
	switch {
	case err != nil:
		return fmt.Errorf("recipient: %w", err)
	case to.Address != m.To:
		return errors.New("recipient is more than a bare address")
	case !idPattern.MatchString(m.ID):
		return errors.New("id is not fit for a Message-ID")
	case strings.ContainsFunc(m.Subject, unicode.IsControl):
		return errors.New("subject has a control character")
	case m.Subject == "" || m.Text == "" || m.HTML == "":
		return errors.New("subject, text and HTML are required")
	}
	return nil
}
