package federation

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// FuzzPerson reads what a provider has signed, in which people may have written.
func FuzzPerson(f *testing.F) {
	for _, seed := range []string{
		`{"sub":"1","email":"ada@example.com","email_verified":true,"name":"Ada","auth_time":1800000000}`, `{"sub":"1","email":"a@b.example","email_verified":"true"}`,
		`{"sub":"1","email":"a@b.example","email_verified":1}`, `{"sub":"\u0000"}`, `{"sub":"1","auth_time":-1e400}`, `{"sub":"1","auth_time":9223372036854775807}`, `{"sub":"1","name":"\u202e"}`, `[]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var c Claims
		if json.Unmarshal(text, &c) != nil {
			return
		}
		p, ok := c.Person()
		if !ok {
			return
		}
		require.True(t, p.Subject != "" && len(p.Subject) <= maxSubject && utf8.ValidString(p.Subject))
		require.NotEmpty(t, p.Name)
		if p.EmailVerified {
			require.NotEmpty(t, p.Email)
			var proven bool
			require.NoError(t, json.Unmarshal(c.EmailVerified, &proven), "a boolean, and nothing that looks like one")
			require.True(t, proven)
		}
	})
}
