package seal_test

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/internal/seal"
	"github.com/rosterhq/roster/services/internal/testkit"
)

// line is a key in a file.
func line(n byte) string {
	return base64.StdEncoding.EncodeToString(append([]byte{n}, make([]byte, 31)...))
}

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
		sums := key.Sums([]byte("x"))
		require.Len(t, sums, 1)
		require.Len(t, sums[0], 32)
		require.Equal(t, sums, seal.NewKey([32]byte{1}).Sums([]byte("x")))
		require.NotEqual(t, sums, key.Sums([]byte("y")))
		require.NotEqual(t, sums, seal.NewKey([32]byte{2}).Sums([]byte("x")))
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
		for _, text := range []string{"", "\n", "no base64", "c2hvcnQ=", line(1) + "\nc2hvcnQ="} {
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

func TestRing(t *testing.T) {
	t.Parallel()
	older, newer := [32]byte{1}, [32]byte{2}
	before, prepared, turned, after := seal.NewKey(older), seal.NewKey(older, newer), seal.NewKey(newer, older), seal.NewKey(newer)
	opens := func(key *seal.Key, sealed []byte) bool {
		plain, err := key.Open(sealed, "table", "row")
		return err == nil && string(plain) == "x"
	}

	t.Run("R54 TheFirstKeySealsAndAllOpen", func(t *testing.T) {
		t.Parallel()
		for _, derive := range []func(*seal.Key) *seal.Key{
			func(k *seal.Key) *seal.Key { return k },
			func(k *seal.Key) *seal.Key { return k.Derive("mail") },
		} {
			for step, by := range []*seal.Key{before, prepared, turned, after} {
				sealed := derive(by).Seal([]byte("x"), "table", "row")
				for at, key := range []*seal.Key{before, prepared, turned, after} {
					newest, has := step > 1, at > 0 // that it takes the newer key, and that there is one
					if !newest {
						has = at < 3
					}
					require.Equal(t, has, opens(derive(key), sealed), "step %d at %d", step, at)
				}
			}
		}
	})

	t.Run("R54 ASealedValueNamesItsKey", func(t *testing.T) {
		t.Parallel()
		sealed := turned.Seal([]byte("x"), "table", "row")
		require.True(t, bytes.HasPrefix(sealed, turned.Head()))
		require.Equal(t, after.Head(), turned.Head())
		require.True(t, bytes.HasPrefix(turned.Derive("mail").Seal(nil), turned.Head()), "the key in the file, whatever it is for")
		require.Equal(t, [][]byte{after.Head(), before.Head()}, turned.Heads())
		require.NotEqual(t, before.Head(), after.Head())
		require.NotContains(t, string(newer[:]), string(turned.Head()[1:]), "it tells nothing of the key")
		renamed := append(before.Head(), sealed[len(before.Head()):]...)
		require.False(t, opens(turned, renamed))
	})

	t.Run("R54 WhatNamesNoKeyOpensWithEach", func(t *testing.T) {
		t.Parallel()
		sealed := testkit.SealedWithoutID(older, []byte("x"), "table", "row")
		require.True(t, opens(before, sealed))
		require.True(t, opens(prepared, sealed))
		require.True(t, opens(turned, sealed))
		require.False(t, opens(after, sealed))
		_, err := turned.Open(sealed, "table", "other")
		require.ErrorIs(t, err, seal.ErrOpen)
	})

	t.Run("R54 WhatNamesNoKeyMayBeBoundToLess", func(t *testing.T) {
		t.Parallel()
		plain, err := turned.OpenOlder(testkit.SealedWithoutID(older, []byte("x"), "row"), []string{"row"}, "row", "organization")
		require.NoError(t, err)
		require.Equal(t, "x", string(plain))
		_, err = turned.OpenOlder(before.Seal([]byte("x"), "row"), []string{"row"}, "row", "organization")
		require.ErrorIs(t, err, seal.ErrOpen, "what names its key is bound to all")
	})

	t.Run("R54 SumsAndSignaturesOfEachKeyAreKnown", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, [][]byte{after.Sums([]byte("x"))[0], before.Sums([]byte("x"))[0]}, turned.Sums([]byte("x")))
		require.Equal(t, turned.Signer(), after.Signer())
		require.Equal(t, append(after.Verifiers(), before.Verifiers()...), turned.Verifiers())
	})

	t.Run("R54 AFileHoldsAKeyOnEachLine", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "key")
		require.NoError(t, os.WriteFile(file, []byte(line(2)+"\n\n"+line(1)), 0o600))
		key, err := seal.Load(file)
		require.NoError(t, err)
		require.Equal(t, turned.Heads(), key.Heads())

		require.NoError(t, os.WriteFile(file, []byte(line(2)+"\n"+line(2)+"\n"), 0o600))
		_, err = seal.Load(file)
		require.ErrorContains(t, err, "the same key twice")
		require.NotContains(t, err.Error(), line(2))
	})
}
