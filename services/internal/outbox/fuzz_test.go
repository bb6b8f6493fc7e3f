package outbox

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/internal/id"
)

func FuzzParseToken(f *testing.F) {
	mine := id.Organization{1}
	for _, seed := range []string{"", Token(mine, "membership", 7), Token(id.Organization{2}, "membership", 7), "AAAA", "!"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		positions, err := ParseToken(text, mine)
		if err != nil || text == "" {
			require.Empty(t, positions)
			return
		}
		again, err := ParseToken(positions.Token(mine), mine)
		require.NoError(t, err)
		require.Equal(t, len(positions), len(again))
		for service, revision := range positions {
			require.Equal(t, revision, again[service])
		}
	})
}
