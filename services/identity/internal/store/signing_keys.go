package store

import (
	"context"
	"time"

	"github.com/rosterhq/roster/services/identity/internal/keyring"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// SigningKey is a key that internal tokens are signed with, and its place in the ring.
type SigningKey struct {
	keyring.Key
	PublicKey  []byte
	SealedSeed []byte // of the private key
}

const signingKeyColumns = `id, public_key, sealed_seed, active, create_time,
	NOT active AND activate_time IS NULL AS is_next,
	coalesce(activate_time, create_time) AS activate_time, coalesce(retire_time, 'epoch') AS retire_time`

// ListSigningKeys returns the keys that tokens may be signed with, newest first.
func (q Queries) ListSigningKeys(ctx context.Context) (keys []SigningKey, err error) {
	q.Read(`SELECT `+signingKeyColumns+` FROM signing_keys WHERE retire_time IS NULL OR retire_time > now() ORDER BY create_time DESC, id`, nil, postgres.All(&keys))
	return keys, q.Fetch(ctx)
}

// LockSigningKeys returns all keys, and makes whoever else tends them wait until the transaction ends.
func (q Queries) LockSigningKeys(ctx context.Context) (keys []SigningKey, err error) {
	var locked struct{ Locked bool }
	var always bool
	q.Read(`SELECT pg_advisory_xact_lock(hashtext('signing_keys')) IS NOT NULL AS locked`, nil, postgres.One(&locked, &always))
	if err := q.Fetch(ctx); err != nil {
		return nil, err
	}
	q.Read(`SELECT `+signingKeyColumns+` FROM signing_keys ORDER BY create_time DESC, id`, nil, postgres.All(&keys))
	return keys, q.Fetch(ctx)
}

// InsertSigningKey adds a key that is active, or the next.
func (q Queries) InsertSigningKey(key SigningKey) {
	q.Write(`
		INSERT INTO signing_keys (id, public_key, sealed_seed, active, create_time, activate_time)
		VALUES ($1, $2, $3, $4, now(), CASE WHEN $4 THEN now() END)`, key.ID, key.PublicKey, key.SealedSeed, key.Active)
}

// ReplaceSigningKey makes a key sign in the place of another, which is published until then.
func (q Queries) ReplaceSigningKey(old, next string, until time.Time) {
	q.Write(`UPDATE signing_keys SET active = false, retire_time = $2 WHERE id = $1`, old, until)
	q.Write(`UPDATE signing_keys SET active = true, activate_time = now() WHERE id = $1`, next)
}

// DeleteSigningKey forgets a key.
func (q Queries) DeleteSigningKey(key string) {
	q.Write(`DELETE FROM signing_keys WHERE id = $1`, key)
}
