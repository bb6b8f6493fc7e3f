package membership

import (
	"encoding/csv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

// FuzzAuditFile writes what strangers call themselves into a file that spreadsheets open.
func FuzzAuditFile(f *testing.F) {
	for _, seed := range []string{"Ada", `=HYPERLINK("https://evil.example")`, "+1", "-1", "@x", "\t=1", "a,b\r\nc", `"`, " =1", "\ufeff=1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		file := newAuditFile(membershipv1.ExportAuditEventsRequest_FORMAT_CSV)
		if file.add(&membershipv1.AuditEvent{Type: "member.added", Actor: &membershipv1.AuditEvent_Actor{DisplayName: name}}) != nil {
			return
		}
		rows, err := csv.NewReader(strings.NewReader(string(file.take()))).ReadAll()
		require.NoError(t, err)
		require.Len(t, rows, 2)
		require.Len(t, rows[1], len(auditHeader))
		for _, cell := range rows[1] {
			require.False(t, strings.HasPrefix(cell, "=") || strings.HasPrefix(cell, "+") || strings.HasPrefix(cell, "-") || strings.HasPrefix(cell, "@") ||
				strings.HasPrefix(cell, "\t") || strings.HasPrefix(cell, "\r"), "%q", cell)
		}
	})
}
