package store

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/internal/email"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

const accountColumns = `id, display_name, coalesce(email, '') AS email, email_verified, coalesce(username, '') AS username, create_time,
	coalesce(phone, '') AS phone, coalesce(locale, '') AS locale, coalesce(time_zone, '') AS time_zone, coalesce(avatar_id, '') AS avatar_id,
	unproven_time`

// profiles turns `found`, rows with an account_id, into accounts. Accounts are seen one at a time, so it opens
// each in its turn; OFFSET 0 keeps the planner from reading the table before that.
const profiles = `
	CROSS JOIN LATERAL (SELECT set_config('app.aggregate_id', found.account_id::text, true)::uuid AS id) opened
	CROSS JOIN LATERAL (SELECT ` + accountColumns + ` FROM accounts WHERE id = opened.id OFFSET 0) a`

// GetAccount returns the account.
func (q Queries) GetAccount(ctx context.Context, key id.Account) (a account.Account, err error) {
	var found bool
	q.Read(`SELECT `+accountColumns+` FROM accounts WHERE id = $1`, []any{key}, postgres.One(&a, &found))
	if err = q.Fetch(ctx); err == nil && !found {
		err = account.ErrNotFound
	}
	return a, err
}

// LockProfile returns the account with the usernames that it has and had, and holds its row until the transaction ends.
func (q Queries) LockProfile(ctx context.Context, key id.Account) (a account.Account, usernames []string, err error) {
	var found bool
	var rows []struct{ Username string }
	q.Read(`SELECT `+accountColumns+` FROM accounts WHERE id = $1 FOR NO KEY UPDATE`, []any{key}, postgres.One(&a, &found))
	q.Read(`SELECT username FROM usernames WHERE account_id = $1`, []any{key}, postgres.All(&rows))
	if err = q.Fetch(ctx); err == nil && !found {
		err = account.ErrNotFound
	}
	for _, row := range rows {
		usernames = append(usernames, row.Username)
	}
	return a, usernames, err
}

// ListAccounts returns the accounts of these ids that exist.
func (q Queries) ListAccounts(ctx context.Context, keys []id.Account) (accounts []account.Account, err error) {
	q.Read(`SELECT a.* FROM (SELECT DISTINCT unnest($1::uuid[]) AS account_id) found`+profiles, []any{keys}, postgres.All(&accounts))
	return accounts, q.Fetch(ctx)
}

// FindAccountByEmail returns the account that has proven the address.
func (q Queries) FindAccountByEmail(ctx context.Context, email string) (a account.Account, found bool, err error) {
	q.Read(`SELECT a.* FROM (SELECT account_id FROM user_emails WHERE email = $1 AND verified) found`+profiles,
		[]any{email}, postgres.One(&a, &found))
	return a, found, q.Fetch(ctx)
}

// FindAccountByUsername returns the account that the username belongs to.
func (q Queries) FindAccountByUsername(ctx context.Context, username string) (a account.Account, found bool, err error) {
	q.Read(`SELECT a.* FROM (SELECT account_id FROM usernames WHERE username = $1 AND account_id IS NOT NULL AND NOT former) found`+profiles,
		[]any{username}, postgres.One(&a, &found))
	return a, found, q.Fetch(ctx)
}

// InsertAccount adds an account with its password.
func (q Queries) InsertAccount(a account.Account, managedBy id.Organization, passwordHash string) {
	q.Write(`
		INSERT INTO accounts (id, display_name, email, email_verified, username, create_time, managed_by)
		VALUES ($1, $2, nullif($3, ''), $4, nullif($5, ''), $6, $7)`,
		a.ID, a.DisplayName, a.Email, a.EmailVerified, a.Username, a.CreateTime, managedBy)
	q.Write(`INSERT INTO credentials (account_id, password_hash, set_time) VALUES ($1, $2, $3)`, a.ID, passwordHash, a.CreateTime)
}

// SaveAccount writes what a person may change.
func (q Queries) SaveAccount(a account.Account) {
	q.Write(`
		UPDATE accounts SET display_name = $2, username = nullif($3, ''), phone = nullif($4, ''), locale = nullif($5, ''), time_zone = nullif($6, '')
		WHERE id = $1`, a.ID, a.DisplayName, a.Username, a.Phone, a.Locale, a.TimeZone)
}

// ClaimEmail records that the account uses the address. A proven claim ends those without proof; a second proven one
// is EMAIL_TAKEN.
func (q Queries) ClaimEmail(address email.Address, owner id.Account, verified bool) {
	if verified {
		q.Write(`DELETE FROM user_emails WHERE email = $1 AND NOT verified`, address.Key)
	}
	q.Write(`INSERT INTO user_emails (email, account_id, verified, address) VALUES ($1, $2, $3, $4)`, address.Key, owner, verified, address.Display)
}

