package store

import (
	"context"

	"github.com/rosterhq/roster/pkg/fault"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// Creation is what is known when an account of a given id is to be made.
type Creation struct {
	Made    *account.Account // it was made before
	Refusal *fault.Fault     // or refused before

	EmailTaken   bool          // another account has proven the address
	EmailClaimed bool          // another account has it, proven or not
	HolderOf     id.Invitation // the invitation that holds the username; zero: none does
}

var refusals = map[string]*fault.Fault{
	account.ErrEmailTaken.Name():    account.ErrEmailTaken,
	account.ErrUsernameTaken.Name(): account.ErrUsernameTaken,
	account.ErrPasswordLost.Name():  account.ErrPasswordLost,
}

// LockCreation returns what is known, and makes others who want to make the account of the same id wait until the
// transaction ends. So does it with the username's row. wanted is the invitation, or the operation, that the account is for.
func (q Queries) LockCreation(ctx context.Context, key id.Account, wanted id.Any, email, username string) (c Creation, err error) {
	var made account.Account
	var wasMade, wasBegun, isHeld bool
	var begun struct{ Refusal string }
	var claims []struct{ Verified bool }
	var held struct{ InvitationID id.Invitation }
	q.Read(`
		INSERT INTO account_creations AS c (account_id, invitation_id) VALUES ($1, $2)
		ON CONFLICT (account_id) DO UPDATE SET invitation_id = c.invitation_id
		RETURNING coalesce(refusal, '') AS refusal`, []any{key, wanted}, postgres.One(&begun, &wasBegun))
	q.Read(`SELECT `+accountColumns+` FROM accounts WHERE id = $1`, []any{key}, postgres.One(&made, &wasMade))
	q.Read(`SELECT verified FROM user_emails WHERE email = $1 ORDER BY verified DESC LIMIT 1`, []any{email}, postgres.All(&claims))
	q.Read(`SELECT invitation_id FROM usernames WHERE username = $1 FOR UPDATE`, []any{username}, postgres.One(&held, &isHeld))
	if err := q.Fetch(ctx); err != nil {
		return c, err
	}
	if wasMade {
		c.Made = &made
	}
	c.Refusal = refusals[begun.Refusal]
	c.EmailClaimed = len(claims) > 0
	c.EmailTaken = c.EmailClaimed && claims[0].Verified
	c.HolderOf = held.InvitationID
	return c, nil
}

// SaveRefusal makes a refusal the answer for this id, for ever.
func (q Queries) SaveRefusal(key id.Account, refusal *fault.Fault) {
	q.Write(`UPDATE account_creations SET refusal = $2 WHERE account_id = $1`, key, refusal.Name())
}
