package invitation_test

import (
	"context"
	"regexp"
	"slices"
	"sync"

	"github.com/rosterhq/roster/services/internal/mail"
)

// postbox is a mail server. answer, if set, decides about each mail.
type postbox struct {
	mu     sync.Mutex
	sent   []mail.Message
	answer func(mail.Message) error
}

func (b *postbox) Send(_ context.Context, m mail.Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.answer != nil {
		if err := b.answer(m); err != nil {
			return err
		}
	}
	b.sent = append(b.sent, m)
	return nil
}

var invitationLink = regexp.MustCompile(`/invite/(\S+)`)

// link returns the token in the latest mail to an address; empty when there is none.
func (b *postbox) link(address string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range slices.Backward(b.sent) {
		if found := invitationLink.FindStringSubmatch(m.Text); m.To == address && found != nil {
			return found[1]
		}
	}
	return ""
}
