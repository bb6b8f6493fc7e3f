package main

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/dev"
	"github.com/rosterhq/roster/services/internal/testkit"
)

func TestRotateKeys(t *testing.T) {
	t.Parallel()
	t.Run("R49 AnOperatorReplacesTheKeyThatSigns", func(t *testing.T) {
		t.Parallel()
		dsns := testkit.Database(t, "identity", dev.Migrations["identity"])
		file := filepath.Join(t.TempDir(), "key")
		require.NoError(t, os.WriteFile(file, []byte(base64.StdEncoding.EncodeToString(make([]byte, 32))), 0o600))
		flags := []string{"rotate-keys", "--database-url", dsns.Runtime, "--key-file", file}
		owner, err := pgx.Connect(t.Context(), dsns.Owner)
		require.NoError(t, err)
		t.Cleanup(func() { owner.Close(t.Context()) })
		signs := func() (name string) {
			require.NoError(t, owner.QueryRow(t.Context(), `SELECT id FROM signing_keys WHERE active`).Scan(&name))
			return name
		}

		_, err = rosterd(t, flags...)
		require.ErrorContains(t, err, "5m0s", "the ring was empty: the next key is new")
		first := signs()
		said, err := rosterd(t, append(flags, "--compromised")...)
		require.NoError(t, err)
		require.Contains(t, said, "The next key signs")
		require.NotEqual(t, first, signs())

		_, err = rosterd(t, "rotate-keys")
		require.ErrorContains(t, err, "--key-file")
	})
}
