package id

import (
	"crypto/rand"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestText(t *testing.T) {
	t.Parallel()

	t.Run("EveryIDComesBack", func(t *testing.T) {
		t.Parallel()
		for range 10_000 {
			var want Organization
			_, err := rand.Read(want[:])
			require.NoError(t, err)
			got, err := ParseOrganization(want.String())
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
	})

	t.Run("KnownText", func(t *testing.T) {
		t.Parallel()
		var i Account
		for n := range i {
			i[n] = byte(n)
		}
		require.Equal(t, "acc_00041061050r3gg28a1c60t3gf", i.String()) // the TypeID specification's bit order
	})

	t.Run("OtherSpellingsAreRefused", func(t *testing.T) {
		t.Parallel()
		for _, text := range []string{
			"", "org_", "org_00000000000000000000000000", "acc_00041061050r3gg28a1c60t3gf", "org_00041061050R3GG28A1C60T3GF",
			"org_80041061050r3gg28a1c60t3gf", "org_0004106i050r3gg28a1c60t3gf", "org_00041061050r3gg28a1c60t3g",
			"00041061050r3gg28a1c60t3gf", "org_00041061050r3gg28a1c60t3gff",
		} {
			_, err := ParseOrganization(text)
			require.Error(t, err, text)
		}
	})
}
