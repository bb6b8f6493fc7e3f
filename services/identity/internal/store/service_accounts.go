package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/rosterhq/roster/services/identity/internal/apikey"
	"github.com/rosterhq/roster/services/identity/internal/session"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

const serviceAccountColumns = `id, display_name, scopes, create_time`

// ListServiceAccounts returns the service accounts of the deployment, oldest first.
func (q Queries) ListServiceAccounts(ctx context.Context) (all []apikey.ServiceAccount, err error) {
	q.Read(`SELECT `+serviceAccountColumns+` FROM service_accounts ORDER BY create_time, id`, nil, postgres.All(&all))
	return all, q.Fetch(ctx)
}

// InsertServiceAccount adds one.
func (q Queries) InsertServiceAccount(a apikey.ServiceAccount) {
	q.Write(`INSERT INTO service_accounts (id, display_name, scopes, create_time) VALUES ($1, $2, $3, $4)`,
		a.ID, a.DisplayName, a.Scopes, a.CreateTime)
}

// GetServiceAccount returns a service account, with its keys that work, newest first.
func (q Queries) GetServiceAccount(ctx context.Context, key id.ServiceAccount) (apikey.ServiceAccount, []apikey.Key, error) {
	return q.serviceAccount(ctx, key, "")
}

// LockServiceAccount is GetServiceAccount, and makes others who change its keys wait until the transaction ends.
func (q Queries) LockServiceAccount(ctx context.Context, key id.ServiceAccount) (apikey.ServiceAccount, []apikey.Key, error) {
	return q.serviceAccount(ctx, key, " FOR UPDATE")
}

func (q Queries) serviceAccount(ctx context.Context, key id.ServiceAccount, strength string) (found apikey.ServiceAccount, live []apikey.Key, err error) {
	var there bool
	q.Read(`SELECT `+serviceAccountColumns+` FROM service_accounts WHERE id = $1`+strength, []any{key}, postgres.One(&found, &there))
	q.liveAPIKeys(id.Account(key), &live)
	if err = q.Fetch(ctx); err == nil && !there {
		err = apikey.ErrNoServiceAccount
	}
	return found, live, err
}

// DeleteServiceAccount takes one away.
func (q Queries) DeleteServiceAccount(key id.ServiceAccount) {
	q.Write(`DELETE FROM service_accounts WHERE id = $1`, key)
}

// UseServiceKey returns the key of a secret with the scopes that the service account still has, and notes that it was used, as UseAPIKey
// does.
func (s Store) UseServiceKey(ctx context.Context, owner id.ServiceAccount, secretHash []byte) (used apikey.Key, err error) {
	var found bool
	err = s.DB.Flight(ctx, postgres.In(owner), func(batch *pgx.Batch) {
		batch.Queue(`
			SELECT k.account_id, k.id, k.display_name, k.last_four, k.create_time, k.last_use_time, k.expire_time,
			       ARRAY(SELECT unnest(k.scopes) INTERSECT SELECT unnest(a.scopes) ORDER BY 1) AS scopes
			FROM api_keys k JOIN service_accounts a ON a.id = k.account_id
			WHERE k.account_id = $1 AND k.secret_hash = $2 AND k.expire_time > now() AND k.scopes && a.scopes`, owner, secretHash).Query(one(&used, &found))
		touchAPIKey(batch, id.Account(owner), secretHash)
	})
	if err == nil && !found {
		err = session.ErrUnauthenticated
	}
	return used, err
}
