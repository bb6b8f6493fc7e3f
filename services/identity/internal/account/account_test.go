package account

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/secure/precis"

	"github.com/rosterhq/roster/pkg/fault"

	"github.com/rosterhq/roster/services/internal/id"
)

func rule(err error) string {
	f := fault.From(err)
	if f == nil {
		return ""
	}
	return f.Metadata["rule"]
}

func TestParsePassword(t *testing.T) {
	t.Parallel()
	t.Run("R1 LengthIsInCodePoints", func(t *testing.T) {
		t.Parallel()
		for text, want := range map[string]string{
			"violet harbor":                                "TOO_SHORT",
			"14 characters.":                               "TOO_SHORT",
			"ühäñğßéóŕłđżçø":                               "TOO_SHORT", // 14 characters, 28 bytes
			"violet harbor q":                              "",
			strings.Repeat("wqzjx gkpvb hm", 18) + "1234":  "", // 256
			strings.Repeat("wqzjx gkpvb hm", 18) + "12345": "TOO_LONG",
		} {
			_, err := ParsePassword(text)
			require.Equal(t, want, rule(err), text)
		}
	})
	t.Run("R2 NoKindOfCharacterIsRequired", func(t *testing.T) {
		t.Parallel()
		for _, text := range []string{"violetharborquilt", "VIOLETHARBORQUILT", "8301 5529 7714 0926", "пароль из многих слов", "🦊🐢🌵🎈🪁🧭🛶🧊🪴🦉🐙🥝🧵🪕🗿"} {
			_, err := ParsePassword(text)
			require.NoError(t, err, text)
		}
	})
	t.Run("RFC 8265 TheExamplesOfPasswords", func(t *testing.T) {
		t.Parallel()
		for _, text := range []string{"correct horse battery staple", "Correct Horse Battery Staple", "\u03c0\u00df\u00e5", "Jack of \u2666s"} { // 11 to 14
			require.Equal(t, text, NormalizePassword(text))
			opaque, err := precis.OpaqueString.String(text)
			require.NoError(t, err)
			require.Equal(t, opaque, NormalizePassword(text))
		}
		require.Equal(t, "foo bar", NormalizePassword("foo\u1680bar")) // 15
		for _, none := range []string{"", "my cat is a \tby"} {        // 16, 17
			_, err := precis.OpaqueString.String(none)
			require.Error(t, err)
			_, err = ParsePassword(none)
			require.Error(t, err)
		}
		_, err := ParsePassword("my cat is a \tby the fire")
		require.Equal(t, "ENCODING", rule(err))
	})
	t.Run("R3 TheWholeTextCounts", func(t *testing.T) {
		t.Parallel()
		composed, err := ParsePassword("caf\u00e9 harbor quilt")
		require.NoError(t, err)
		decomposed, err := ParsePassword("cafe\u0301 harbor quilt")
		require.NoError(t, err)
		require.Equal(t, composed, decomposed)
		spaces, err := ParsePassword(" Violet harbor quilt ")
		require.NoError(t, err)
		require.Equal(t, " Violet harbor quilt ", spaces)
		_, err = ParsePassword("violet\x00harbor quilt")
		require.Equal(t, "ENCODING", rule(err))
		_, err = ParsePassword("violet harbor \xff quilt")
		require.Equal(t, "ENCODING", rule(err))
	})
	t.Run("R4 CommonPasswordsAreRefused", func(t *testing.T) {
		t.Parallel()
		for _, text := range []string{
			"passwordpassword", "Password12345678", "P@ssw0rdP@ssw0rd", "password-password-password", "123456789012345", "000000000000000",
			"qwertyuiopasdfgh", "1qaz2wsx3edc4rfv", "1q2w3e4r5t6y7u8i", "abcdefghijklmnop", "aaaaaaaaaaaaaaaaaaaaaaaa", "abcabcabcabcabcabc",
			"iloveyouiloveyou", "letmeinletmein123", "correct horse battery staple", "CorrectHorseBatteryStaple1!", "administrator2024", "Welcome2024Welcome",
			"thisismypassword", "trustno1trustno1", "changemechangeme!", "zaq12wsxcde34rfv", "gfedcba987654321", "x7Kq x7Kq x7Kq x7Kq", "1111111122222222",
			"maytheforcebewithyou", "supersecretpassword", "q1w2e3r4t5y6u7i8o9p0",
		} {
			_, err := ParsePassword(text)
			require.Equal(t, "COMMON", rule(err), text)
		}
	})
	t.Run("R4 AtLeastThreeThousand", func(t *testing.T) {
		t.Parallel()
		refused := 0
		for i, first := range common {
			for _, second := range common[i:] {
				if text := first + second + "1"; len(text) >= minPassword && refused < 3000 {
					_, err := ParsePassword(text)
					require.Error(t, err, text)
					refused++
				}
			}
		}
		require.Equal(t, 3000, refused)
	})
	t.Run("R4 OnesOwnNamesAreRefused", func(t *testing.T) {
		t.Parallel()
		context := []string{"Ada Lovelace", "countess@analytical.example", "Difference Engines"}
		for _, text := range []string{
			"AdaLovelace1815!", "lovelace-lovelace", "countessanalytical", "Differ3nce Engines", "l0ve1ace countess", "analytical.example", "rosterroster1234",
		} {
			_, err := ParsePassword(text, context...)
			require.Equal(t, "CONTEXT", rule(err), text)
		}
		_, err := ParsePassword("lovelace violet harbor", context...)
		require.NoError(t, err)
	})
	t.Run("TheFaultNamesTheFieldAndNotThePassword", func(t *testing.T) {
		t.Parallel()
		_, err := ParsePassword("passwordpassword")
		require.ErrorIs(t, err, ErrPasswordRefused)
		require.Equal(t, "password", fault.From(err).Fields[0].Name)
		require.NotContains(t, err.Error(), "passwordpassword")
	})
	t.Run("LongTextsAreFast", func(t *testing.T) {
		t.Parallel()
		begin := time.Now()
		_, _ = ParsePassword(strings.Repeat("password1", 28)+"xyzq", strings.Repeat("word ", 500))
		require.Less(t, time.Since(begin), 2*time.Second)
	})
}

