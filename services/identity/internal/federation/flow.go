package federation

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"time"

	"github.com/rosterhq/roster/services/internal/id"
)

// Lifetime is how long somebody may take at the provider.
const Lifetime = 10 * time.Minute

// Flow is a sign-in that somebody has begun, and that goes on at the provider. It is kept by the browser that began it and nobody else, sealed:
// that only this browser comes back with it binds the answer to it, and strangers who begin sign-ins fill no table. Only that it was
// used is remembered here.
type Flow struct {
	ID       id.Flow
	Provider id.Provider
	Version  int64  // of the provider
	State    string // comes back with the answer
	Nonce    string // comes back in what the provider signs
	Verifier string // of PKCE, RFC 7636; the provider has heard its hash
	Again    bool   // the person has to prove anew who they are
	Begun    time.Time
	Link     Link // what it is to link; zero: it signs in
}

// Link is who has begun to link a provider: what comes back is for nobody else, and for no other session.
type Link struct {
	Account id.Account
	Session id.Session
}

// NewFlow begins a sign-in.
func NewFlow(at Provider, again bool, now time.Time) Flow {
	return Flow{
		ID: id.NewFlow(), Provider: at.ID, Version: at.Version, State: rand.Text() + rand.Text(), Nonce: rand.Text() + rand.Text(), Verifier: rand.Text() + rand.Text(),
		Again: again, Begun: now.UTC().Truncate(time.Second),
	}
}

// Text is the flow in the clear, to be sealed.
func (f Flow) Text() []byte {
	text, err := json.Marshal(f)
	if err != nil {
		panic(err) // it holds nothing that cannot be written
	}
	return text
}

// ParseFlow reads what Text wrote.
func ParseFlow(text []byte) (f Flow, err error) { return f, json.Unmarshal(text, &f) }

// Answers tells whether somebody who comes back to the provider's redirect URI with the state has begun this, and for the same. When the provider was
// changed meanwhile, it may be another one.
func (f Flow) Answers(at Provider, state string, to Link, now time.Time) bool {
	return f.Provider == at.ID && f.Version == at.Version && f.Link == to && now.Before(f.End()) &&
		subtle.ConstantTimeCompare([]byte(f.State), []byte(state)) == 1
}

// End is when the flow is too old.
func (f Flow) End() time.Time { return f.Begun.Add(Lifetime) }
