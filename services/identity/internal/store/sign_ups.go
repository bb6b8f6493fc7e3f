package store

import (
	"context"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// SpendMail takes one of the five mails that an address may get in an hour because a stranger named it, with the
// transaction; allowed is false when there is none left. known tells whether an account has proven the address.
func (q Queries) SpendMail(ctx context.Context, email string) (allowed, known bool, err error) {
	var spent, owners []struct{ Email string }
	q.Read(`
		INSERT INTO stranger_mails AS m (email, times, expire_time) VALUES ($1, ARRAY[now()], now() + interval '1 hour')
		ON CONFLICT (email) DO UPDATE
		SET times = (m.times || now())[cardinality(m.times) - 3:], expire_time = excluded.expire_time
		WHERE cardinality(m.times) < 5 OR m.times[1] <= now() - interval '1 hour'
		RETURNING email`, []any{email}, postgres.All(&spent))
	q.Read(`SELECT email FROM user_emails WHERE email = $1 AND verified`, []any{email}, postgres.All(&owners))
	err = q.Fetch(ctx)
	return len(spent) > 0, len(owners) > 0, err
}

// InsertSignUp adds a sign-up with the hash of its link.
func (q Queries) InsertSignUp(s account.SignUp, tokenHash []byte) {
	q.Write(`
		INSERT INTO sign_ups (id, token_hash, email, display_name, password_hash, expire_time)
		VALUES ($1, $2, $3, $4, $5, $6)`, s.ID, tokenHash, s.Email, s.DisplayName, s.PasswordHash, s.ExpireTime)
}

// LockSignUp returns the sign-up of a link that works, and holds its row until the transaction ends. Of several who
// use the link at once, the others find nothing after the first has deleted it.
func (q Queries) LockSignUp(ctx context.Context, key id.SignUp, tokenHash []byte) (s account.SignUp, err error) {
	var found bool
	q.Read(`
		SELECT id, email, display_name, password_hash, expire_time
		FROM sign_ups
		WHERE id = $1 AND token_hash = $2 AND expire_time > now()
		FOR UPDATE`, []any{key, tokenHash}, postgres.One(&s, &found))
	if err = q.Fetch(ctx); err == nil && !found {
		err = account.ErrLinkInvalid
	}
	return s, err
}

// DeleteSignUp takes a sign-up away: it was used.
func (q Queries) DeleteSignUp(key id.SignUp) {
	q.Write(`DELETE FROM sign_ups WHERE id = $1`, key)
}

// DeleteExpiredSignUp takes a sign-up away if its time is over, and with it what says nothing any more about mails
// to whatever address.
func (q Queries) DeleteExpiredSignUp(key id.SignUp) {
	q.Write(`DELETE FROM sign_ups WHERE id = $1 AND expire_time <= now()`, key)
	q.Write(`DELETE FROM stranger_mails WHERE expire_time <= now()`)
}
