package naming

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func FuzzParseUsername(f *testing.F) {
	for _, seed := range []string{"ada", "Ada.Lovelace_1-2", "ada lovelace", "аda", "", "a\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name, err := ParseUsername("username", text)
		if err != nil {
			return
		}
		require.Equal(t, text, name.Display)
		require.Regexp(t, `^[a-z0-9._-]{1,64}$`, name.Key)
		require.True(t, strings.EqualFold(name.Display, name.Key))
	})
}

func FuzzParseLine(f *testing.F) {
	for _, seed := range []string{"Ada Lovelace", " e\u0301 ", "\u202eevil", "a\r\nb", "👩\u200d🚀", "\u200d", "\x1b[31m", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		line, err := ParseLine("display_name", text, 1, 100)
		if err != nil {
			return
		}
		require.True(t, utf8.ValidString(line))
		require.LessOrEqual(t, utf8.RuneCountInString(line), 100)
		require.False(t, strings.ContainsFunc(line, unicode.IsControl))
		require.NotContains(t, line, "\u202e")
		again, err := ParseLine("display_name", line, 1, 100)
		require.NoError(t, err)
		require.Equal(t, line, again)
	})
}
