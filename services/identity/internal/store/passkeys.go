package store

import (
	"context"
	"crypto/sha256"

	"github.com/rosterhq/roster/services/identity/internal/factor"
	"github.com/rosterhq/roster/services/identity/internal/passkey"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// Challenge is what an authenticator is to sign, and for whom.
type Challenge struct {
	Ceremony  passkey.Ceremony
	AccountID id.Account // zero, and the session: whoever signs in
	SessionID id.Session
}

// InsertChallenge adds a challenge, of which a hash is kept, and forgets some that nobody has answered in time.
func (q Queries) InsertChallenge(challenge []byte, c Challenge) {
	hash := sha256.Sum256(challenge)
	q.Write(`
		DELETE FROM passkey_challenges WHERE challenge IN (
			SELECT challenge FROM passkey_challenges WHERE expire_time <= now() ORDER BY expire_time LIMIT 100 FOR UPDATE SKIP LOCKED)`)
	q.Write(`INSERT INTO passkey_challenges (challenge, ceremony, account_id, session_id, expire_time) VALUES ($1, $2, $3, $4, now() + $5::interval)`,
		hash[:], c.Ceremony, c.AccountID, c.SessionID, passkey.Lifetime)
}

// UseChallenge uses a challenge up. Of many who answer it, it is used for one.
func (q Queries) UseChallenge(ctx context.Context, challenge []byte, c Challenge) (used bool, err error) {
	hash := sha256.Sum256(challenge)
	var row struct{ Ceremony string }
	q.Read(`
		DELETE FROM passkey_challenges
		WHERE challenge = $1 AND ceremony = $2 AND account_id IS NOT DISTINCT FROM $3 AND session_id IS NOT DISTINCT FROM $4 AND expire_time > now()
		RETURNING ceremony`,
		[]any{hash[:], c.Ceremony, c.AccountID, c.SessionID}, postgres.One(&row, &used))
	return used, q.Fetch(ctx)
}

// InsertHandle is what authenticators know the account by from now on.
func (q Queries) InsertHandle(handle []byte, owner id.Account) {
	q.Write(`INSERT INTO user_handles (handle, account_id) VALUES ($1, $2)`, handle, owner)
}

// GetHandle returns what authenticators know the account by; nil: none has met it.
func (q Queries) GetHandle(ctx context.Context, owner id.Account) ([]byte, error) {
	var row struct{ Handle []byte }
	var found bool
	q.Read(`SELECT handle FROM user_handles WHERE account_id = $1`, []any{owner}, postgres.One(&row, &found))
	err := q.Fetch(ctx)
	return row.Handle, err
}

// FindHandle returns the account that authenticators know by the handle.
func (q Queries) FindHandle(ctx context.Context, handle []byte) (owner id.Account, found bool, err error) {
	var row struct{ AccountID id.Account }
	q.Read(`SELECT account_id FROM user_handles WHERE handle = $1`, []any{handle}, postgres.One(&row, &found))
	err = q.Fetch(ctx)
	return row.AccountID, found, err
}

// SaveUse writes that a passkey was used.
func (q Queries) SaveUse(owner id.Account, f factor.Factor) {
	q.Write(`UPDATE factors SET sign_count = $3, alone = $4 WHERE account_id = $1 AND id = $2`, owner, f.ID, f.SignCount, f.Alone)
}
