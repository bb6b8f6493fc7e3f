package page_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/internal/page"
	"github.com/rosterhq/roster/services/internal/seal"
)

func FuzzOpen(f *testing.F) {
	key := seal.NewKey([32]byte{1})
	made, err := page.Next(key, "position", "people")
	require.NoError(f, err)
	for _, seed := range []string{made, made + "A", made[1:], "x", "eyJhIjoxfQ", "\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		position := "untouched"
		if err := page.Open(key, token, &position, "people"); err != nil {
			require.ErrorIs(t, err, page.ErrInvalid)
		} else {
			require.True(t, token == "" || token == made, token)
		}
		require.Equal(t, map[bool]string{true: "position", false: "untouched"}[token == made], position)
	})
}
