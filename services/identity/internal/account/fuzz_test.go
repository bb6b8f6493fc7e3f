package account

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func FuzzParsePassword(f *testing.F) {
	for _, seed := range []string{"violet harbor quilt", "cafe\u0301 harbor quilt", "foo\u1680bar foo bar quilt", "a\x00b", "\xff", "ada lovelace ada lovelace", strings.Repeat("\u0301", 200)} {
		f.Add(seed, "Ada Lovelace")
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		password, err := ParsePassword(text, name)
		if err != nil {
			require.NotEmpty(t, rule(err))
			return
		}
		require.GreaterOrEqual(t, utf8.RuneCountInString(password), minPassword)
		require.False(t, strings.ContainsFunc(password, unicode.IsControl))
		require.Equal(t, password, NormalizePassword(text), "it is compared in the form in which it is kept")
		require.Equal(t, password, NormalizePassword(password))
	})
}
