package store

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/factor"
	"github.com/rosterhq/roster/services/identity/internal/session"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// TestSQLIsItsTwin runs what SQL decides and what its pure twin decides on the same cases.
func TestSQLIsItsTwin(t *testing.T) {
	t.Parallel()
	dsns := testkit.Database(t, "identity", Migrations)
	db := dsns.Open(t, postgres.Options{})
	owner, err := pgx.Connect(t.Context(), dsns.Owner)
	require.NoError(t, err)
	defer owner.Close(t.Context())

	t.Run("R61 CountFailureDelaysAsDelayAfter", func(t *testing.T) {
		for _, before := range []int{0, 1, 3, 4, 5, 6, 9, 13, 14, 15, 40, 1_000_000} {
			key := id.NewAccount()
			if before > 0 {
				_, err := owner.Exec(t.Context(), `INSERT INTO sign_in_failures VALUES ($1, $2, now())`, key, before)
				require.NoError(t, err)
			}
			require.NoError(t, Store{db}.CountFailure(t.Context(), key, "", session.Attempt{}))
			var next time.Duration
			var n int
			require.NoError(t, owner.QueryRow(t.Context(), `SELECT count, next_time - now() FROM sign_in_failures WHERE account_id = $1`, key).Scan(&n, &next))
			require.Equal(t, before+1, n)
			require.InDelta(t, account.DelayAfter(n), max(next, 0), float64(900*time.Millisecond), "after %d", n)
		}
	})
	t.Run("R61 FailuresWithoutADelayHoldNobodyUpWhoBeganBefore", func(t *testing.T) {
		key := id.NewAccount()
		for n := range account.FreeFailures - 1 {
			err := db.InTx(t.Context(), postgres.In(key), func(tx *postgres.Tx) error {
				q := Queries{tx}
				if _, err := q.GetFailures(t.Context(), key, ""); err != nil { // it has begun
					return err
				}
				require.NoError(t, Store{db}.CountFailure(t.Context(), key, "", session.Attempt{})) // somebody else is faster
				seen, err := q.GetFailures(t.Context(), key, "")
				require.False(t, seen.NextTime.After(q.Now()), "after %d", n)
				return err
			})
			require.NoError(t, err)
		}
		err := db.InTx(t.Context(), postgres.In(key), func(tx *postgres.Tx) error {
			q := Queries{tx}
			if _, err := q.GetFailures(t.Context(), key, ""); err != nil {
				return err
			}
			require.NoError(t, Store{db}.CountFailure(t.Context(), key, "", session.Attempt{}))
			seen, err := q.GetFailures(t.Context(), key, "")
			require.True(t, seen.NextTime.After(q.Now()), "the fifth makes everybody wait")
			return err
		})
		require.NoError(t, err)

		other := id.NewAccount()
		err = db.InTx(t.Context(), postgres.In(other), func(tx *postgres.Tx) error {
			q := Queries{tx}
			if _, err := q.GetFailures(t.Context(), other, ""); err != nil {
				return err
			}
			require.NoError(t, Store{db}.CountFailure(t.Context(), other, "", session.Attempt{}))
			q.CountFailure(other, "")
			return nil
		})
		require.NoError(t, err)
		var n int
		require.NoError(t, owner.QueryRow(t.Context(), `SELECT count FROM sign_in_failures WHERE account_id = $1`, other).Scan(&n))
		require.Equal(t, 2, n, "who began before is counted, too")
	})
	t.Run("R41 LiveSessionIsLive", func(t *testing.T) {
		now := time.Now()
		for _, c := range []struct{ used, expires time.Duration }{
			{-time.Hour, time.Hour}, {-session.Idle + 10*time.Second, time.Hour}, {-session.Idle, time.Hour}, {0, -time.Second}, {0, 10 * time.Second},
		} {
			s := session.Session{
				AccountID: id.NewAccount(), ID: id.NewSession(), Delivery: session.Token, CreateTime: now,
				LastUseTime: now.Add(c.used), ExpireTime: now.Add(c.expires),
			}
			err := db.InTx(t.Context(), postgres.In(s.AccountID), func(tx *postgres.Tx) error {
				q := Queries{tx}
				q.InsertAccount(account.Account{ID: s.AccountID, DisplayName: "Ada", Email: "ada@example.com", CreateTime: now}, id.Organization{}, "hash")
				q.InsertSession(s, []byte("hash"))
				return nil
			})
			require.NoError(t, err)
			_, err = Store{db}.UseSession(t.Context(), s.AccountID, []byte("hash"), session.Token)
			require.Equal(t, s.Live(time.Now()), err == nil, "%v: %v", c, err)
		}
	})
}

// TestRowsAreTheirOwners holds row-level security, the second wall: without the scope of its account no row is seen.
func TestRowsAreTheirOwners(t *testing.T) {
	t.Parallel()
	dsns := testkit.Database(t, "identity", Migrations)
	db := dsns.Open(t, postgres.Options{})
	mine, other := id.NewAccount(), id.NewAccount()
	now := time.Now()
	err := db.InTx(t.Context(), postgres.In(mine), func(tx *postgres.Tx) error {
		q := Queries{tx}
		q.InsertAccount(account.Account{ID: mine, DisplayName: "Ada", Email: "ada@example.com", CreateTime: now}, id.Organization{}, "hash")
		q.InsertSession(session.Session{AccountID: mine, ID: id.NewSession(), Delivery: session.Token, CreateTime: now, LastUseTime: now, ExpireTime: now}, []byte("h"))
		q.Write(`INSERT INTO sign_in_failures VALUES ($1, 1, now())`, mine)
		q.Write(`INSERT INTO account_creations VALUES ($1, $2)`, mine, id.NewInvitation())
		q.InsertFactor(mine, factor.Factor{ID: id.NewFactor(), Method: factor.TOTP, CreateTime: now, SealedSecret: []byte("sealed")})
		q.ReplaceRecoveryCodes(mine, factor.NewRecoveryCodes(mine)[:1])
		return nil
	})
	require.NoError(t, err)
	for _, table := range []string{"accounts", "credentials", "sessions", "sign_in_failures", "account_creations", "factors", "recovery_codes"} {
		for scope, want := range map[postgres.Scope]int{postgres.In(mine): 1, postgres.In(other): 0, {}: 0} {
			var rows []struct{ N int }
			require.NoError(t, db.View(t.Context(), scope, func(tx *postgres.Tx) error {
				tx.Read(`SELECT count(*) AS n FROM `+table, nil, postgres.All(&rows))
				return tx.Fetch(t.Context())
			}))
			require.Equal(t, want, rows[0].N, table)
		}
	}
	err = db.InTx(t.Context(), postgres.In(other), func(tx *postgres.Tx) error {
		Queries{tx}.InsertAccount(account.Account{ID: id.NewAccount(), DisplayName: "Eve", Email: "e@e.example", CreateTime: now}, id.Organization{}, "hash")
		return nil
	})
	require.ErrorContains(t, err, "row-level security")
}
