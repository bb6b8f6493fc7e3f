package factor

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/internal/id"
)

func FuzzTyped(f *testing.F) {
	for _, seed := range []string{"123456", "123 456", "١٢٣٤٥٦", "AAAA-BBBB-CCCC-DDDD-EEEE-FFFF", "aaaa bbbb", "------", ""} {
		f.Add(seed)
	}
	mine, others := id.NewAccount(), id.NewAccount()
	f.Fuzz(func(t *testing.T, typed string) {
		if code, ok := Digits(typed); ok {
			require.Regexp(t, `^[0-9]{6}$`, code)
		}
		require.NotEqual(t, ParseRecoveryCode(mine, typed).Hash, ParseRecoveryCode(others, typed).Hash)
	})
}
