package fleet_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/internal/credential"
	"github.com/rosterhq/roster/services/internal/fleet"
	"github.com/rosterhq/roster/services/internal/newcomer"
)

// Two of every role, under load while the key that signs internal tokens is replaced, as planned and because somebody else knows it: no call is
// refused, whichever identity has signed its token and whichever process verifies it, until the replaced key is gone.
func TestReplacingKeysFailsNoCall(t *testing.T) {
	t.Parallel()
	t.Run("R49 no call fails while keys are replaced under load, in an emergency too", func(t *testing.T) {
		t.Parallel()
		f := start(t, fleet.Config{Copies: 2})
		identity, err := pgx.Connect(t.Context(), f.DSN("identity", "identity_owner"))
		require.NoError(t, err)
		t.Cleanup(func() { identity.Close(context.Background()) })
		published := func(key string) (is bool) {
			require.NoError(t, identity.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM signing_keys WHERE id = $1)`, key).Scan(&is))
			return is
		}
		// lingers is how long a key is published after the next one has begun to sign.
		lingers := func(key, next string) (d time.Duration) {
			require.NoError(t, identity.QueryRow(t.Context(), `SELECT k.retire_time - n.activate_time FROM signing_keys k, signing_keys n WHERE k.id = $1 AND n.id = $2`,
				key, next).Scan(&d))
			return d
		}
		signs := func() (key string) {
			require.NoError(t, identity.QueryRow(t.Context(), `SELECT id FROM signing_keys WHERE active`).Scan(&key))
			return key
		}

		ctx, stop := context.WithCancel(t.Context())
		var load sync.WaitGroup
		var calls atomic.Int64
		for worker := range 2 {
			person, err := newcomer.SignUp(t.Context(), f.Conn(), newcomer.In(f.Mail), fmt.Sprintf("worker-%d@example.com", worker))
			require.NoError(t, err)
			for _, call := range []func(context.Context, *fleet.Fleet, string, int) error{overGRPC, overREST} {
				load.Go(func() {
					for n := 0; ctx.Err() == nil; n++ {
						if err := call(context.WithoutCancel(ctx), f, person.Session, n); err != nil {
							t.Errorf("call %d failed: %v", calls.Load(), err)
							return
						}
						calls.Add(1)
					}
				})
			}
		}
		goesOn := func() {
			before := calls.Load()
			require.Eventually(t, func() bool { return calls.Load() > before+20 || t.Failed() }, time.Minute, 10*time.Millisecond)
		}
		goesOn()

		first := signs()
		require.ErrorContains(t, f.RotateKeys(t.Context()), "5m0s", "the next is known for too short a time")
		require.Equal(t, first, signs())
		_, err = identity.Exec(t.Context(), `UPDATE signing_keys SET create_time = create_time - interval '5 minutes'`)
		require.NoError(t, err)
		require.NoError(t, f.RotateKeys(t.Context()))
		second := signs()
		require.NotEqual(t, first, second)
		goesOn()
		require.NoError(t, f.RotateKeys(t.Context(), "--compromised"))
		third := signs()
		require.NotEqual(t, second, third)
		require.GreaterOrEqual(t, lingers(first, second), time.Minute, "until its tokens are gone")
		require.LessOrEqual(t, lingers(second, third), time.Minute-credential.KeysLife, "verifiers ask that often")
		require.Eventually(t, func() bool { return !published(second) || t.Failed() }, 2*time.Minute, 100*time.Millisecond, "nobody is told of it")
		goesOn()
		stop()
		load.Wait()
		t.Log(calls.Load(), "calls")
	})
}
