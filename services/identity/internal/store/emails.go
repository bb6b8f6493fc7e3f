package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/internal/email"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// ListEmails returns the addresses of an account.
func (q Queries) ListEmails(ctx context.Context, owner id.Account) (account.Emails, error) {
	return q.fetchEmails(ctx, q.readEmails(owner, ``))
}

// LockEmails returns the addresses of an account, and makes others who change them or sign in wait until the transaction ends.
func (q Queries) LockEmails(ctx context.Context, owner id.Account) (account.Emails, error) {
	return q.fetchEmails(ctx, q.readEmails(owner, ` FOR NO KEY UPDATE`))
}

// LockAddition is LockEmails for a link that proves an address, and returns that.
func (q Queries) LockAddition(ctx context.Context, owner id.Account, tokenHash []byte) (account.Emails, account.Email, error) {
	return q.lockLink(ctx, `SELECT address, expire_time AS expires FROM email_additions WHERE account_id = $1 AND token_hash = $2 AND expire_time > now()`,
		owner, tokenHash)
}

// LockRevert is LockEmails for a link that makes an address the primary one again, and returns that.
func (q Queries) LockRevert(ctx context.Context, owner id.Account, tokenHash []byte) (account.Emails, account.Email, error) {
	return q.lockLink(ctx, `SELECT address, expire_time AS expires FROM email_reverts WHERE account_id = $1 AND token_hash = $2 AND expire_time > now()`,
		owner, tokenHash)
}

// lockLink reads whatever there is in one round trip, so that it takes as long for a link of nobody's.
func (q Queries) lockLink(ctx context.Context, query string, owner id.Account, tokenHash []byte) (e account.Emails, link account.Email, err error) {
	var row struct {
		Address string
		Expires time.Time
	}
	var works bool
	has := q.readEmails(owner, ` FOR NO KEY UPDATE`)
	q.Read(query, []any{owner, tokenHash}, postgres.One(&row, &works))
	e, err = q.fetchEmails(ctx, has)
	if errors.Is(err, account.ErrNotFound) || err == nil && !works {
		err = account.ErrLinkInvalid
	}
	return e, account.Email{Address: row.Address, Expires: row.Expires}, err
}

// emails are those of an account, if it was found.
type emails struct {
	account.Emails
	found bool
}

func (q Queries) readEmails(owner id.Account, lock string) *emails {
	e := new(emails)
	q.Read(`SELECT `+accountColumns+` FROM accounts WHERE id = $1`+lock, []any{owner}, postgres.One(&e.Account, &e.found))
	q.Read(`
		SELECT email AS key, coalesce(address, email) AS address, timestamptz '0001-01-01Z' AS expires FROM user_emails
		WHERE account_id = $1 AND verified ORDER BY create_time, email`, []any{owner}, postgres.All(&e.Proven))
	q.Read(`
		SELECT email AS key, address, expire_time AS expires FROM email_additions
		WHERE account_id = $1 AND expire_time > now() ORDER BY expire_time, email`, []any{owner}, postgres.All(&e.Waiting))
	return e
}

func (q Queries) fetchEmails(ctx context.Context, e *emails) (account.Emails, error) {
	err := q.Fetch(ctx)
	if err == nil && !e.found {
		err = account.ErrNotFound
	}
	return e.Emails, err
}

// SavePrimaryEmail writes which address is the primary one.
func (q Queries) SavePrimaryEmail(a account.Account) {
	q.Write(`UPDATE accounts SET email = $2, email_verified = $3 WHERE id = $1`, a.ID, a.Email, a.EmailVerified)
}

// SaveUnproven makes the account unproven from now on, unless it is so already.
func (q Queries) SaveUnproven(key id.Account) {
	q.Write(`UPDATE accounts SET unproven_time = coalesce(unproven_time, now()) WHERE id = $1`, key)
}

// SaveProven ends that, and what waits for a proof.
func (q Queries) SaveProven(a account.Account) {
	q.Write(`DELETE FROM email_additions WHERE account_id = $1`, a.ID)
	q.Write(`UPDATE accounts SET unproven_time = NULL WHERE id = $1`, a.ID)
}

// Claimed queues the question whether another account claims the address, proven or not, for what is fetched next.
func (q Queries) Claimed(key string, besides id.Account, into *bool) {
	var claims []struct{ AccountID id.Account }
	q.Read(`SELECT account_id FROM user_emails WHERE email = $1 AND account_id <> $2 LIMIT 1`, []any{key, besides}, func(rows pgx.Rows) error {
		err := postgres.All(&claims)(rows)
		*into = len(claims) > 0
		return err
	})
}

// DeleteEmails ends the account's use of all its addresses, and its wait for proofs. Links that make one the primary one again work still.
func (q Queries) DeleteEmails(owner id.Account) {
	q.Write(`DELETE FROM user_emails WHERE account_id = $1`, owner)
	q.Write(`DELETE FROM email_additions WHERE account_id = $1`, owner)
}

// DeleteEmail ends the account's use of an address, or its wait for the proof.
func (q Queries) DeleteEmail(owner id.Account, key string) {
	q.Write(`DELETE FROM user_emails WHERE email = $1 AND account_id = $2`, key, owner)
	q.Write(`DELETE FROM email_additions WHERE account_id = $1 AND email = $2`, owner, key)
}

// SaveAddition makes a link prove an address, and no other one.
func (q Queries) SaveAddition(owner id.Account, address email.Address, tokenHash []byte, until time.Time) {
	q.Write(`DELETE FROM email_additions WHERE account_id = $1 AND expire_time <= now()`, owner)
	q.Write(`
		INSERT INTO email_additions (account_id, email, address, token_hash, expire_time) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (account_id, email) DO UPDATE
		SET address = excluded.address, token_hash = excluded.token_hash, expire_time = excluded.expire_time`,
		owner, address.Key, address.Display, tokenHash, until)
}

// InsertRevert makes a link work that makes the address the primary one again.
func (q Queries) InsertRevert(owner id.Account, address string, tokenHash []byte) {
	q.Write(`DELETE FROM email_reverts WHERE account_id = $1 AND expire_time <= now()`, owner)
	q.Write(`INSERT INTO email_reverts (account_id, token_hash, address, expire_time) VALUES ($1, $2, $3, now() + $4)`,
		owner, tokenHash, address, account.RevertLifetime)
}

// KeepEmail leaves the account with one address, and voids every link that would make another one the primary.
func (q Queries) KeepEmail(owner id.Account, key string) {
	q.Write(`DELETE FROM user_emails WHERE account_id = $1 AND email <> $2`, owner, key)
	q.Write(`DELETE FROM email_reverts WHERE account_id = $1`, owner)
}
