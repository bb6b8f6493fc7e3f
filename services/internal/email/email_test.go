package email_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/internal/email"
)

func TestParse(t *testing.T) {
	t.Parallel()

	t.Run("R64 one address has one key", func(t *testing.T) {
		t.Parallel()
		for text, key := range map[string]string{
			"ada@example.com":      "ada@example.com",
			" Ada@Example.COM ":    "ada@example.com",
			"a.b+c@example.com":    "a.b+c@example.com",
			"ada@bücher.example":   "ada@xn--bcher-kva.example",
			"ADA@BÜCHER.example":   "ada@xn--bcher-kva.example",
			"ada@xn--bcher-kva.de": "ada@xn--bcher-kva.de",
			"müller@example.com":   "müller@example.com",
		} {
			a, ok := email.Parse(text)
			require.True(t, ok, text)
			require.Equal(t, key, a.Key)
			require.Equal(t, strings.TrimSpace(text), a.Display)
		}
	})

	t.Run("R64 what is no address is refused", func(t *testing.T) {
		t.Parallel()
		for _, text := range []string{
			"", "ada", "@example.com", "ada@", "ada@example", "ada@@example.com", "a@b@example.com", "ada@127.0.0.1", "ada@[127.0.0.1]",
			"ada@example.com\r\nBcc: x@y.example", "ada\x00@example.com", "Ada <ada@example.com>", "ada b@example.com",
			".ada@example.com", "ada..b@example.com", "ada@-x.example", "ada@" + strings.Repeat("x", 64) + ".example",
			strings.Repeat("x", 65) + "@example.com", strings.Repeat("x", 250) + "@example.com", "ada@exa mple.com", "\xff@example.com",
		} {
			_, ok := email.Parse(text)
			require.False(t, ok, text)
		}
	})

	t.Run("MaskShowsTheFirstLetter", func(t *testing.T) {
		t.Parallel()
		a, _ := email.Parse("ada@example.com")
		require.Equal(t, "a••@example.com", a.Mask())
	})
}
