package reseal_test

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/saga"
)

// counter is a mail server that takes everything.
type counter struct{ sent int }

func (c *counter) Send(context.Context, mail.Message) error {
	c.sent++
	return nil
}

func task(organization, key id.Any) saga.Task { return saga.For(organization, mail.TaskKind, key) }

// expand is how a key is made for a purpose.
func expand(secret [32]byte, purpose string) [32]byte {
	derived, err := hkdf.Key(sha256.New, secret[:], nil, purpose, 32)
	if err != nil {
		panic(err) // the length is right
	}
	return [32]byte(derived)
}
