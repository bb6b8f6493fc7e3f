package store

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// ListedServiceAccount is a service account with what lists tell of it.
type ListedServiceAccount struct {
	org.ServiceAccount
	CreatorLeft bool
	LastUseTime *time.Time // of its keys that work
}

// listedServiceAccounts are the service accounts of an organization; the verb is SQL: a condition.
const listedServiceAccounts = `
	SELECT a.service_account_id, a.display_name, a.permissions, a.disabled, a.creator_account_id, a.create_time,
	       NOT EXISTS (SELECT FROM members m WHERE m.organization_id = $1 AND m.account_id = a.creator_account_id AND m.state <> 'REMOVED') AS creator_left,
	       (SELECT max(k.last_use_time) FROM service_account_keys k
	        WHERE k.organization_id = $1 AND k.service_account_id = a.service_account_id AND k.expire_time > now()) AS last_use_time
	FROM service_accounts a
	WHERE a.organization_id = $1`

// ListServiceAccounts returns the service accounts, oldest first.
func (q Queries) ListServiceAccounts(ctx context.Context, key id.Organization) (all []ListedServiceAccount, err error) {
	q.Read(listedServiceAccounts+` ORDER BY a.create_time, a.service_account_id`, []any{key}, postgres.All(&all))
	return all, q.Fetch(ctx)
}

// GetServiceAccount returns a service account with its keys that work, newest first.
func (q Queries) GetServiceAccount(ctx context.Context, key id.Organization, of id.ServiceAccount) (found ListedServiceAccount, live []org.Key, err error) {
	var there bool
	q.Read(listedServiceAccounts+` AND a.service_account_id = $2`, []any{key, of}, postgres.One(&found, &there))
	q.Read(`
		SELECT api_key_id, display_name, scopes, last_four, create_time, last_use_time, expire_time
		FROM service_account_keys
		WHERE organization_id = $1 AND service_account_id = $2 AND expire_time > now()
		ORDER BY create_time DESC, api_key_id DESC`, []any{key, of}, postgres.All(&live))
	if err = q.Fetch(ctx); err == nil && !there {
		err = org.ErrNoServiceAccount
	}
	return found, live, err
}

// CountServiceAccounts queues a count, of which the limit keeps the cost low.
func (q Queries) CountServiceAccounts(key id.Organization, into *int64) {
	q.Read(`SELECT count(*) FROM service_accounts WHERE organization_id = $1`, []any{key}, number(into))
}

// InsertServiceAccount writes a new service account.
func (q Queries) InsertServiceAccount(key id.Organization, a org.ServiceAccount) {
	q.Write(`
		INSERT INTO service_accounts (organization_id, service_account_id, display_name, permissions, creator_account_id, create_time)
		VALUES ($1, $2, $3, $4, $5, $6)`, key, a.ID, a.DisplayName, a.Permissions, a.Creator, a.CreateTime)
}

// SaveServiceAccount writes what can change of a service account.
func (q Queries) SaveServiceAccount(key id.Organization, a org.ServiceAccount) {
	q.Write(`UPDATE service_accounts SET display_name = $3, permissions = $4, disabled = $5 WHERE organization_id = $1 AND service_account_id = $2`,
		key, a.ID, a.DisplayName, a.Permissions, a.Disabled)
}

// DeleteServiceAccount takes a service account away, with its keys.
func (q Queries) DeleteServiceAccount(key id.Organization, of id.ServiceAccount) {
	q.Write(`DELETE FROM service_accounts WHERE organization_id = $1 AND service_account_id = $2`, key, of)
}

