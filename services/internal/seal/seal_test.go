package seal_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/internal/seal"
)

func TestKey(t *testing.T) {
	t.Parallel()
	key := seal.NewKey([32]byte{1})

	t.Run("OpensWhatItSealed", func(t *testing.T) {
		t.Parallel()
		plain, err := key.Open(key.Seal([]byte("x"), "a", "b"), "a", "b")
		require.NoError(t, err)
		require.Equal(t, "x", string(plain))
	})

	t.Run("NothingElseOpens", func(t *testing.T) {
		t.Parallel()
		sealed := key.Seal([]byte("secret"), "a", "b")
		for _, open := range []func() ([]byte, error){
			func() ([]byte, error) { return key.Open(sealed, "a", "c") },
			func() ([]byte, error) { return key.Open(sealed, "ab") },
			func() ([]byte, error) { return key.Derive("mail").Open(sealed, "a", "b") },
			func() ([]byte, error) { return key.Open(sealed[:10], "a", "b") },
			func() ([]byte, error) { return key.Open(nil, "a", "b") },
		} {
			_, err := open()
			require.ErrorIs(t, err, seal.ErrOpen)
		}
		for i := range sealed {
			forged := append([]byte(nil), sealed...)
			forged[i] ^= 1
			_, err := key.Open(forged, "a", "b")
			require.ErrorIs(t, err, seal.ErrOpen)
		}
	})

	t.Run("ASumIsOfTheTextAndTheKey", func(t *testing.T) {
		t.Parallel()
		key := seal.NewKey([32]byte{1})
		sum := key.Sum([]byte("x"))
		require.Len(t, sum, 32)
		require.Equal(t, sum, seal.NewKey([32]byte{1}).Sum([]byte("x")))
		require.NotEqual(t, sum, key.Sum([]byte("y")))
		require.NotEqual(t, sum, seal.NewKey([32]byte{2}).Sum([]byte("x")))
	})

	t.Run("FileIsMadeOnceAndReadAgain", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "sub", "key")
		first, err := seal.LoadOrCreate(file)
		require.NoError(t, err)
		second, err := seal.LoadOrCreate(file)
		require.NoError(t, err)
		_, err = second.Open(first.Seal([]byte("x")))
		require.NoError(t, err)
	})

	t.Run("FileThatHoldsNoKeyIsRefusedAndKept", func(t *testing.T) {
		t.Parallel()
		for _, text := range []string{"", "no base64", "c2hvcnQ="} {
			file := filepath.Join(t.TempDir(), "key")
			require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
			_, err := seal.LoadOrCreate(file)
			require.ErrorContains(t, err, "32 bytes in base64")
			kept, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, text, string(kept))
		}
	})
}
