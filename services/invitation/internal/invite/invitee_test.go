package invite

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

func TestToken(t *testing.T) {
	t.Parallel()
	org := id.NewOrganization()
	token := NewToken(org)
	text := token.String()

	t.Run("ReadsBack", func(t *testing.T) {
		t.Parallel()
		got, err := ParseToken(text)
		require.NoError(t, err)
		require.Equal(t, token, got)
		require.Equal(t, token.Hash(), got.Hash())
	})

	t.Run("NoTwoAreAlike", func(t *testing.T) {
		t.Parallel()
		require.NotEqual(t, token.Hash(), NewToken(org).Hash())
		require.NotContains(t, string(token.Hash()), text)
	})

	t.Run("OtherTextIsNoLink", func(t *testing.T) {
		t.Parallel()
		secret := text[strings.Index(text, ".")+1:]
		for _, bad := range []string{"", ".", "x", org.String(), org.String() + ".", "." + secret, text + "A", text[:len(text)-1], text + "=",
			strings.ToUpper(text), text + ".x", id.NewAccount().String() + "." + secret, strings.Replace(text, ".", "/", 1), text + "\n"} {
			_, err := ParseToken(bad)
			require.ErrorIs(t, err, ErrLinkInvalid, bad)
		}
	})

	t.Run("ThereIsOneSpelling", func(t *testing.T) {
		t.Parallel()
		spellings := 0
		for _, last := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
			if got, err := ParseToken(text[:len(text)-1] + string(last)); err == nil && got == token {
				spellings++
			}
		}
		require.Equal(t, 1, spellings)
	})
}

func TestParseInvitee(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		email, username, display string
		field                    string // that is wrong; empty: none
	}{
		"Nothing":            {},
		"All":                {" Ada@Example.com ", " ada.lovelace ", " Ada ", ""},
		"NoAddress":          {"ada", "", "", "email"},
		"TwoAddresses":       {"ada@example.com,bob@example.com", "", "", "email"},
		"LineBreakInAddress": {"ada@example.com\r\nBcc: x@y.z", "", "", "email"},
		"UsernameWithSpace":  {"", "ada lovelace", "", "username"},
		"UsernameLookAlike":  {"", "аda", "", "username"}, // Cyrillic
		"UsernameTooLong":    {"", strings.Repeat("a", 65), "", "username"},
		"NameOverTwoLines":   {"", "", "Ada\nLovelace", "display_name"},
		"NameThatTurnsText":  {"", "", "Ada\u202eecalevoL", "display_name"},
		"NameWithSeparator":  {"", "", "Ada\u2028Lovelace", "display_name"},
		"InvisibleName":      {"", "", "Ada\u200bLovelace", "display_name"},
		"NameWithJoiner":     {"", "", "👩\u200d💻 Ada", ""},
		"LongestName":        {"", "", strings.Repeat("é", 100), ""},
		"NameTooLong":        {"", "", strings.Repeat("é", 101), "display_name"},
		"NameThatGrows":      {"", "", strings.Repeat("\u0958", 100), "display_name"}, // two code points each, composed
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseInvitee(c.email, c.username, c.display)
			if c.field == "" {
				require.NoError(t, err)
				require.Equal(t, strings.TrimSpace(c.display), got.DisplayName)
				return
			}
			require.Equal(t, c.field, fault.From(err).Fields[0].Name)
		})
	}

	t.Run("CaseMakesNoSecondPerson", func(t *testing.T) {
		t.Parallel()
		a, err := ParseInvitee("Ada@Example.com", "Ada", "")
		require.NoError(t, err)
		b, err := ParseInvitee("ada@EXAMPLE.com", "aDA", "")
		require.NoError(t, err)
		require.Equal(t, a.Email.Key, b.Email.Key)
		require.Equal(t, a.UsernameKey, b.UsernameKey)
		require.Equal(t, "Ada@Example.com", a.Email.Display)
		plus, err := ParseInvitee("ada+b@example.com", "", "")
		require.NoError(t, err)
		require.NotEqual(t, a.Email.Key, plus.Email.Key)
	})
}

func TestRules(t *testing.T) {
	t.Parallel()
	const address, user, name = "ada@example.com", "ada", "Ada"
	for title, c := range map[string]struct {
		rules                    Rules
		email, username, display string
		fields                   []string // that are wrong
	}{
		"AddressRequired":           {Rules{Username: Off, Email: Required}, "", "", "", []string{"email"}},
		"AddressGiven":              {Rules{Username: Off, Email: Required}, address, "", "", nil},
		"UsernameNotUsed":           {Rules{Username: Off, Email: Required}, address, user, "", []string{"username"}},
		"UsernameRequiredWithName":  {Rules{Username: Required, LinkInvites: true}, "", "", "", []string{"username", "display_name"}},
		"UsernameAndName":           {Rules{Username: Required, LinkInvites: true}, "", user, name, nil},
		"AddressOptional":           {Rules{Username: Required, LinkInvites: true}, address, user, name, nil},
		"AddressNotUsed":            {Rules{Username: Required, Email: Off, LinkInvites: true}, address, user, name, []string{"email"}},
		"NoLinksNeedAnAddress":      {Rules{Username: Optional, Email: Optional}, "", user, name, []string{"email"}},
		"LinksNeedNothing":          {Rules{LinkInvites: true}, "", "", "", nil},
		"AllThatIsWrongIsSaidAtOne": {Rules{Username: Required, Email: Required}, "", "", "", []string{"email", "username", "display_name"}},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			who, err := ParseInvitee(c.email, c.username, c.display)
			require.NoError(t, err)
			err = who.Check(c.rules)
			if c.fields == nil {
				require.NoError(t, err)
				return
			}
			f := fault.From(err)
			require.Equal(t, errorv1.Reason_REASON_VALIDATION_FAILED, f.Reason)
			var wrong []string
			for _, field := range f.Fields {
				wrong = append(wrong, field.Name)
			}
			require.Equal(t, c.fields, wrong)
		})
	}
}
