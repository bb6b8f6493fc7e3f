package page_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/internal/page"
	"github.com/rosterhq/roster/services/internal/seal"
)

func TestToken(t *testing.T) {
	t.Parallel()
	key := seal.NewKey([32]byte{1})

	t.Run("R74 goes on where it was made, for the same list only", func(t *testing.T) {
		t.Parallel()
		token, err := page.Next(key, []string{"a", "b"}, "people", "org", "caller", "filter")
		require.NoError(t, err)
		var position []string
		require.NoError(t, page.Open(key, token, &position, "people", "org", "caller", "filter"))
		require.Equal(t, []string{"a", "b"}, position)
		for _, bound := range [][]string{{}, {"people", "org", "caller"}, {"people", "org", "other", "filter"}, {"people", "org", "caller", "other"}} {
			require.ErrorIs(t, page.Open(key, token, &position, bound...), page.ErrInvalid)
		}
		for _, forged := range []string{"x", "!", token + "A", token[:len(token)-2], "AAAA", token + "\n", token[:4] + "\r\n" + token[4:], token + "=", strings.ToUpper(token)} {
			require.ErrorIs(t, page.Open(key, forged, &position, "people", "org", "caller", "filter"), page.ErrInvalid)
		}
	})

	t.Run("a page ends where the next one begins", func(t *testing.T) {
		t.Parallel()
		rows := []string{"a", "b", "c"}
		initial := func(row string) string { return row }
		shown, next, err := page.Cut(key, rows, 2, initial, "people")
		require.NoError(t, err)
		require.Equal(t, []string{"a", "b"}, shown)
		var position string
		require.NoError(t, page.Open(key, next, &position, "people"))
		require.Equal(t, "b", position)
		shown, next, err = page.Cut(key, rows, 3, initial, "people")
		require.NoError(t, err)
		require.Equal(t, rows, shown)
		require.Empty(t, next, "there is no more")
	})

	t.Run("NoTokenIsTheBeginning", func(t *testing.T) {
		t.Parallel()
		position := []string{"untouched"}
		require.NoError(t, page.Open(key, "", &position))
		require.Equal(t, []string{"untouched"}, position)
	})

	t.Run("SizesAreBounded", func(t *testing.T) {
		t.Parallel()
		for asked, size := range map[int32]int{-1: 50, 0: 50, 1: 1, 500: 500, 501: 500} {
			require.Equal(t, size, page.Size(asked))
		}
	})
}
