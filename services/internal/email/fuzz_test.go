package email

import (
	"net/mail"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"ada@example.com", " Ada+tag@Exämple.COM ", "a@b@c.example", "a\r\nBcc: x@y.example", "a@[192.0.2.1]", "a@192.0.2.1", `"a b"@example.com`, "a@xn--a.example", "ﬁ@ＥＸ.example", "a@b..example",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, ok := Parse(text)
		if !ok {
			require.Equal(t, Address{}, a)
			return
		}
		require.LessOrEqual(t, len(a.Display), 254)
		require.False(t, strings.ContainsFunc(a.Display+a.Key, unicode.IsControl))
		require.Equal(t, 1, strings.Count(a.Key, "@"))
		again, ok := Parse(a.Display)
		require.True(t, ok)
		require.Equal(t, a, again)
		mailbox, ok := Parse(a.Mailbox())
		require.True(t, ok, a.Mailbox())
		require.Equal(t, a.Key, mailbox.Key, "mail goes to who is compared")
		sent, err := mail.ParseAddress(a.Mailbox())
		require.NoError(t, err)
		require.Equal(t, a.Mailbox(), sent.Address)
	})
}

func FuzzParseDomain(f *testing.F) {
	for _, seed := range []string{"example.com", "EXÄMPLE.com", "xn--exmple-cua.com", "192.0.2.1", "a", "a.", ".a.b", "xn--abc.com", "a_b.example"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name, ok := ParseDomain(text)
		if !ok {
			return
		}
		require.LessOrEqual(t, len(name), 253)
		require.Regexp(t, `^[a-z0-9-]+(\.[a-z0-9-]+)+$`, name)
		again, ok := ParseDomain(name)
		require.True(t, ok, name)
		require.Equal(t, name, again)
	})
}
