package naming_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"

	"github.com/rosterhq/roster/services/internal/naming"
)

func TestParseUsername(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"ada": "ada", "Ada.Lovelace": "ada.lovelace", "A": "a", "a_b-c.9": "a_b-c.9", strings.Repeat("x", 64): strings.Repeat("x", 64),
	} {
		u, err := naming.ParseUsername("username", text)
		require.NoError(t, err)
		require.Equal(t, naming.Username{Display: text, Key: want}, u)
	}
	for _, text := range []string{"", strings.Repeat("x", 65), "ada lovelace", " ada", "ada@example.com", "аda", "adä", "ada\n", "İ", "ſ", "a/b"} {
		_, err := naming.ParseUsername("username", text)
		require.ErrorIs(t, err, fault.Invalid("username", ""), "%q", text)
	}
}

func TestParseDisplayName(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		" Ada Lovelace ": "Ada Lovelace", "José": "José", "渡辺 洋子": "渡辺 洋子", "👩‍🔬": "👩‍🔬", strings.Repeat("ü", 100): strings.Repeat("ü", 100),
	} {
		name, err := naming.ParseDisplayName("display_name", text)
		require.NoError(t, err)
		require.Equal(t, want, name)
	}
	for _, text := range []string{
		"", "   ", strings.Repeat("x", 101), "Ada\nLovelace", "Ada\rLovelace", "Ada\x1b[31m", "Ada\u202egpj", "Ada\u2066", "Ada\u2028Lovelace", "\xff", "A\x00",
		"zero\u200bwidth", "\u200d", "\u200c\u200d", "\u3164", "\uffa0\u115f", "\u2800 \u2800", "\ufe0f\u034f",
	} {
		_, err := naming.ParseDisplayName("display_name", text)
		require.ErrorIs(t, err, fault.Invalid("display_name", ""), "%q", text)
	}
}
