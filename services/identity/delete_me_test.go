package identity

import (
	"errors"
	"image/color"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/saga"
)

// kept are the tables with rows of an account that was deleted, and why.
var kept = map[string]string{
	"account_creations": "ids: a late call for the same id makes no second account",
	"usernames":         "a username is never anybody else's",
}

func (h *harness) deleteMe(bearer string) (*identityv1.DeleteMeResponse, error) {
	return h.accounts.DeleteMe(h.as(bearer), &identityv1.DeleteMeRequest{})
}

// fill gives an account a row in every table that has rows of accounts.
func (h *harness) fill(ada person) id.Account {
	h.Helper()
	key, err := id.ParseAccount(ada.session.GetAccountId())
	require.NoError(h, err)
	h.addEmail(ada.token, "personal@works.example")
	_, err = h.emails.AddEmail(h.as(ada.token), &identityv1.AddEmailRequest{Email: "personal@later.example"})
	require.NoError(h, err)
	for _, name := range []string{"blocked-first", "blocked"} {
		_, err := h.accounts.UpdateMe(h.as(ada.token), &identityv1.UpdateMeRequest{DisplayName: "Personal Name", Username: name, Phone: "+442079460000"})
		require.NoError(h, err)
	}
	h.makeKey(ada.token, "org.read")
	_, err = h.avatars.SetAvatar(h.as(ada.token), &identityv1.SetAvatarRequest{Content: dot(h.T, color.White)})
	require.NoError(h, err)
	require.Error(h, h.tries("203.0.113.9", "personal@example.com", "wrong harbor quilt 7"))
	h.exec(`INSERT INTO account_creations (account_id, invitation_id) VALUES ($1, gen_random_uuid())`, key)
	h.exec(`INSERT INTO factors (account_id, id, method, display_name, sealed_secret, active, last_step, create_time)
		VALUES ($1, gen_random_uuid(), 'TOTP', 'Personal phone', '\x00', false, 0, now())`, key)
	h.exec(`INSERT INTO recovery_codes VALUES ($1, '\x00')`, key)
	h.exec(`INSERT INTO user_handles VALUES ('\x01', $1)`, key)
	h.exec(`INSERT INTO passkey_challenges VALUES ('\x01', 'PROVE', $1, gen_random_uuid(), now())`, key)
	h.exec(`INSERT INTO resets VALUES ($1, '\x01', now())`, key)
	h.exec(`INSERT INTO email_reverts VALUES ($1, '\x01', 'personal@former.example', now())`, key)
	h.exec(`INSERT INTO reset_requests VALUES (gen_random_uuid(), 'personal@example.com', ''), (gen_random_uuid(), '', 'blocked')`)
	h.exec(`INSERT INTO sign_ups VALUES (gen_random_uuid(), '\x01', 'Personal@example.com', 'Personal', 'hash', now() + interval '1 day')`)
	h.exec(`INSERT INTO providers (id, display_name, issuer, client_id, enabled, create_time, update_time)
		VALUES (gen_random_uuid(), 'Example', 'https://id.example', 'roster', true, now(), now())`)
	h.exec(`INSERT INTO federated_identities SELECT id, 'personal-subject', $1, now() FROM providers`, key)
	h.exec(`INSERT INTO managed_domains VALUES ($1, gen_random_uuid(), 'example.com', gen_random_uuid(), now(), now())`, key)
	return key
}

