package identity

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/password"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/secret"
)

// TestParity compares what is done for those whom there is and those whom there is not, statement by statement. How long that takes
// `make parity` measures.
func TestParity(t *testing.T) {
	t.Parallel()
	h := start(t)
	work := h.watch()
	h.withRealPassword("known@example.com")
	locked := h.withRealPassword("locked@example.com")
	h.exec(`INSERT INTO sign_in_failures VALUES ($1, 9, now() + interval '1 hour')`, locked)
	disabled := h.withRealPassword("disabled@example.com")
	h.exec(`UPDATE accounts SET sign_in_allowed = false, managed_by = gen_random_uuid() WHERE id = $1`, disabled)
	passwordless := h.insert("passwordless@example.com", "")
	h.exec(`DELETE FROM credentials WHERE account_id = $1`, passwordless)
	_, err := h.accounts.SignUp(h.as(""), &identityv1.SignUpRequest{Email: "pending@example.com", Password: goodPassword, DisplayName: "P"})
	require.NoError(t, err)
	work.take()

	// same calls fn for each, in turns, and wants to see the same work.
	same := func(t *testing.T, fn func(who string) string, who ...string) {
		t.Helper()
		var done, said []string
		for _, one := range who {
			before := work.take()
			require.Empty(t, before)
			said = append(said, fn(one))
			done = append(done, strings.Join(work.take(), "\n"))
			require.NotEmpty(t, done[len(done)-1])
		}
		for i := range who {
			require.Equal(t, done[0], done[i], who[i])
			require.Equal(t, said[0], said[i], who[i])
		}
	}
	everybody := []string{"known@example.com", "nobody@example.com", "locked@example.com", "disabled@example.com", "passwordless@example.com", "pending@example.com"}

	t.Run("R63 SigningIn", func(t *testing.T) {
		same(t, func(who string) string { return h.tries(home, who, "wrong password").Error() }, everybody...)
	})
	t.Run("R8 TheDummyIsHashedAsARealOne", func(t *testing.T) {
		parameters := func(hash string) string {
			return hash[:strings.LastIndex(hash[:strings.LastIndexByte(hash, '$')], "$")]
		}
		require.Equal(t, parameters(password.Hash("x")), parameters(password.Dummy))
	})
	t.Run("R63 ForgettingThePassword", func(t *testing.T) {
		same(t, func(who string) string {
			answer, err := h.passwords.RequestPasswordReset(h.from(home), &identityv1.RequestPasswordResetRequest{Email: who})
			require.NoError(t, err)
			return answer.String()
		}, everybody...)
	})
	t.Run("R63 SigningUpAndAskingForTheLinkAgain", func(t *testing.T) {
		same(t, func(who string) string {
			answer, err := h.accounts.SignUp(h.from(home), &identityv1.SignUpRequest{Email: who, Password: goodPassword, DisplayName: "X"})
			require.NoError(t, err)
			return answer.String()
		}, everybody...)
	})
	t.Run("R63 VerifyingAnAddress", func(t *testing.T) {
		var pending id.SignUp
		require.NoError(t, h.owner.QueryRow(t.Context(), `SELECT id FROM sign_ups WHERE email = 'pending@example.com' LIMIT 1`).Scan(&pending))
		tokens := map[string]string{
			"pending": secret.New(secret.Link, pending).Text(), "nobody": secret.New(secret.Link, id.NewSignUp()).Text(), "account": secret.New(secret.Link, disabled).Text(),
		}
		same(t, func(who string) string {
			_, err := h.accounts.VerifyEmail(h.from(home), &identityv1.VerifyEmailRequest{Token: tokens[who]})
			requireReason(t, linkInvalid, err)
			return err.Error()
		}, "pending", "nobody", "account")
	})
	t.Run("R63 ResettingAPassword", func(t *testing.T) {
		h.exec(`INSERT INTO resets VALUES ($1, '\x00', now() + interval '1 hour')`, locked)
		tokens := map[string]string{
			"waiting": secret.New(secret.Link, locked).Text(), "nobody": secret.New(secret.Link, id.NewAccount()).Text(), "account": secret.New(secret.Link, disabled).Text(),
		}
		same(t, func(who string) string {
			_, err := h.passwords.ResetPassword(h.from(home), &identityv1.ResetPasswordRequest{Token: tokens[who], Password: goodPassword})
			requireReason(t, linkInvalid, err)
			return err.Error()
		}, "waiting", "nobody", "account")
	})
}

// withRealPassword is insert, with a password that takes as long to check as everybody's.
func (h *harness) withRealPassword(email string) id.Account {
	h.Helper()
	key := h.insert(email, "")
	h.exec(`UPDATE credentials SET password_hash = $2 WHERE account_id = $1`, key, password.Hash(goodPassword))
	return key
}

// watch sees from now on what the service asks of its database.
func (h *harness) watch() *statements {
	h.Helper()
	seen := new(statements)
	config := h.service.DB.Pool.Config()
	config.ConnConfig.Tracer = seen
	pool, err := pgxpool.NewWithConfig(h.Context(), config)
	require.NoError(h, err)
	h.service.DB.Pool.Close()
	h.service.DB.Pool = pool // closed with the database
	_, err = h.accounts.VerifyEmail(h.as(""), &identityv1.VerifyEmailRequest{Token: secret.New(secret.Link, id.NewSignUp()).Text()})
	requireReason(h, linkInvalid, err)
	seen.take()
	return seen
}

// statements are those that were run, in their order.
type statements struct {
	mu  sync.Mutex
	all []string
}

func (s *statements) take() (all []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, s.all = s.all, nil
	return all
}

func (s *statements) add(sql string) {
	if strings.Contains(sql, "beats") { // the proof that this is the primary serves all calls of a second
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, strings.Join(strings.Fields(sql), " "))
}

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s.add(data.SQL)
	return ctx
}
func (s *statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
func (s *statements) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	for _, query := range data.Batch.QueuedQueries {
		s.add(query.SQL)
	}
	return ctx
}
func (s *statements) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (s *statements) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}
