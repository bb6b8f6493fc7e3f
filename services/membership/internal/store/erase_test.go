package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/testkit"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// TestErasedFence holds that an account is either added before anybody can know that it was deleted, so that what is added is erased with
// it, or not at all.
func TestErasedFence(t *testing.T) {
	t.Parallel()
	dsns := testkit.Database(t, "membership", store.Migrations)
	db := dsns.Open(t, postgres.Options{})
	owner, err := pgx.Connect(t.Context(), dsns.Owner)
	require.NoError(t, err)
	t.Cleanup(func() { owner.Close(context.Background()) })

	for name, lock := range map[string]func(context.Context, store.Queries, id.Organization, id.Account) (store.Standing, error){
		"ForAMember": func(ctx context.Context, q store.Queries, key id.Organization, account id.Account) (store.Standing, error) {
			role := "member"
			at, _, err := q.LockToAdd(ctx, key, id.NewSeat(), &role, account, id.Account{})
			return at, err
		},
		"ForAnOperation": func(ctx context.Context, q store.Queries, key id.Organization, account id.Account) (store.Standing, error) {
			_, at, err := q.LockOperation(ctx, key, org.Operation{Kind: org.CreateOperation, Seat: id.NewSeat(), Account: account})
			return at, err
		},
	} {
		t.Run("C14 "+name, func(t *testing.T) {
			key, account := id.NewOrganization(), id.NewAccount()
			noted := make(chan struct{})
			err := db.InTx(t.Context(), postgres.In(key), func(tx *postgres.Tx) error {
				at, err := lock(t.Context(), store.Queries{Tx: tx}, key, account)
				require.Empty(t, at.Erased)
				go func() {
					defer close(noted)
					for t.Context().Err() == nil { // a wait may be cut short: it is heard again
						err := db.InTx(t.Context(), postgres.In(account), func(tx *postgres.Tx) error {
							store.Queries{Tx: tx}.LockErased(account)
							store.Queries{Tx: tx}.InsertErased(id.Any(account))
							return nil
						})
						if err == nil {
							return
						}
					}
				}()
				require.Eventually(t, func() bool {
					var waits bool
					require.NoError(t, owner.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid)
						WHERE l.locktype = 'advisory' AND NOT l.granted AND a.datname = current_database())`).Scan(&waits))
					return waits
				}, 8*time.Second, 5*time.Millisecond, "it is noted only when this has ended")
				return err
			})
			require.NoError(t, err)
			<-noted
			err = db.InTx(t.Context(), postgres.In(key), func(tx *postgres.Tx) error {
				at, err := lock(t.Context(), store.Queries{Tx: tx}, key, account)
				require.Equal(t, []id.Account{account}, at.Erased)
				return err
			})
			require.NoError(t, err)
		})
	}
}
