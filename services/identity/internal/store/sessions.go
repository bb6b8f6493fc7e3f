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

const sessionColumns = `account_id, id, delivery, stage, tries, level, auth_time, create_time, last_use_time, expire_time, user_agent, address, provider_id`

// liveSession is session.Session.Live, in SQL; its parameter is session.Idle.
const liveSession = `expire_time > now() AND last_use_time > now() - $2::interval`

// SignIn is what signing in to an account depends on.
type SignIn struct {
	Live        []session.Session // newest first
	PasswordSet time.Time         // zero: there is no password
	Temporary   bool              // it opens nothing but the choice of the next one
	Factors     int               // how many it takes
	Places      []session.Place   // where its person has signed in
	Waits       []string          // networks, as Failures has them, from which nobody may try now
}

// LockSignIn makes others who sign in to the account wait until the transaction ends. An account that may not sign in is
// not found.
func (q Queries) LockSignIn(ctx context.Context, owner id.Account) (in SignIn, err error) {
	var locked struct {
		SignInAllowed bool
		Factors       int
	}
	var credential struct {
		SetTime   time.Time
		Temporary bool
	}
	var waits []struct{ Network string }
	var found, hasPassword bool
	q.Read(`SELECT sign_in_allowed AND erase_time IS NULL AS sign_in_allowed, factors FROM accounts WHERE id = $1 FOR NO KEY UPDATE`, []any{owner}, postgres.One(&locked, &found))
	q.Read(`SELECT `+sessionColumns+` FROM sessions WHERE account_id = $1 AND `+liveSession+` ORDER BY create_time DESC, id DESC`,
		[]any{owner, session.Idle}, postgres.All(&in.Live))
	q.Read(`SELECT set_time, temporary_until IS NOT NULL AS temporary FROM credentials WHERE account_id = $1`, []any{owner}, postgres.One(&credential, &hasPassword))
	q.Read(`SELECT device, network FROM devices WHERE account_id = $1`, []any{owner}, postgres.All(&in.Places))
	q.Read(`SELECT network FROM sign_in_failures WHERE account_id = $1 AND next_time > now()`, []any{owner}, postgres.All(&waits))
	if err = q.Fetch(ctx); err == nil && !(found && locked.SignInAllowed) {
		err = account.ErrNotFound
	}
	in.PasswordSet, in.Temporary, in.Factors = credential.SetTime, credential.Temporary, locked.Factors
	for _, row := range waits {
		in.Waits = append(in.Waits, row.Network)
	}
	return in, err
}

// LockSession returns a session, live or not, and holds its row until the transaction ends.
func (q Queries) LockSession(ctx context.Context, owner id.Account, key id.Session) (s session.Session, err error) {
	var found bool
	q.Read(`SELECT `+sessionColumns+` FROM sessions WHERE account_id = $1 AND id = $2 FOR UPDATE`,
		[]any{owner, key}, postgres.One(&s, &found))
	if err = q.Fetch(ctx); err == nil && !found {
		err = session.ErrNotFound
	}
	return s, err
}

// IsLive tells whether a session is live still.
func (q Queries) IsLive(ctx context.Context, owner id.Account, key id.Session) (live bool, err error) {
	var row struct{ ID id.Session }
	q.Read(`SELECT id FROM sessions WHERE account_id = $1 AND `+liveSession+` AND id = $3`, []any{owner, session.Idle, key}, postgres.One(&row, &live))
	return live, q.Fetch(ctx)
}

// ListSessions returns the live sessions of an account, newest first.
func (q Queries) ListSessions(ctx context.Context, owner id.Account) (live []session.Session, err error) {
	q.Read(`SELECT `+sessionColumns+` FROM sessions WHERE account_id = $1 AND `+liveSession+` ORDER BY create_time DESC, id DESC`,
		[]any{owner, session.Idle}, postgres.All(&live))
	return live, q.Fetch(ctx)
}

// InsertSession adds a session with the hash of its secret.
func (q Queries) InsertSession(s session.Session, secretHash []byte) {
	q.Write(`
		INSERT INTO sessions (account_id, id, secret_hash, delivery, stage, level, auth_time, create_time, last_use_time, expire_time, user_agent, address, provider_id)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		s.AccountID, s.ID, secretHash, s.Delivery, s.Stage, s.Level, s.AuthTime, s.CreateTime, s.LastUseTime, s.ExpireTime, s.UserAgent, s.Address, s.ProviderID)
}

// SavePlace notes that somebody has signed in there, and forgets the oldest of too many.
func (q Queries) SavePlace(owner id.Account, p session.Place) {
	q.Write(`
		INSERT INTO devices (account_id, device, network, last_time) VALUES ($1, $2, $3, now())
		ON CONFLICT (account_id, device, network) DO UPDATE SET last_time = excluded.last_time`, owner, p.Device, p.Network)
	q.Write(`
		DELETE FROM devices WHERE account_id = $1 AND (device, network) IN (
			SELECT device, network FROM devices WHERE account_id = $1 ORDER BY last_time DESC, device, network OFFSET $2)`, owner, session.Devices)
}

// CountTry counts a wrong answer to the challenge of a session.
func (q Queries) CountTry(s session.Session) {
	q.Write(`UPDATE sessions SET tries = tries + 1 WHERE account_id = $1 AND id = $2`, s.AccountID, s.ID)
}

// DeleteSession ends a session.
func (q Queries) DeleteSession(s session.Session) {
	q.Write(`DELETE FROM sessions WHERE account_id = $1 AND id = $2`, s.AccountID, s.ID)
}

// Used is a session, and how many factors its account has.
type Used struct {
	session.Session
	Factors int
}

// UseSession returns the live session of a secret that came the way it was delivered, and notes that it was used. It
// waits for nobody: a row that another holds is noted the next time.
func (s Store) UseSession(ctx context.Context, owner id.Account, secretHash []byte, as session.Delivery) (used Used, err error) {
	var found bool
	const wanted = `account_id = $1 AND secret_hash = $3 AND delivery = $4 AND ` + liveSession
	args := []any{owner, session.Idle, secretHash, as}
	err = s.DB.Flight(ctx, postgres.In(owner), func(batch *pgx.Batch) {
		batch.Queue(`SELECT `+sessionColumns+`, (SELECT factors FROM accounts WHERE id = $1) AS factors FROM sessions WHERE `+wanted, args...).Query(one(&used, &found))
		batch.Queue(`
			UPDATE sessions SET last_use_time = now()
			WHERE (account_id, id) IN (
				SELECT account_id, id FROM sessions WHERE `+wanted+` AND last_use_time <= now() - $5::interval
				FOR UPDATE SKIP LOCKED)`, append(args, session.Touch)...)
	})
	if err == nil && !found {
		err = session.ErrUnauthenticated
	}
	return used, err
}