func TestDelayAfter(t *testing.T) {
	t.Parallel()
	for failures, want := range map[int]time.Duration{
		0: 0, 1: 0, 4: 0, 5: time.Second, 6: 2 * time.Second, 7: 4 * time.Second, 14: 512 * time.Second, 15: 15 * time.Minute, 1000: 15 * time.Minute,
	} {
		require.Equal(t, want, DelayAfter(failures), failures)
	}
}

func TestManagement(t *testing.T) {
	t.Parallel()
	mine, other := id.NewOrganization(), id.NewOrganization()
	begin := Management{ManagedBy: mine, SignInAllowed: true}

	t.Run("TheManagerDecides", func(t *testing.T) {
		t.Parallel()
		m := begin
		heard, changed := m.SetSignIn(mine, false, 7)
		require.True(t, heard && changed)
		require.Equal(t, Management{ManagedBy: mine, Revision: 7}, m)
		heard, changed = m.SetSignIn(mine, false, 9)
		require.True(t, heard && !changed)
	})
	t.Run("OldNewsChangesNothing", func(t *testing.T) {
		t.Parallel()
		m := begin
		m.SetSignIn(mine, false, 7)
		for _, revision := range []int64{6, 7} {
			heard, _ := m.SetSignIn(mine, true, revision)
			require.False(t, heard)
			require.False(t, m.SignInAllowed)
		}
	})
	t.Run("OthersDoNot", func(t *testing.T) {
		t.Parallel()
		m, own := begin, Management{SignInAllowed: true}
		heard, _ := m.SetSignIn(other, false, 7)
		require.False(t, heard)
		heard, _ = own.SetSignIn(other, false, 7)
		require.False(t, heard)
		heard, _ = own.SetSignIn(id.Organization{}, false, 7)
		require.False(t, heard)
	})
}
