package membership_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

func TestSignIn(t *testing.T) {
	t.Parallel()

	t.Run("S2-48 S2-51 Identity hears of who is disabled, enabled and removed", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		account := o.add("member")
		_, err := o.disable(o.creator, account)
		require.NoError(t, err)
		require.Equal(t, map[string]bool{account.String(): true}, o.accounts.blocked)
		_, err = o.enable(o.creator, account)
		require.NoError(t, err)
		require.Equal(t, map[string]bool{account.String(): false}, o.accounts.blocked)
		_, err = o.disable(o.creator, account)
		require.NoError(t, err)
		_, err = o.remove(o.creator, account)
		require.NoError(t, err)
		require.Equal(t, map[string]bool{account.String(): false}, o.accounts.blocked)
		require.Zero(t, o.due())
	})

	t.Run("S2-48 It hears of it later when it is away", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		account := o.add("member")
		o.accounts.err = errDown
		_, err := o.disable(o.creator, account)
		require.NoError(t, err)
		require.Equal(t, 1, o.due())
		o.accounts.err = nil
		o.sweep()
		require.Zero(t, o.due())
		require.True(t, o.accounts.blocked[account.String()])
	})

	t.Run("RULING 29 Elsewhere nobody is kept from signing in", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		for _, preset := range []membershipv1.Preset{pipeline, portal, flat} {
			o := h.create(preset)
			role := "member"
			if preset == pipeline {
				role = "viewer"
			}
			account := o.add(role)
			_, err := o.disable(o.creator, account)
			require.NoError(t, err)
		}
		require.Empty(t, h.accounts.blocked)
	})
}
