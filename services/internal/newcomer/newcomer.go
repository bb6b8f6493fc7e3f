// Package newcomer makes people the way they come: they sign up, follow the mail and sign in. The tests of whole suites, and
// the programs that put load on one, stand on it.
package newcomer

import (
	"context"
	"strings"

	"google.golang.org/grpc"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/devmail"
)

// Password is everybody's.
const Password = "plum harbor violin quartz"

// Person has an account and a session.
type Person struct{ ID, Email, Session string }

// Inbox waits for a mail to an address with a link that has the part in it, and returns what follows in the link.
type Inbox func(ctx context.Context, to, part string) (secret string, err error)

// In is the inbox of a suite whose mail goes there.
func In(mails *devmail.Inbox) Inbox {
	return func(ctx context.Context, to, part string) (secret string, err error) {
		_, err = mails.Wait(ctx, to, func(m devmail.Received) (found bool) {
			for _, link := range m.Links {
				if _, after, has := strings.Cut(link, part); has {
					secret, found = after, true
				}
			}
			return found
		})
		return secret, err
	}
}

// SignUp makes one more person.
func SignUp(ctx context.Context, conn grpc.ClientConnInterface, inbox Inbox, email string) (p Person, err error) {
	accounts, sessions := identityv1.NewAccountServiceClient(conn), identityv1.NewSessionServiceClient(conn)
	if _, err = Patient(func() (*identityv1.SignUpResponse, error) {
		return accounts.SignUp(ctx, &identityv1.SignUpRequest{Email: email, Password: Password, DisplayName: "Ada " + email})
	}); err != nil {
		return p, err
	}
	token, err := inbox(ctx, email, "/verify/")
	if err != nil {
		return p, err
	}
	verified, err := accounts.VerifyEmail(ctx, &identityv1.VerifyEmailRequest{Token: token})
	if err != nil {
		return p, err
	}
	session, err := Patient(func() (*identityv1.CreateSessionResponse, error) {
		return sessions.CreateSession(ctx, &identityv1.CreateSessionRequest{
			Email: email, Password: Password, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
	})
	return Person{verified.GetAccount().GetId(), email, session.GetToken()}, err
}

// Patient repeats a call that was refused because many passwords are hashed at once. Nothing was begun by it.
func Patient[A any](call func() (A, error)) (A, error) {
	for {
		answer, err := call()
		if fault.ReasonOf(err) != errorv1.Reason_REASON_BUSY {
			return answer, err
		}
	}
}
