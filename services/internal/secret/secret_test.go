package secret

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/internal/id"
)

func TestSecret(t *testing.T) {
	t.Parallel()
	kinds := map[string]Kind{"link": Link, "session": Session, "operator": OperatorKey, "key": APIKey}

	t.Run("IsReadAsItWasMade", func(t *testing.T) {
		t.Parallel()
		for name, kind := range kinds {
			owner := id.NewAccount()
			made := New(kind, owner)
			read, ok := Parse(kind, made.Text())
			require.True(t, ok, name)
			require.Equal(t, made, read)
			require.Equal(t, id.Any(owner), read.Owner)
			require.Len(t, read.Hash, 32)
			require.NotEqual(t, made.Text(), New(kind, owner).Text())
		}
	})
	t.Run("R39 HasOneSpelling", func(t *testing.T) {
		t.Parallel()
		for name, kind := range kinds {
			text := New(kind, id.NewAccount()).Text()
			for _, other := range []string{
				"", text[:len(text)-1], text + "A", text + "=", text + "\n", text[:20] + "\n" + text[20:], " " + text,
				strings.ToUpper(text), text[1:], "rst_" + text,
			} {
				if read, ok := Parse(kind, other); ok {
					require.NotEqual(t, text, other)
					original, _ := Parse(kind, text)
					require.NotEqual(t, original.Hash, read.Hash, "%s %q", name, other) // another secret, not another spelling
				}
			}
		}
	})
	t.Run("IsOfOneKind", func(t *testing.T) {
		t.Parallel()
		for name, kind := range kinds {
			text := New(kind, id.NewAccount()).Text()
			for other, as := range kinds {
				if other != name {
					_, ok := Parse(as, text)
					require.False(t, ok, "%s as %s", name, other)
				}
			}
		}
	})
	t.Run("R53 AKeyHasAChecksum", func(t *testing.T) {
		t.Parallel()
		text := New(OperatorKey, id.NewOperator()).Text()
		require.True(t, strings.HasPrefix(text, "rok_"))
		for i := 4; i < len(text); i++ {
			changed := []byte(text)
			if changed[i]++; changed[i] == text[i] {
				continue
			}
			_, ok := Parse(OperatorKey, string(changed))
			require.False(t, ok, i)
		}
	})
	t.Run("DoesNotPrintItself", func(t *testing.T) {
		t.Parallel()
		s := New(Session, id.NewAccount())
		require.NotContains(t, s.Owner.String(), s.Text())
	})
}
