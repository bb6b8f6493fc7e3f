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
		switch err := page.Open(key, token, &position, "people"); {
		case err != nil:
			require.ErrorIs(t, err, page.ErrInvalid)
			require.Equal(t, "untouched", position)
		case token != "":
			require.Equal(t, "position", position, "nobody else makes one")
		}
	})
}
