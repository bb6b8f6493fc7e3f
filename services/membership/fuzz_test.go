package membership

import (
	"encoding/base64"
	"encoding/csv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/seal"
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

// FuzzOpenLeaveLink opens what somebody says was in their mail: the text as it came, and as if they could seal it.
func FuzzOpenLeaveLink(f *testing.F) {
	key, now := seal.NewKey([32]byte{1}), time.Now()
	own := leaveLink{organization: id.NewOrganization(), account: id.NewAccount(), joined: now, expires: now.Add(time.Hour)}.seal(key)
	for _, seed := range []string{own, own + "=", own[:len(own)-1] + "\n", own[1:], strings.ToLower(own), "", "AAAA", strings.Repeat("\xff", 48)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := openLeaveLink(key, text, now); err == nil {
			sealed, err := base64.RawURLEncoding.DecodeString(text)
			require.NoError(t, err)
			require.Equal(t, text, base64.RawURLEncoding.EncodeToString(sealed), "there is one spelling of it")
			_, err = key.Open(sealed)
			require.NoError(t, err, "and nobody else makes one")
		}
		link, err := openLeaveLink(key, base64.RawURLEncoding.EncodeToString(key.Seal([]byte(text))), now)
		if err != nil {
			require.ErrorIs(t, err, errLeaveLink)
			return
		}
		require.Len(t, text, 48)
		require.True(t, now.Before(link.expires))
	})
}
