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

// Failures is where failed sign-ins from a network are counted: with the network's own, if the account's person is known to come
// from there, or with those from everywhere else.
type Failures struct {
	Network  string    // empty: everywhere else
	NextTime time.Time // nobody may try before
}

// GetFailures returns where failures from a network are counted.
func (q Queries) GetFailures(ctx context.Context, owner id.Account, network string) (f Failures, err error) {
	var always bool
	q.Read(`
		SELECT coalesce(n.network, '') AS network, coalesce(f.next_time, 'epoch') AS next_time
		FROM (SELECT) always
		LEFT JOIN known_networks n ON n.account_id = $1 AND n.network = $2 AND n.expire_time > now()
		LEFT JOIN sign_in_failures f ON f.account_id = $1 AND f.network = coalesce(n.network, '')`,
		[]any{owner, network}, postgres.One(&f, &always))
	return f, q.Fetch(ctx)
}

// CountFailure counts a failed sign-in, notes it in the account's login activity, and sets how long nobody may try again: account.DelayAfter, in SQL. An
// attempt that was not looked at, because it came too early, does not count.
func (s Store) CountFailure(ctx context.Context, key id.Account, network string, failed session.Attempt) error {
	insert, trim := attemptArgs(key, failed)
	return s.DB.Flight(ctx, postgres.In(key), func(batch *pgx.Batch) {
		batch.Queue(countFailure, key, account.FreeFailures, account.MaxDelay, network)
		batch.Queue(insertAttempt, insert...)
		batch.Queue(trimAttempts, trim...)
	})
}

// CountFailure counts a failed attempt to prove a second factor: there is one count for both.
func (q Queries) CountFailure(key id.Account, network string) {
	q.Write(countFailure, key, account.FreeFailures, account.MaxDelay, network)
}

// Without a delay there is no time to wait for, not even this moment: it would lie ahead of whoever began before and waits for the row.
const countFailure = `
	INSERT INTO sign_in_failures AS f (account_id, network, count, next_time) VALUES ($1, $4, 1, 'epoch')
	ON CONFLICT (account_id, network) DO UPDATE
	SET count = f.count + 1,
	    next_time = CASE WHEN f.count + 1 < $2 THEN f.next_time
	        ELSE now() + least(interval '1 second' * power(2, least(f.count + 1 - $2, 20)), $3::interval) END
	WHERE f.next_time <= now()`

// ForgetFailures begins every count anew.
func (q Queries) ForgetFailures(key id.Account) {
	q.Write(`DELETE FROM sign_in_failures WHERE account_id = $1`, key)
}

// SignedIn begins the count anew that somebody's failures from the network would have gone to, and knows them there from now on.
func (q Queries) SignedIn(key id.Account, network string) {
	q.Write(`
		DELETE FROM sign_in_failures WHERE account_id = $1 AND network = coalesce(
			(SELECT network FROM known_networks WHERE account_id = $1 AND network = $2 AND expire_time > now()), '')`, key, network)
	if network == "" {
		return
	}
	q.Write(`
		INSERT INTO known_networks (account_id, network, expire_time) VALUES ($1, $2, now() + $3)
		ON CONFLICT (account_id, network) DO UPDATE SET expire_time = excluded.expire_time`, key, network, session.KnownNetworksFor)
	q.Write(`
		DELETE FROM known_networks WHERE account_id = $1 AND (expire_time <= now() OR network IN (
			SELECT network FROM known_networks WHERE account_id = $1 ORDER BY expire_time DESC OFFSET $2))`, key, session.KnownNetworks)
	q.Write(`
		DELETE FROM sign_in_failures f WHERE account_id = $1 AND network <> ''
			AND NOT EXISTS (SELECT FROM known_networks WHERE account_id = $1 AND network = f.network)`, key)
}
