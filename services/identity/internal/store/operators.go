package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/session"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// OperatorClaim is the one token that makes an operator.
type OperatorClaim struct {
	OperatorID id.Operator // who it will make
	TokenHash  []byte
}

// OperatorClaim returns the token that waits to be used, if it has not expired, and tells whether anybody can act as an operator:
// has a key that has not expired.
func (q Queries) OperatorClaim(ctx context.Context) (claim OperatorClaim, has bool, err error) {
	var keys []struct{ OperatorID id.Operator }
	q.Read(`SELECT operator_id FROM operator_keys WHERE expire_time > now() LIMIT 1`, nil, postgres.All(&keys))
	var found bool
	q.Read(`SELECT operator_id, token_hash FROM operator_claims WHERE expire_time > now()`, nil, postgres.One(&claim, &found))
	err = q.Fetch(ctx)
	return claim, len(keys) > 0, err
}

// ReplaceOperatorClaim makes this the one token that makes an operator, unless there is another than the one that was read.
func (q Queries) ReplaceOperatorClaim(read []byte, operator id.Operator, tokenHash []byte, expires time.Time) {
	q.Write(`
		INSERT INTO operator_claims AS c (operator_id, token_hash, expire_time) VALUES ($2, $3, $4)
		ON CONFLICT (single) DO UPDATE
		SET operator_id = excluded.operator_id, token_hash = excluded.token_hash, expire_time = excluded.expire_time
		WHERE c.token_hash = $1 OR c.expire_time <= now()`,
		read, operator, tokenHash, expires)
}

// DeleteOperatorClaim takes the token away: an operator was there before it was used.
func (q Queries) DeleteOperatorClaim() { q.Write(`DELETE FROM operator_claims`) }

// UseOperatorClaim uses the token up, with the transaction.
func (q Queries) UseOperatorClaim(ctx context.Context, operator id.Operator, tokenHash []byte) error {
	var used []struct{ OperatorID id.Operator }
	q.Read(`
		DELETE FROM operator_claims
		WHERE operator_id = $1 AND token_hash = $2 AND expire_time > now()
		RETURNING operator_id`, []any{operator, tokenHash}, postgres.All(&used))
	if err := q.Fetch(ctx); err != nil {
		return err
	}
	if len(used) == 0 {
		return account.ErrLinkInvalid
	}
	return nil
}

// InsertOperator adds an operator with a key.
func (q Queries) InsertOperator(operator id.Operator, displayName string, keyHash []byte, now, expires time.Time) {
	q.Write(`INSERT INTO operators (id, display_name, create_time) VALUES ($1, $2, $3)`, operator, displayName, now)
	q.Write(`
		INSERT INTO operator_keys (operator_id, secret_hash, create_time, last_use_time, expire_time)
		VALUES ($1, $2, $3, $3, $4)`, operator, keyHash, now, expires)
}

// UseOperatorKey returns when the key expires, and notes that it was used, as UseSession does.
func (s Store) UseOperatorKey(ctx context.Context, operator id.Operator, keyHash []byte) (expires time.Time, err error) {
	var key struct{ ExpireTime time.Time }
	var found bool
	err = s.DB.Flight(ctx, postgres.Scope{}, func(batch *pgx.Batch) {
		batch.Queue(`SELECT expire_time FROM operator_keys WHERE operator_id = $1 AND secret_hash = $2 AND expire_time > now()`,
			operator, keyHash).Query(one(&key, &found))
		batch.Queue(`
			UPDATE operator_keys SET last_use_time = now()
			WHERE (operator_id, secret_hash) IN (
				SELECT operator_id, secret_hash FROM operator_keys
				WHERE operator_id = $1 AND secret_hash = $2 AND expire_time > now() AND last_use_time <= now() - $3::interval
				FOR UPDATE SKIP LOCKED)`, operator, keyHash, session.Touch)
	})
	if err == nil && !found {
		err = session.ErrUnauthenticated
	}
	return key.ExpireTime, err
}
