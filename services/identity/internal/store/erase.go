package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// Ending is what is noted of an account whose end was asked for.
type Ending struct {
	EraseTime     *time.Time  // nil: it was not
	EraseOperator id.Operator // who wants it; zero: its person
	EraseReason   string      // the operator's
}

// Erasure is an account whose end may have been asked for.
type Erasure struct {
	account.Account
	Ending
	emails    []string // all that it claims or wants to, in the form that is compared
	addresses []string // and as written
	usernames []string
}

// LockErasure returns the account, and makes others who change it or sign in wait until the transaction ends.
func (q Queries) LockErasure(ctx context.Context, key id.Account) (e Erasure, err error) {
	var found, known bool
	texts := func(into *[]string) func(pgx.Rows) error {
		return func(rows pgx.Rows) (err error) {
			*into, err = pgx.CollectRows(rows, pgx.RowTo[string])
			return err
		}
	}
	q.Read(`SELECT `+accountColumns+` FROM accounts WHERE id = $1 FOR UPDATE`, []any{key}, postgres.One(&e.Account, &found))
	q.Read(ending, []any{key}, postgres.One(&e.Ending, &known))
	q.Read(`SELECT email FROM user_emails WHERE account_id = $1 UNION SELECT email FROM email_additions WHERE account_id = $1`, []any{key}, texts(&e.emails))
	q.Read(`SELECT address FROM user_emails WHERE account_id = $1 AND address IS NOT NULL UNION SELECT address FROM email_reverts WHERE account_id = $1`,
		[]any{key}, texts(&e.addresses))
	q.Read(`SELECT username FROM usernames WHERE account_id = $1`, []any{key}, texts(&e.usernames))
	if err = q.Fetch(ctx); err == nil && !found {
		err = account.ErrNotFound
	}
	return e, err
}

const ending = `SELECT erase_time, erase_operator, coalesce(erase_reason, '') AS erase_reason FROM accounts WHERE id = $1`

// Ending returns what is noted of the end of an account; there is false when the account is gone.
func (q Queries) Ending(ctx context.Context, key id.Account) (e Ending, there bool, err error) {
	q.Read(ending, []any{key}, postgres.One(&e, &there))
	return e, there, q.Fetch(ctx)
}

// SaveErasing notes that the account is to end, and who wants that.
func (q Queries) SaveErasing(key id.Account, by id.Operator, reason string) {
	q.Write(`UPDATE accounts SET erase_time = now(), erase_operator = $2, erase_reason = nullif($3, '') WHERE id = $1`, key, by, reason)
}

// SaveKept notes that the account is not to end.
func (q Queries) SaveKept(key id.Account) {
	q.Write(`UPDATE accounts SET erase_time = NULL, erase_operator = NULL, erase_reason = NULL WHERE id = $1`, key)
}

// erased are the tables whose rows go with their account. Those that are not here say why in a test, which looks at every table.
var erased = []string{"sessions", "credentials", "factors", "recovery_codes", "api_keys", "sign_ins", "sign_in_failures", "known_networks", "devices",
	"resets", "email_additions", "email_reverts", "user_emails", "user_handles", "passkey_challenges", "federated_identities", "managed_domains", "avatars", "avatar_ids"}

// Erase deletes all that is kept of an account, but for its ids and its usernames, which are never anybody else's. Its history stays, without what is
// personal: the hashes that the chain is made of are of what was there. The mail that says that it was asked for still goes out.
func (q Queries) Erase(e Erasure) {
	for _, table := range erased {
		q.Write(`DELETE FROM `+table+` WHERE account_id = $1`, e.ID)
	}
	q.Write(`DELETE FROM accounts WHERE id = $1`, e.ID)
	// What strangers have asked for with the addresses or the usernames of the account, before.
	q.Write(`DELETE FROM stranger_mails WHERE email = ANY ($1)`, append(e.emails, e.ID.String()))
	q.Write(`DELETE FROM reset_requests WHERE email = ANY ($1) OR username = ANY ($2)`, e.emails, e.usernames)
	q.Write(`DELETE FROM sign_ups WHERE (email = ANY ($1) OR lower(email) = ANY ($2)) AND expire_time <= $3::timestamptz + $4::interval`,
		e.addresses, e.emails, e.EraseTime, account.SignUpLifetime)
	// What every service has.
	q.Write(`UPDATE mails SET payload = NULL, state = 'REFUSED' WHERE aggregate_id = $1 AND state = 'QUEUED' AND kind <> $2`,
		e.ID, fmt.Sprintf("%T", mail.AccountDeleted{}))
	q.Write(`DELETE FROM due WHERE aggregate_id = $1 AND kind <> $2`, e.ID, mail.TaskKind)
	q.Write(`DELETE FROM idempotency WHERE aggregate_id = $1`, e.ID)
	q.Write(`UPDATE events SET personal = NULL, personal_salt = NULL WHERE aggregate_id = $1 AND personal IS NOT NULL`, e.ID)
}
