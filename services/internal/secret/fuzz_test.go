package secret

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/internal/id"
)

func FuzzParse(f *testing.F) {
	kinds := []Kind{Link, Session, OperatorKey, APIKey, ServiceKey, OrganizationKey}
	for _, kind := range kinds {
		text := New(kind, id.NewAccount()).Text()
		f.Add(text)
		f.Add(text + "\n")
		f.Add(text[:len(text)-1])
	}
	f.Fuzz(func(t *testing.T, text string) {
		read := 0
		for _, kind := range kinds {
			s, ok := Parse(kind, text)
			if !ok {
				continue
			}
			read++
			require.Equal(t, text, s.Text())
			require.Len(t, s.Hash, 32)
		}
		require.LessOrEqual(t, read, 1, "a secret of one kind is none of another")
	})
}
