package password

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{Dummy, "$argon2id$v=19$m=65536,t=10,p=4$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHApl8ArZWb2GRPPc", "$argon2id$v=19$m=4294967295,t=1,p=1$$", "$2a$10$x", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, hash string) {
		p, salt, key, err := decode(hash)
		if err != nil {
			return
		}
		require.LessOrEqual(t, p.memory, uint32(64<<10))
		require.LessOrEqual(t, p.time, uint32(10))
		require.LessOrEqual(t, p.threads, uint8(4))
		require.LessOrEqual(t, p.length, uint32(64))
		require.Equal(t, hash, encode(p, salt, key), "a hash has one spelling")
	})
}
