package store

import (
	"context"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// Hold is a username in the hands of an invitation.
type Hold struct {
	Username   string // empty: none
	Generation int32
}

// LockHold returns the generation up to which the invitation's holds have ended, the username that it holds now,
// and whether another has the wanted one. Its requests wait for one another until the transaction ends.
func (q Queries) LockHold(ctx context.Context, invitation id.Invitation, wanted string) (released int32, held Hold, taken bool, err error) {
	var fence struct{ ReleasedGeneration int32 }
	var fenced, holds bool
	var others []struct{ Username string }
	q.Read(`
		INSERT INTO username_fences AS f (invitation_id, released_generation) VALUES ($1, 0)
		ON CONFLICT (invitation_id) DO UPDATE SET released_generation = f.released_generation
		RETURNING released_generation`, []any{invitation}, postgres.One(&fence, &fenced))
	q.Read(`SELECT username, generation FROM usernames WHERE invitation_id = $1`,
		[]any{invitation}, postgres.One(&held, &holds))
	q.Read(`SELECT username FROM usernames WHERE username = $1 AND invitation_id IS DISTINCT FROM $2`,
		[]any{wanted, invitation}, postgres.All(&others))
	err = q.Fetch(ctx)
	return fence.ReleasedGeneration, held, len(others) > 0, err
}

// InsertHold gives the username to the invitation. When another was first, it is USERNAME_TAKEN.
func (q Queries) InsertHold(invitation id.Invitation, h Hold) {
	q.Write(`INSERT INTO usernames (username, invitation_id, generation) VALUES ($1, $2, $3)`, h.Username, invitation, h.Generation)
}

// SaveHold writes the generation of a hold.
func (q Queries) SaveHold(invitation id.Invitation, h Hold) {
	q.Write(`UPDATE usernames SET generation = $3 WHERE username = $1 AND invitation_id = $2`, h.Username, invitation, h.Generation)
}

// DeleteHold gives back what the invitation holds, if that is of a generation up to the given one. What an account
// has confirmed is no hold.
func (q Queries) DeleteHold(invitation id.Invitation, generation int32) {
	q.Write(`DELETE FROM usernames WHERE invitation_id = $1 AND generation <= $2`, invitation, generation)
}

// SaveFence ends the invitation's holds up to a generation, also those whose requests are still on their way.
func (q Queries) SaveFence(invitation id.Invitation, generation int32) {
	q.Write(`
		INSERT INTO username_fences AS f (invitation_id, released_generation) VALUES ($1, $2)
		ON CONFLICT (invitation_id) DO UPDATE SET released_generation = greatest(f.released_generation, excluded.released_generation)`,
		invitation, generation)
}

// ConfirmHold makes the invitation's username the account's.
func (q Queries) ConfirmHold(invitation id.Invitation, username string, owner id.Account) {
	q.Write(`UPDATE usernames SET account_id = $3, invitation_id = NULL WHERE username = $1 AND invitation_id = $2`,
		username, invitation, owner)
}

// TakeUsername makes a username the account's: a new one, which is USERNAME_TAKEN when another was first, or one that it has or had. The one until
// now stays its own.
func (q Queries) TakeUsername(owner id.Account, username string, isNew bool) {
	q.Write(`UPDATE usernames SET former = true WHERE account_id = $1`, owner)
	if isNew {
		q.Write(`INSERT INTO usernames (username, account_id) VALUES ($1, $2)`, username, owner)
		return
	}
	q.Write(`UPDATE usernames SET former = false WHERE username = $1 AND account_id = $2`, username, owner)
}
