package id

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func FuzzParse(f *testing.F) {
	for _, seed := range []string{NewAccount().String(), "acc_", "acc_01m82vx952ey794g6c0hc1dam3", "ACC_01M82VX952EY794G6C0HC1DAM3", "org_zzzzzzzzzzzzzzzzzzzzzzzzzz", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		key, err := ParseAccount(text)
		if err != nil {
			require.True(t, key.IsZero())
			return
		}
		require.Equal(t, text, key.String(), "an id has one spelling")
		_, err = ParseOrganization(text)
		require.Error(t, err, "and one kind")
	})
}
