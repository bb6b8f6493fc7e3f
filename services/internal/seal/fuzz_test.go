package seal_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/internal/seal"
)

func FuzzOpen(f *testing.F) {
	key := seal.NewKey([32]byte{1})
	made := key.Seal([]byte("plain"), "row")
	f.Add(made)
	f.Add(made[:len(made)-1])
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, sealed []byte) {
		if plain, err := key.Open(sealed, "row"); err == nil {
			require.Equal(t, "plain", string(plain), "nobody else seals")
		}
	})
}
