package session

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestNetwork(t *testing.T) {
	t.Parallel()
	t.Run("R61 AnIPv6ClientIsItsSlash64", func(t *testing.T) {
		t.Parallel()
		for address, want := range map[string]string{
			"192.0.2.7": "192.0.2.7/32", "::ffff:192.0.2.7": "192.0.2.7/32", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "2001:DB8:1:2::": "2001:db8:1:2::/64",
			"fe80::1%eth0": "fe80::/64", "": "", "unknown": "", "192.0.2.7:80": "", "192.0.2.07": "",
		} {
			require.Equal(t, want, Network(address), address)
		}
	})
}

func FuzzNetwork(f *testing.F) {
	for _, seed := range []string{"192.0.2.7", "2001:db8::1", "fe80::1%eth0", "::ffff:192.0.2.7", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		require.LessOrEqual(t, len(Network(address)), 43)
	})
}

func FuzzLabel(f *testing.F) {
	for _, seed := range []string{"Mozilla/5.0 (X11; Linux) Firefox/140", "\x1b[31m", "a\r\nb", "\xff\xfe", "\u202e"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, agent string) {
		label := Label(agent)
		require.LessOrEqual(t, len(label), maxUserAgent)
		require.True(t, utf8.ValidString(label))
		require.False(t, strings.ContainsFunc(label, func(r rune) bool { return !unicode.IsPrint(r) }))
		require.LessOrEqual(t, len(Device(label)), maxUserAgent)
	})
}