// byAccount returns how many rows each table has of an account.
func (h *harness) byAccount(key id.Account) map[string]int {
	h.Helper()
	rows, err := h.owner.Query(h.Context(), `SELECT DISTINCT table_name::text FROM information_schema.columns WHERE table_schema = 'public' AND column_name = 'account_id'`)
	require.NoError(h, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(h, err)
	counts := map[string]int{"accounts": count(h, `accounts WHERE id = $1`, key)}
	for _, table := range tables {
		counts[table] = count(h, table+` WHERE account_id = $1`, key)
	}
	return counts
}

func TestDeleteMe(t *testing.T) {
	t.Parallel()

	t.Run("C14 Nothing personal is left, in any table", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.newcomer("personal@example.com")
		key := h.fill(ada)
		for table, n := range h.byAccount(key) {
			require.NotZero(t, n, "the test puts no row of the account into %s", table)
		}
		bob := h.newcomer("bob@example.com")
		h.sweep(mail.TaskKind)
		require.Contains(t, h.dump(), "personal@former.example")

		answer, err := h.deleteMe(ada.token)
		require.NoError(t, err)
		require.True(t, answer.GetDeleted())
		require.Equal(t, []string{key.String()}, h.departs.ended)
		require.Empty(t, h.departs.operator)
		for table, n := range h.byAccount(key) {
			require.Equal(t, kept[table] != "", n > 0, "%d rows are left in %s", n, table)
		}
		h.sweep(mail.TaskKind)
		left := strings.ToLower(h.dump())
		for _, word := range []string{"personal@", "personal name", "442079460000", "personal-subject", "203.0.113.9", "argon2id$1"} {
			require.NotContains(t, left, word)
		}
		require.Contains(t, left, "bob@example.com")
		require.Equal(t, 2, count(h, `usernames WHERE username IN ('blocked', 'blocked-first')`), "for ever")
		require.Zero(t, count(h, `due WHERE aggregate_id = $1`, key))
		_, err = h.accounts.GetMe(h.as(bob.token), &identityv1.GetMeRequest{})
		require.NoError(t, err, "nobody else's is touched")

		var told []string
		for _, m := range h.outbox.to("personal@example.com") {
			told = append(told, m.Subject)
		}
		require.Contains(t, told, "Your account is being deleted")
		require.Contains(t, told, "Your account is deleted")
	})

	t.Run("C14 The history stays and verifies, without names", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.newcomer("ada@example.com")
		key := h.fill(ada)
		before := h.types(key.String())
		_, err := h.deleteMe(ada.token)
		require.NoError(t, err)
		after := h.events(key.String())
		require.Equal(t, before, h.types(key.String())[:len(before)])
		require.Equal(t, "account.deleted", after[len(after)-1].Type)
		for _, e := range after {
			require.Empty(t, e.Personal, e.Type)
		}
		rows, err := h.owner.Query(t.Context(), `SELECT aggregate_id, revision, epoch, id, type, time, data, personal, personal_salt, personal_hash, trace_id, prev_hash, hash
			FROM events WHERE aggregate_id = $1 ORDER BY revision`, key)
		require.NoError(t, err)
		entries, err := pgx.CollectRows(rows, pgx.RowToStructByName[outbox.Entry])
		require.NoError(t, err)
		require.NoError(t, outbox.Verify(entries))
	})

	t.Run("R43 Sessions and keys end with the call, and nobody signs in while it is being done", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.newcomer("ada@example.com")
		made := h.makeKey(ada.token, "org.read")
		h.departs.err = errors.New("membership is away") // after it was asked what stands in the way
		h.departs.before = nil
		_, err := h.deleteMe(ada.token)
		require.Error(t, err)
		require.NotContains(t, h.types(ada.session.GetAccountId()), "session.ended", "nothing was begun")

		h.departs.err = nil
		h.departs.before = func() { h.departs.err = errors.New("membership went away") }
		answer, err := h.deleteMe(ada.token)
		require.NoError(t, err)
		require.False(t, answer.GetDeleted())
		_, err = h.resolve(ada.token, false)
		requireReason(t, unauthenticated, err)
		_, err = h.resolve(made.GetSecret(), false)
		requireReason(t, unauthenticated, err)
		requireReason(t, credentialsInvalid, h.trySignIn("ada@example.com"))

		h.departs.before, h.departs.err = nil, nil
		h.exec(`UPDATE due SET next_time = now() WHERE kind = 'erase'`)
		require.Equal(t, 1, h.sweep("erase"))
		require.Zero(t, count(h, `accounts`))
		require.Zero(t, h.sweep("erase"))
		key, err := id.ParseAccount(ada.session.GetAccountId())
		require.NoError(t, err)
		require.NoError(t, h.service.finishErasing(t.Context(), saga.For(key, eraseTask, key)), "what comes late finds nothing to do")
		require.Len(t, h.departs.ended, 1)
		require.Equal(t, 1, strings.Count(strings.Join(h.types(key.String()), " "), "account.deleted"))
	})

	t.Run("RB6 Whoever is indispensable somewhere stays, and is told where", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.newcomer("ada@example.com")
		h.departs.stand = []*membershipv1.StandingOrganization{{OrganizationId: "org_1", DisplayName: "Acme"}, {OrganizationId: "org_2", DisplayName: "Sub"}}
		for _, validate := range []bool{true, false} {
			_, err := h.accounts.DeleteMe(h.as(ada.token), &identityv1.DeleteMeRequest{ValidateOnly: validate})
			requireReason(t, lastOwner, err)
			require.Contains(t, err.Error(), "Acme, Sub")
		}
		_, err := h.accounts.GetMe(h.as(ada.token), &identityv1.GetMeRequest{})
		require.NoError(t, err, "nothing was begun")

		stand := h.departs.stand
		h.departs.stand = nil
		_, err = h.accounts.DeleteMe(h.as(ada.token), &identityv1.DeleteMeRequest{ValidateOnly: true})
		require.NoError(t, err)
		_, err = h.accounts.GetMe(h.as(ada.token), &identityv1.GetMeRequest{})
		require.NoError(t, err)
		h.departs.before = func() { h.departs.stand = stand } // an ownership was accepted meanwhile
		_, err = h.deleteMe(ada.token)
		requireReason(t, lastOwner, err)
		require.NoError(t, h.trySignIn("ada@example.com"), "the account is as it was")
		h.sweep(mail.TaskKind)
		require.Contains(t, h.outbox.to("ada@example.com")[0].Text, "Acme, Sub")
		require.Zero(t, count(h, `due WHERE kind = 'erase'`))
	})

	t.Run("A new account with the address has nothing of the old one", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.newcomer("ada@example.com")
		h.fill(ada)
		_, err := h.deleteMe(ada.token)
		require.NoError(t, err)
		again := h.newcomer("ada@example.com")
		require.NotEqual(t, ada.session.GetAccountId(), again.session.GetAccountId())
		_, err = h.accounts.UpdateMe(h.as(again.token), &identityv1.UpdateMeRequest{Username: "blocked"})
		requireReason(t, usernameTaken, err)
		me, err := h.exports.ExportAccount(h.as(again.token), &identityv1.ExportAccountRequest{})
		require.NoError(t, err)
		require.Empty(t, me.GetApiKeys())
		require.Len(t, me.GetLoginActivity(), 1)
	})

	t.Run("Many at once delete it once", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.newcomer("ada@example.com")
		for _, err := range h.together(4, func(int) error {
			_, err := h.deleteMe(ada.token)
			return err
		}) {
			if err != nil {
				requireReason(t, unauthenticated, err) // it came after the others
			}
		}
		require.Equal(t, 1, strings.Count(strings.Join(h.types(ada.session.GetAccountId()), " "), "account.deleted"))
		h.sweep(mail.TaskKind)
		require.Len(t, h.outbox.to("ada@example.com"), 3, "to verify, and two of these")
	})

	t.Run("Asks for a fresh proof", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.newcomer("ada@example.com")
		h.exec(`UPDATE sessions SET auth_time = now() - interval '11 minutes'`)
		_, err := h.deleteMe(ada.token)
		requireReason(t, stepUpRequired, err)
	})
}
