package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/dev"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/testkit"
	"github.com/rosterhq/roster/services/internal/verify"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// databases makes four empty databases, and returns the flags that name them.
func databases(t *testing.T) (flags []string, billing *pgx.Conn) {
	t.Helper()
	for service, migrations := range dev.Migrations {
		dsns := testkit.Database(t, service, migrations)
		flags = append(flags, "--"+service+"-database-url", dsns.Owner)
		if service == "billing" {
			var err error
			billing, err = pgx.Connect(t.Context(), dsns.Owner)
			require.NoError(t, err)
			t.Cleanup(func() { billing.Close(t.Context()) })
		}
	}
	return flags, billing
}

func TestVerify(t *testing.T) {
	t.Parallel()

	t.Run("WhatHoldsIsSaid", func(t *testing.T) {
		t.Parallel()
		flags, _ := databases(t)
		said, err := rosterd(t, append(flags, "verify", "--settled")...)
		require.NoError(t, err)
		require.Equal(t, "Everything holds: 0 organizations, 0 members, 0 events, 0 messages of streams, 0 operations of a history.\n", said)
	})

	t.Run("WhatIsWrongIsPrintedAndAnError", func(t *testing.T) {
		t.Parallel()
		flags, billing := databases(t)
		organization := id.NewOrganization()
		_, err := billing.Exec(t.Context(), `INSERT INTO heads (aggregate_id, part, reserved, used) VALUES ($1, 0, 1, 1)`, organization)
		require.NoError(t, err)

		said, err := rosterd(t, append(flags, "verify")...)
		require.ErrorIs(t, err, errInconsistent, "so that main exits with 1")
		require.Contains(t, said, organization.String())
		require.Contains(t, said, "Something is wrong")
		require.NotContains(t, said, "repair:")

		said, err = rosterd(t, append(flags, "verify", "--json")...)
		require.ErrorIs(t, err, errInconsistent)
		var report verify.Report
		require.NoError(t, json.Unmarshal([]byte(said), &report))
		require.Equal(t, "A1", report.Findings[0].ID)
		require.Equal(t, organization.String(), report.Findings[0].Organization)

		said, err = rosterd(t, append(flags, "verify", "--repair")...)
		require.ErrorIs(t, err, errInconsistent)
		require.Contains(t, said, "repair: set the counters")
		_, err = rosterd(t, append(flags, "verify")...)
		require.ErrorIs(t, err, errInconsistent, "said, not done")

		_, err = rosterd(t, append(flags, "verify", "--repair", "--yes")...)
		require.ErrorIs(t, err, errInconsistent, "what was wrong was wrong")
		_, err = rosterd(t, append(flags, "verify")...)
		require.NoError(t, err, "done")
	})

	t.Run("AHistoryIsRead", func(t *testing.T) {
		t.Parallel()
		flags, _ := databases(t)
		file := filepath.Join(t.TempDir(), "history")
		require.NoError(t, os.WriteFile(file, []byte(`{"op":"remove","request_id":"r","outcome":"ok"}`+"\n"), 0o600))
		said, err := rosterd(t, append(flags, "verify", "--history", file)...)
		require.ErrorIs(t, err, errInconsistent)
		require.Contains(t, said, "was acknowledged, and there is no member.removed")
	})

	t.Run("EveryDatabaseMustBeGiven", func(t *testing.T) {
		t.Parallel()
		_, err := rosterd(t, "verify", "--billing-database-url", "postgres://x@localhost/x")
		require.ErrorContains(t, err, "--identity-database-url, --invitation-database-url, --membership-database-url must be given")
		_, err = rosterd(t, "verify", "--yes")
		require.ErrorContains(t, err, "--repair")
	})

	t.Run("ACertificateMustBeGiven", func(t *testing.T) {
		t.Parallel()
		args := []string{"verify", "--nats-url", "tls://localhost:1"}
		for service := range dev.Migrations {
			args = append(args, "--"+service+"-database-url", "postgres://x@localhost/x")
		}
		_, err := rosterd(t, args...)
		require.ErrorContains(t, err, "--tls-cert, --tls-key and --tls-ca must be given")
	})

	t.Run("WhatIsCheckedIsListed", func(t *testing.T) {
		t.Parallel()
		said, err := rosterd(t, "verify", "--list")
		require.NoError(t, err)
		for _, i := range verify.Invariants {
			require.Contains(t, said, strings.TrimSpace(i.Holds))
		}
	})
}
