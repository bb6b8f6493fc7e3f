package email_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"

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

	t.Run("R34 R64 an address that folds to another is another", func(t *testing.T) {
		t.Parallel()
		kelvin, ok := email.Parse("\u212Aate@example.com") // NFC makes it K, and then the mail goes to kate, too
		require.True(t, ok)
		require.Equal(t, "kate@example.com", kelvin.Key)
		require.Equal(t, "Kate@example.com", kelvin.Mailbox())
		long, ok := email.Parse("\u017Fam@example.com") // long s, which folds to s
		require.True(t, ok)
		require.NotEqual(t, "sam@example.com", long.Key)
		composed, ok := email.Parse("\u00e9@example.com")
		require.True(t, ok)
		decomposed, ok := email.Parse("e\u0301@example.com")
		require.True(t, ok)
		require.Equal(t, composed.Key, decomposed.Key)
		for _, hidden := range []string{"\u202eada@example.com", "a\u200bda@example.com", "a\u00adda@example.com", "a\ufeffda@example.com", "a\u2028da@example.com",
			"ada\u3164@example.com", "ada\uffa0@example.com", "ada\u115f@example.com", "ada\u034f@example.com", "ada\ufe0f@example.com", "ada\u2800@example.com"} {
			_, ok := email.Parse(hidden)
			require.False(t, ok, "%q", hidden)
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

func TestParseField(t *testing.T) {
	t.Parallel()
	t.Run("R64 SpellingsOfOneAddressAreOne", func(t *testing.T) {
		t.Parallel()
		for text, want := range map[string]string{
			"ada@example.com":            "ada@example.com",
			"  Ada@Example.COM\t":        "ada@example.com",
			"ada+tag@example.com":        "ada+tag@example.com",
			"a.d.a@example.com":          "a.d.a@example.com",
			"ada@bücher.example":         "ada@xn--bcher-kva.example",
			"ada@BÜCHER.example":         "ada@xn--bcher-kva.example",
			"ada@xn--bcher-kva.example":  "ada@xn--bcher-kva.example",
			"ada@ｅｘａｍｐｌｅ.com":            "ada@example.com",
			"o'hara@example.com":         "o'hara@example.com",
			"ada@sub-domain.example.com": "ada@sub-domain.example.com",
		} {
			address, err := email.ParseField("email", text)
			require.NoError(t, err, text)
			require.Equal(t, want, address.Key)
			require.Equal(t, strings.TrimSpace(text), address.Display)
		}
	})
	t.Run("R64 OthersAreRefused", func(t *testing.T) {
		t.Parallel()
		for _, text := range []string{
			"", "ada", "@example.com", "ada@", "ada@example", "ada@@example.com", "a@b@example.com", "ada@example.com\r\nBcc: x@y.example",
			"ada@\nexample.com", "ada\x00@example.com", "ada@[127.0.0.1]", "ada@127.0.0.1", "ada@[IPv6:::1]", "Ada <ada@example.com>",
			"ada@example.com, bob@example.com", `"ada"@example.com`, "ada @example.com", "ada@exam ple.com", ".ada@example.com", "ada..b@example.com",
			"ada@-example.com", "ada@exa_mple.com", "ada@xn--example-.com", "\xff@example.com", strings.Repeat("a", 65) + "@example.com",
			"ada@" + strings.Repeat("a.", 130) + "com",
			"ada@xn--example.com", // decodes to plain ASCII (CVE-2026-39821)
		} {
			_, err := email.ParseField("email", text)
			require.ErrorIs(t, err, fault.Invalid("email", ""), "%q", text)
		}
	})
	t.Run("HomoglyphsAreOtherAddresses", func(t *testing.T) {
		t.Parallel()
		latin, err := email.ParseField("email", "ada@example.com")
		require.NoError(t, err)
		cyrillic, err := email.ParseField("email", "ada@ехample.com")
		if err == nil {
			require.NotEqual(t, latin.Key, cyrillic.Key)
		}
	})
	t.Run("MailGoesToAnASCIIDomain", func(t *testing.T) {
		t.Parallel()
		address, err := email.ParseField("email", "Ada@bücher.example")
		require.NoError(t, err)
		require.Equal(t, "Ada@xn--bcher-kva.example", address.Mailbox())
	})
}