// InsertKey writes a new key with the hash of its secret, in the place of those that have expired.
func (q Queries) InsertKey(key id.Organization, of id.ServiceAccount, k org.Key, secretHash []byte) {
	q.Write(`DELETE FROM service_account_keys WHERE organization_id = $1 AND service_account_id = $2 AND expire_time <= now()`, key, of)
	q.Write(`
		INSERT INTO service_account_keys (organization_id, service_account_id, api_key_id, secret_hash, display_name, scopes, last_four, create_time, expire_time)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		key, of, k.ID, secretHash, k.DisplayName, k.Scopes, k.LastFour, k.CreateTime, k.ExpireTime)
}

// DeleteKey takes a key away.
func (q Queries) DeleteKey(key id.Organization, of id.ServiceAccount, k id.APIKey) {
	q.Write(`DELETE FROM service_account_keys WHERE organization_id = $1 AND service_account_id = $2 AND api_key_id = $3`, key, of, k)
}

// UsedKey is a key that works, with the service account that it is of.
type UsedKey struct {
	ServiceAccount id.ServiceAccount `db:"service_account_id"`
	ID             id.APIKey         `db:"api_key_id"`
	Scopes         org.Set
	CreateTime     time.Time
	ExpireTime     time.Time
}

// LockKey returns the key of a secret, if it works, and holds the organization's row until the transaction ends, as whoever else changes keys.
func (q Queries) LockKey(ctx context.Context, key id.Organization, secretHash []byte) (live UsedKey, found bool, err error) {
	q.lockOrganization(key, "FOR UPDATE")
	q.Read(`
		SELECT service_account_id, api_key_id, scopes, create_time, expire_time FROM service_account_keys
		WHERE organization_id = $1 AND secret_hash = $2 AND expire_time > now()`, []any{key, secretHash}, postgres.One(&live, &found))
	return live, found, q.Fetch(ctx)
}

// UseKey returns the key of a secret, for what the service account is still for, and notes to the minute that it was used. Who uses the
// same key at once waits for nobody.
func UseKey(ctx context.Context, db *postgres.DB, key id.Organization, secretHash []byte) (used UsedKey, err error) {
	var found bool
	collect := postgres.One(&used, &found)
	err = db.Flight(ctx, postgres.In(key), func(batch *pgx.Batch) {
		batch.Queue(`
			SELECT k.service_account_id, k.api_key_id, k.create_time, k.expire_time,
			       ARRAY(SELECT unnest(k.scopes) INTERSECT SELECT unnest(a.permissions) ORDER BY 1) AS scopes
			FROM service_account_keys k
			JOIN service_accounts a USING (organization_id, service_account_id)
			JOIN organizations o USING (organization_id)
			WHERE k.organization_id = $1 AND k.secret_hash = $2 AND k.expire_time > now() AND k.scopes && a.permissions AND NOT a.disabled
			  AND o.state = 'ACTIVE'`,
			key, secretHash).Query(func(rows pgx.Rows) error {
			defer rows.Close()
			if err := collect(rows); err != nil {
				return err
			}
			return rows.Err()
		})
		batch.Queue(`
			UPDATE service_account_keys SET last_use_time = now()
			WHERE (organization_id, service_account_id, api_key_id) IN (
				SELECT organization_id, service_account_id, api_key_id FROM service_account_keys
				WHERE organization_id = $1 AND secret_hash = $2 AND expire_time > now() AND (last_use_time IS NULL OR last_use_time <= now() - $3::interval)
				FOR UPDATE SKIP LOCKED)`, key, secretHash, time.Minute)
	})
	if err == nil && !found {
		err = org.ErrNoKey
	}
	return used, err
}

// acting queues a read of the service account that asks, while its key works. Nobody else is ever read as one: a service account is no
// target of anything that is done to members.
func (q Queries) acting(key id.Organization, accounts []id.Account, into *[]org.ServiceAccount) {
	who := q.Caller()
	if !asks(who, accounts) {
		return
	}
	q.Read(`
		SELECT service_account_id, a.display_name, a.permissions, a.disabled, a.creator_account_id, a.create_time
		FROM service_accounts a JOIN service_account_keys k USING (organization_id, service_account_id)
		WHERE a.organization_id = $1 AND service_account_id = $2 AND k.api_key_id = $3 AND k.expire_time > now() AND NOT a.disabled`,
		[]any{key, who.ServiceAccount, who.Key}, postgres.All(into))
}

// asks tells whether a service account of an organization asks, and is one of the accounts.
func asks(who caller.Caller, accounts []id.Account) bool {
	return !who.ServiceAccount.IsZero() && !who.Platform() && slices.Contains(accounts, who.Account)
}
