package proof_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/internal/devdns"
	"github.com/rosterhq/roster/services/membership/internal/proof"
)

func TestHas(t *testing.T) {
	t.Parallel()
	dns, err := devdns.Start()
	require.NoError(t, err)
	t.Cleanup(dns.Stop)
	r := proof.New(dns.Addr())
	dns.Set("_roster.example.com", "v=spf1 -all", "roster=abc")
	dns.Set("_roster.other.example", "roster=ABC", "roster=abcd", " roster=abc")

	t.Run("R68_FindsTheValueAmongOthers", func(t *testing.T) {
		t.Parallel()
		has, err := r.Has(t.Context(), "_roster.example.com", "roster=abc")
		require.NoError(t, err)
		require.True(t, has)
	})

	t.Run("R68_AnotherValueIsNoProof", func(t *testing.T) {
		t.Parallel()
		has, err := r.Has(t.Context(), "_roster.other.example", "roster=abc")
		require.NoError(t, err)
		require.False(t, has)
	})

	t.Run("R68_ANameThatDoesNotExistIsNoProof", func(t *testing.T) {
		t.Parallel()
		has, err := r.Has(t.Context(), "_roster.missing.example", "roster=abc")
		require.NoError(t, err)
		require.False(t, has)
	})

	t.Run("WhatIsNotThereIsNotRemembered", func(t *testing.T) {
		t.Parallel()
		for range 2 {
			has, err := r.Has(t.Context(), "_roster.late.example", "roster=abc")
			require.NoError(t, err)
			require.False(t, has)
		}
		dns.Set("_roster.late.example", "roster=abc")
		has, err := r.Has(t.Context(), "_roster.late.example", "roster=abc")
		require.NoError(t, err)
		require.True(t, has)
	})

	t.Run("AServerThatFailsHasNotAnswered", func(t *testing.T) {
		t.Parallel()
		dns.Break("_roster.broken.example", true)
		_, err := r.Has(t.Context(), "_roster.broken.example", "roster=abc")
		require.Error(t, err)
	})
}
