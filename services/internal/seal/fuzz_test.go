package seal_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/internal/seal"
	"github.com/rosterhq/roster/services/internal/testkit"
)

func FuzzOpen(f *testing.F) {
	older := [32]byte{1}
	key := seal.NewKey([32]byte{2}, older)
	for _, made := range [][]byte{
		key.Seal([]byte("plain"), "row"),
		seal.NewKey(older).Seal([]byte("plain"), "row"),
		testkit.SealedWithoutID(older, []byte("plain"), "row"),
	} {
		f.Add(made)
		f.Add(made[:len(made)-1])
		f.Add(made[:5])
	}
	f.Add([]byte{1})
	f.Add([]byte{2})
	f.Fuzz(func(t *testing.T, sealed []byte) {
		if plain, err := key.Open(sealed, "row"); err == nil {
			require.Equal(t, "plain", string(plain), "nobody else seals")
		}
	})
}
