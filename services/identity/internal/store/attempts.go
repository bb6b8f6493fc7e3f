package store

import (
	"context"

	"github.com/rosterhq/roster/services/identity/internal/session"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// What is nobody's account, a decoy, has no login activity.
const insertAttempt = `
	INSERT INTO sign_ins (account_id, action, method, reason, address, user_agent)
	SELECT id, $2, $3, $4, $5, $6 FROM accounts WHERE id = $1`

const trimAttempts = `
	DELETE FROM sign_ins WHERE account_id = $1 AND (time <= now() - $3::interval OR (reason = '') = ($2 = '') AND id <= (
		SELECT id FROM sign_ins WHERE account_id = $1 AND (reason = '') = ($2 = '') ORDER BY id DESC OFFSET $4 LIMIT 1))`

func attemptArgs(owner id.Account, a session.Attempt) (insert, trim []any) {
	return []any{owner, a.Action, a.Method, a.Reason, a.Address, session.Label(a.UserAgent)}, []any{owner, a.Reason, session.AttemptsFor, session.Attempts}
}

// InsertAttempt notes what was tried with an account, and forgets what is too old or too much.
func (q Queries) InsertAttempt(owner id.Account, a session.Attempt) {
	insert, trim := attemptArgs(owner, a)
	q.Write(insertAttempt, insert...)
	q.Write(trimAttempts, trim...)
}

// ListAttempts returns the login activity of an account, newest first.
func (q Queries) ListAttempts(ctx context.Context, owner id.Account) (found []session.Attempt, err error) {
	q.Read(`
		SELECT time, action, method, reason, address, user_agent FROM sign_ins
		WHERE account_id = $1 AND time > now() - $2::interval ORDER BY id DESC`,
		[]any{owner, session.AttemptsFor}, postgres.All(&found))
	return found, q.Fetch(ctx)
}
