package account

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestUnproven(t *testing.T) {
	t.Parallel()
	since := time.Date(2026, 3, 9, 22, 30, 0, 0, time.UTC)
	settled := Account{Email: "Ada@works.example", EmailVerified: true}
	unproven := settled
	unproven.UnprovenTime = &since

	t.Run("TheAddressCountsForNothing", func(t *testing.T) {
		t.Parallel()
		require.True(t, settled.Proven())
		require.False(t, unproven.Proven())
		require.False(t, Account{Email: "ada@works.example"}.Proven())
	})
	t.Run("WhatWasAddedSinceMayBeSomebodyElses", func(t *testing.T) {
		t.Parallel()
		require.False(t, unproven.Since(since.Add(-time.Microsecond)))
		require.True(t, unproven.Since(since))
		require.True(t, unproven.Since(since.Add(time.Hour)))
		require.False(t, settled.Since(since.Add(time.Hour)))
	})
	t.Run("NoAddressButItsOwnIsToBeProven", func(t *testing.T) {
		t.Parallel()
		const own, other = "ada@works.example", "ada@home.example"
		e := Emails{Account: unproven, Proven: []Email{{Key: own, Address: unproven.Email}, {Key: other, Address: other}}}
		require.NoError(t, e.Add(own))
		require.ErrorIs(t, e.Add(other), ErrUnproven)
		_, err := e.Remove(other)
		require.ErrorIs(t, err, ErrUnproven)
		_, err = e.Remove(own)
		require.ErrorIs(t, err, ErrEmailPrimary)
		e.Account = settled
		require.NoError(t, e.Add(other))
		_, err = e.Remove(other)
		require.NoError(t, err)
	})
	t.Run("WhoHasNoneAddsAny", func(t *testing.T) {
		t.Parallel()
		require.NoError(t, Emails{Account: Account{UnprovenTime: &since}}.Settled("ada@home.example"))
	})
}
