package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/apikey"
	"github.com/rosterhq/roster/services/identity/internal/session"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

const apiKeyColumns = `account_id, id, display_name, scopes, last_four, create_time, last_use_time, expire_time`

// LockAPIKeys makes others who make keys for the account wait until the transaction ends, and returns those that work. An account
// that may not sign in is not found.
func (q Queries) LockAPIKeys(ctx context.Context, owner id.Account) (live []apikey.Key, err error) {
	var locked struct{ SignInAllowed bool }
	var found bool
	q.Read(`SELECT sign_in_allowed AND erase_time IS NULL AS sign_in_allowed FROM accounts WHERE id = $1 FOR NO KEY UPDATE`, []any{owner}, postgres.One(&locked, &found))
	q.liveAPIKeys(owner, &live)
	if err = q.Fetch(ctx); err == nil && !(found && locked.SignInAllowed) {
		err = account.ErrNotFound
	}
	return live, err
}

// ListAPIKeys returns the keys of an account that work, newest first.
func (q Queries) ListAPIKeys(ctx context.Context, owner id.Account) (live []apikey.Key, err error) {
	q.liveAPIKeys(owner, &live)
	return live, q.Fetch(ctx)
}

func (q Queries) liveAPIKeys(owner id.Account, into *[]apikey.Key) {
	q.Read(`SELECT `+apiKeyColumns+` FROM api_keys WHERE account_id = $1 AND expire_time > now() ORDER BY create_time DESC, id DESC`,
		[]any{owner}, postgres.All(into))
}

// InsertAPIKey adds a key with the hash of its secret, in the place of those that have expired.
func (q Queries) InsertAPIKey(k apikey.Key, secretHash []byte) {
	q.Write(`DELETE FROM api_keys WHERE account_id = $1 AND expire_time <= now()`, k.AccountID)
	q.Write(`
		INSERT INTO api_keys (account_id, id, secret_hash, display_name, scopes, last_four, create_time, expire_time)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		k.AccountID, k.ID, secretHash, k.DisplayName, k.Scopes, k.LastFour, k.CreateTime, k.ExpireTime)
}

// DeleteAPIKey ends a key that works.
func (q Queries) DeleteAPIKey(ctx context.Context, owner id.Account, key id.APIKey) error {
	var ended []struct{ ID id.APIKey }
	q.Read(`DELETE FROM api_keys WHERE account_id = $1 AND id = $2 AND expire_time > now() RETURNING id`, []any{owner, key}, postgres.All(&ended))
	if err := q.Fetch(ctx); err != nil {
		return err
	}
	if len(ended) == 0 {
		return apikey.ErrNotFound
	}
	return nil
}

// DeleteAPIKeys ends all keys of an account.
func (q Queries) DeleteAPIKeys(owner id.Account) {
	q.Write(`DELETE FROM api_keys WHERE account_id = $1`, owner)
}

// UsedAPIKey is a key with the number of factors that its owner has.
type UsedAPIKey struct {
	apikey.Key
	Factors int
}

// UseAPIKey returns the key of a secret, if its owner may sign in, and notes that it was used, as UseSession does.
func (s Store) UseAPIKey(ctx context.Context, owner id.Account, secretHash []byte) (used UsedAPIKey, err error) {
	var found bool
	err = s.DB.Flight(ctx, postgres.In(owner), func(batch *pgx.Batch) {
		batch.Queue(`SELECT `+apiKeyColumns+`, (SELECT factors FROM accounts WHERE accounts.id = $1) AS factors FROM api_keys
			WHERE account_id = $1 AND secret_hash = $2 AND expire_time > now()
			  AND EXISTS (SELECT FROM accounts WHERE accounts.id = $1 AND sign_in_allowed AND erase_time IS NULL)`, owner, secretHash).Query(one(&used, &found))
		touchAPIKey(batch, owner, secretHash)
	})
	if err == nil && !found {
		err = session.ErrUnauthenticated
	}
	return used, err
}

// touchAPIKey notes that a key was used, to the minute.
func touchAPIKey(batch *pgx.Batch, owner id.Account, secretHash []byte) {
	batch.Queue(`
		UPDATE api_keys SET last_use_time = now()
		WHERE (account_id, id) IN (
			SELECT account_id, id FROM api_keys
			WHERE account_id = $1 AND secret_hash = $2 AND expire_time > now() AND (last_use_time IS NULL OR last_use_time <= now() - $3::interval)
			FOR UPDATE SKIP LOCKED)`, owner, secretHash, session.Touch)
}
