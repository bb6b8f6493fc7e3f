package store

import (
	"context"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// SaveAvatar gives the account, whose row is locked, a picture in place of the one before.
func (q Queries) SaveAvatar(owner id.Account, avatar string, content []byte) {
	q.Write(`UPDATE accounts SET avatar_id = $2 WHERE id = $1`, owner, avatar)
	q.Write(`INSERT INTO avatars (account_id, content) VALUES ($1, $2) ON CONFLICT (account_id) DO UPDATE SET content = excluded.content`, owner, content)
	q.Write(`INSERT INTO avatar_ids (account_id, id) VALUES ($1, $2) ON CONFLICT (account_id) DO UPDATE SET id = excluded.id`, owner, avatar)
}

// DeleteAvatar takes the picture of the account, whose row is locked, away.
func (q Queries) DeleteAvatar(owner id.Account) {
	q.Write(`UPDATE accounts SET avatar_id = NULL WHERE id = $1`, owner)
	q.Write(`DELETE FROM avatars WHERE account_id = $1`, owner)
	q.Write(`DELETE FROM avatar_ids WHERE account_id = $1`, owner)
}

// GetAvatar returns the picture that is found by the id; nil: there is none, or not any more.
func (q Queries) GetAvatar(ctx context.Context, avatar string) ([]byte, error) {
	var found bool
	var row struct{ Content []byte }
	q.Read(`
		SELECT a.content FROM (SELECT account_id FROM avatar_ids WHERE id = $1) found
		CROSS JOIN LATERAL (SELECT set_config('app.aggregate_id', found.account_id::text, true)::uuid AS id) opened
		CROSS JOIN LATERAL (SELECT content FROM avatars WHERE account_id = opened.id OFFSET 0) a`,
		[]any{avatar}, postgres.One(&row, &found))
	return row.Content, q.Fetch(ctx)
}