// ClaimEmailAlone is ClaimEmail, without proof, of an address that nobody claims. Of several at once the others are EMAIL_TAKEN.
func (q Queries) ClaimEmailAlone(address email.Address, owner id.Account) {
	q.Write(`INSERT INTO user_emails (email, account_id, verified, address, sole) VALUES ($1, $2, false, $3, true)`, address.Key, owner, address.Display)
}

// Claim is an account that says that an address is its person's.
type Claim struct {
	account.Account
	Verified      bool
	ManagedBy     id.Organization
	SignInAllowed bool
}

// ListClaims returns the accounts that claim the address, ten of them at most.
func (q Queries) ListClaims(ctx context.Context, email string) (claims []Claim, err error) {
	q.Read(`
		SELECT a.*, m.managed_by, m.sign_in_allowed, found.verified
		FROM (SELECT account_id, verified FROM user_emails WHERE email = $1 ORDER BY verified DESC, account_id LIMIT 10) found`+profiles+`
		CROSS JOIN LATERAL (SELECT `+manager+` AS managed_by, sign_in_allowed FROM accounts WHERE id = opened.id OFFSET 0) m`,
		[]any{email}, postgres.All(&claims))
	return claims, q.Fetch(ctx)
}

// Identifier is what somebody signs in with, in the form that is compared, or the account of who is signed in. One of them is set;
// none, when what they typed can be no identifier.
type Identifier struct {
	Email, Username string
	Account         id.Account
}

// decoy is the id under which failures are counted when the identifier belongs to nobody.
func (i Identifier) decoy() (decoy id.Account) {
	hash := sha256.Sum256([]byte(i.Email + "\x00" + i.Username))
	decoy[0], decoy[14], decoy[15] = 0xff, hash[0]&3, hash[1]
	return decoy
}

// Credential is what a password is checked against.
type Credential struct {
	AccountID    id.Account // a decoy, when the identifier belongs to nobody
	PasswordHash string     // empty, then
	SetTime      time.Time
	Temporary    bool   // it opens nothing but the choice of the next password
	Network      string // with whose failures another one counts; empty: with those from everywhere that the person is not known
	Locked       bool   // nobody gets in now: too many failures, or the password has expired, or
	Disabled     bool   // who manages the account does not want it
}

// FindCredential returns what the identifier signs in to. An address that nobody has proven signs in to the one
// account that claims it; when several do, to none. Its work is the same whether anybody is found.
func (q Queries) FindCredential(ctx context.Context, who Identifier, network string) (c Credential, err error) {
	var always bool
	q.Read(`
		SELECT found.account_id, coalesce(c.password_hash, '') AS password_hash,
		       coalesce(c.set_time, 'epoch') AS set_time, c.temporary_until IS NOT NULL AS temporary,
		       coalesce(n.network, '') AS network, coalesce(f.next_time > now(), false) OR coalesce(c.temporary_until <= now(), false) AS locked,
		       NOT coalesce(a.sign_in_allowed, true) AS disabled
		FROM (SELECT coalesce(
			$4,
			(SELECT account_id FROM user_emails e
			 WHERE email = $1 AND (verified OR 1 = (SELECT count(*) FROM user_emails WHERE email = $1))),
			(SELECT account_id FROM usernames WHERE username = $2 AND NOT former),
			$3) AS account_id) found
		CROSS JOIN LATERAL (SELECT set_config('app.aggregate_id', found.account_id::text, true)::uuid AS id) opened
		LEFT JOIN LATERAL (SELECT password_hash, set_time, temporary_until FROM credentials WHERE account_id = opened.id OFFSET 0) c ON true
		LEFT JOIN LATERAL (SELECT sign_in_allowed AND erase_time IS NULL AS sign_in_allowed FROM accounts WHERE id = opened.id OFFSET 0) a ON true
		LEFT JOIN LATERAL (SELECT network FROM known_networks
			WHERE account_id = opened.id AND network = $5 AND expire_time > now() OFFSET 0) n ON true
		LEFT JOIN LATERAL (SELECT next_time FROM sign_in_failures
			WHERE account_id = opened.id AND network = coalesce(n.network, '') OFFSET 0) f ON true`,
		[]any{who.Email, who.Username, who.decoy(), who.Account, network}, postgres.One(&c, &always))
	return c, q.Fetch(ctx)
}

// SaveHash stores another hash of the same password.
func (q Queries) SaveHash(key id.Account, passwordHash string) {
	q.Write(`UPDATE credentials SET password_hash = $2 WHERE account_id = $1`, key, passwordHash)
}
