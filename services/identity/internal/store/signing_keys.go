package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/rosterhq/roster/services/internal/postgres"
)

// SigningKey is a key that internal tokens are signed with.
type SigningKey struct {
	ID         string
	PublicKey  []byte
	SealedSeed []byte // of the private key
	Active     bool   // it signs; the others are only good for checking
}

// ListSigningKeys returns all keys, newest first.
func (q Queries) ListSigningKeys(ctx context.Context) (keys []SigningKey, err error) {
	q.Read(`SELECT id, public_key, sealed_seed, active FROM signing_keys ORDER BY create_time DESC, id`, nil, postgres.All(&keys))
	return keys, q.Fetch(ctx)
}

// InsertSigningKey makes this the active key, unless there is one: another instance was first.
func (s Store) InsertSigningKey(ctx context.Context, key SigningKey) error {
	return s.DB.Flight(ctx, postgres.Scope{}, func(batch *pgx.Batch) {
		batch.Queue(`
			INSERT INTO signing_keys (id, public_key, sealed_seed, active, create_time) VALUES ($1, $2, $3, true, now())
			ON CONFLICT (active) WHERE active DO NOTHING`, key.ID, key.PublicKey, key.SealedSeed)
	})
}
