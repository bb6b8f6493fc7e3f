package invite

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/internal/id"
)

func FuzzParseToken(f *testing.F) {
	made := NewToken(id.NewOrganization()).String()
	for _, seed := range []string{made, made + "\n", made + "=", made[1:], ".", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		token, err := ParseToken(text)
		if err != nil {
			require.ErrorIs(t, err, ErrLinkInvalid)
			return
		}
		require.Equal(t, text, token.String(), "a token has one spelling")
	})
}

func FuzzParseInvitee(f *testing.F) {
	f.Add("ada@example.com", "ada", "Ada")
	f.Add(" ", " ", "\u202e")
	f.Add("a\r\nb@example.com", "", "")
	f.Fuzz(func(t *testing.T, address, username, name string) {
		i, err := ParseInvitee(address, username, name)
		if err != nil {
			return
		}
		again, err := ParseInvitee(i.Email.Display, i.Username, i.DisplayName)
		require.NoError(t, err)
		require.Equal(t, i, again)
	})
}
