package store

import (
	"context"
	"time"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// SavePassword stores another password of an account, or its first. What was proven with the old one, or waits for a link, is void.
func (q Queries) SavePassword(key id.Account, passwordHash string) {
	q.Write(`
		INSERT INTO credentials (account_id, password_hash, set_time) VALUES ($1, $2, now())
		ON CONFLICT (account_id) DO UPDATE SET password_hash = excluded.password_hash, set_time = excluded.set_time, temporary_until = NULL`, key, passwordHash)
	q.VoidLinks(key)
}

// SaveTemporaryPassword is SavePassword for a password that opens nothing but the choice of the next one, until then. Whoever has had it made can
// choose that, too: the account is unproven.
func (q Queries) SaveTemporaryPassword(key id.Account, passwordHash string, until time.Time) {
	q.Write(`UPDATE credentials SET password_hash = $2, set_time = now(), temporary_until = $3 WHERE account_id = $1`, key, passwordHash, until)
	q.SaveUnproven(key)
	q.VoidLinks(key)
}

// HasPassword tells whether the account has a password that its person has chosen.
func (q Queries) HasPassword(ctx context.Context, key id.Account) (has bool, err error) {
	var row struct{ SetTime time.Time }
	q.Read(`SELECT set_time FROM credentials WHERE account_id = $1 AND temporary_until IS NULL`, []any{key}, postgres.One(&row, &has))
	return has, q.Fetch(ctx)
}

// DeletePassword leaves the account without a password.
func (q Queries) DeletePassword(key id.Account) {
	q.Write(`DELETE FROM credentials WHERE account_id = $1`, key)
	q.VoidLinks(key)
}

// VoidLinks voids the links that lead into an account, now or later: to reset its password, and to add an address, which a password can be reset with. Whoever
// has asked for them may be whom the account is being closed to.
func (q Queries) VoidLinks(key id.Account) {
	q.DeleteReset(key)
	q.Write(`DELETE FROM email_additions WHERE account_id = $1`, key)
}

// VoidAdditions voids the links that add an address, for whom they were asked by somebody who is signed out now. That which proves an address that the
// account claims stays.
func (q Queries) VoidAdditions(key id.Account) {
	q.Write(`DELETE FROM email_additions WHERE account_id = $1 AND email NOT IN (SELECT email FROM user_emails WHERE account_id = $1)`, key)
}

// InsertResetRequest notes that somebody wants to reset the password of whoever the identifier belongs to.
func (q Queries) InsertResetRequest(key id.Reset, who Identifier) {
	q.Write(`INSERT INTO reset_requests (id, email, username) VALUES ($1, $2, $3)`, key, who.Email, who.Username)
}

// DeleteResetRequest takes a request away: it was answered.
func (q Queries) DeleteResetRequest(key id.Reset) {
	q.Write(`DELETE FROM reset_requests WHERE id = $1`, key)
}

// FindResetRequest returns the account whose password somebody wants to reset: the one that has proven the address, or has the
// username. The link goes to the address that they named, as its person wrote it, else to the primary one.
func (q Queries) FindResetRequest(ctx context.Context, key id.Reset) (a account.Account, to string, found bool, err error) {
	var row struct {
		account.Account
		Address string
	}
	q.Read(`SELECT a.*, coalesce(found.address, a.email) AS address FROM (
		SELECT coalesce(e.account_id, u.account_id) AS account_id, coalesce(e.address, e.email) AS address
		FROM reset_requests r
		LEFT JOIN user_emails e ON e.email = r.email AND e.verified
		LEFT JOIN usernames u ON u.username = r.username AND NOT u.former
		WHERE r.id = $1 AND coalesce(e.account_id, u.account_id) IS NOT NULL) found`+profiles,
		[]any{key}, postgres.One(&row, &found))
	err = q.Fetch(ctx)
	return row.Account, row.Address, found, err
}

// SaveReset makes a link work for half an hour, and no other one. shown: it goes not to the mailbox alone.
func (q Queries) SaveReset(key id.Account, tokenHash []byte, shown bool) {
	q.Write(`
		INSERT INTO resets (account_id, token_hash, expire_time, shown) VALUES ($1, $2, now() + $3, $4)
		ON CONFLICT (account_id) DO UPDATE SET token_hash = excluded.token_hash, expire_time = excluded.expire_time, shown = excluded.shown`,
		key, tokenHash, account.ResetLifetime, shown)
}

// DeleteReset voids the link that resets an account's password, if there is one.
func (q Queries) DeleteReset(key id.Account) {
	q.Write(`DELETE FROM resets WHERE account_id = $1`, key)
}

// GetReset returns the account that a link which works resets the password of.
func (q Queries) GetReset(ctx context.Context, key id.Account, tokenHash []byte) (a account.Account, err error) {
	a, _, err = q.reset(ctx, key, tokenHash, "")
	return a, err
}

// LockReset is GetReset, and holds the link until the transaction ends. Of several who use it at once, the others find nothing after
// the first. shown: it does not prove that the mailbox is the person's.
func (q Queries) LockReset(ctx context.Context, key id.Account, tokenHash []byte) (a account.Account, shown bool, err error) {
	return q.reset(ctx, key, tokenHash, " FOR UPDATE")
}

func (q Queries) reset(ctx context.Context, key id.Account, tokenHash []byte, lock string) (a account.Account, shown bool, err error) {
	var link struct{ Shown bool }
	var works, found bool
	q.Read(`SELECT shown FROM resets WHERE account_id = $1 AND token_hash = $2 AND expire_time > now()`+lock,
		[]any{key, tokenHash}, postgres.One(&link, &works))
	q.Read(`SELECT `+accountColumns+` FROM accounts WHERE id = $1 AND sign_in_allowed AND erase_time IS NULL`, []any{key}, postgres.One(&a, &found))
	if err = q.Fetch(ctx); err == nil && !(works && found) {
		err = account.ErrLinkInvalid
	}
	return a, link.Shown, err
}
