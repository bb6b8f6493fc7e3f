package membership_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
)

const (
	asCSV   = membershipv1.ExportAuditEventsRequest_FORMAT_CSV
	asLines = membershipv1.ExportAuditEventsRequest_FORMAT_JSON_LINES
)

// export reads a whole export; each sees it grow.
func (o organization) export(ctx context.Context, req *membershipv1.ExportAuditEventsRequest, each func(parts int)) (file []byte, contentType, token string, err error) {
	req.OrganizationId = o.id.String()
	stream, err := o.audit.ExportAuditEvents(ctx, req)
	require.NoError(o, err)
	for parts := 1; ; parts++ {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return file, contentType, token, nil
		}
		if err != nil {
			return file, contentType, token, err
		}
		file, contentType, token = append(file, part.GetData()...), part.GetContentType(), token+part.GetToken()
		if each != nil {
			each(parts)
		}
	}
}

// seed puts so many events into the audit view.
func (o organization) seed(n int, reason string) {
	o.Helper()
	_, err := o.owner().Exec(o.Context(), `
		INSERT INTO audit_events (organization_id, time, event_id, service, revision, type, actor_kind, actor_id, targets,
			cause, cause_id, reason, request_id, trace_id, data, personal)
		SELECT $1, now() - n * interval '1 second', gen_random_uuid(), 'billing', n, 'seat.limit_changed', 'OPERATOR', 'opr_x', '{}',
			'OPERATOR', '', $3, 'r' || n, '', '{"after": 7}', '{"clientAddress": "192.0.2.7"}'
		FROM generate_series(1, $2) n`, o.id, n, reason)
	require.NoError(o, err)
}

func TestExportAuditEvents(t *testing.T) {
	t.Parallel()
	type request = membershipv1.ExportAuditEventsRequest

	t.Run("R82 Thousands of events are one file, as CSV and as lines of JSON", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(portal)
		o.hearOwn()
		o.seed(5200, "More, \"please\"\nnow")

		file, contentType, token, err := o.export(o.as(o.creator), &request{Format: asCSV}, nil)
		require.NoError(t, err)
		require.Equal(t, "text/csv; charset=utf-8; header=present", contentType)
		require.NotEmpty(t, token)
		require.Contains(t, string(file[:300]), "revision\r\n")
		rows, err := csv.NewReader(bytes.NewReader(file)).ReadAll()
		require.NoError(t, err)
		require.Len(t, rows, 1+2+5200)
		head := rows[0]
		at := func(row []string, column string) string {
			for i, name := range head {
				if name == column {
					return row[i]
				}
			}
			t.Fatalf("no column %s", column)
			return ""
		}
		seen := map[string]bool{}
		for _, row := range rows[1:] {
			seen[at(row, "id")] = true
		}
		require.Len(t, seen, 5202)
		last := rows[len(rows)-1]
		require.Equal(t, []string{"seat.limit_changed", "SUCCEEDED", "OPERATOR", "opr_x", "More, \"please\"\nnow", "7", "192.0.2.7", "r5200", "5200", "billing"},
			[]string{at(last, "type"), at(last, "result"), at(last, "actor_kind"), at(last, "actor_id"), at(last, "reason"), at(last, "after"),
				at(last, "client_address"), at(last, "request_id"), at(last, "revision"), at(last, "service")})
		require.Regexp(t, `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$`, at(last, "time"))

		file, contentType, _, err = o.export(o.as(o.creator), &request{Format: asLines}, nil)
		require.NoError(t, err)
		require.Equal(t, "application/x-ndjson", contentType)
		lines := bytes.Split(bytes.TrimSuffix(file, []byte("\n")), []byte("\n"))
		require.Len(t, lines, 5202)
		for _, line := range lines {
			require.NoError(t, protojson.Unmarshal(line, &membershipv1.AuditEvent{}))
		}
	})

	t.Run("R84 No cell is a formula", func(t *testing.T) {
		t.Parallel()
		for _, formula := range []string{`=HYPERLINK("http://evil")`, "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"} {
			o := newHarness(t).create(portal)
			o.seed(1, formula)
			file, _, _, err := o.export(o.as(o.creator), &request{Format: asCSV, Types: []string{"seat.limit_changed"}}, nil)
			require.NoError(t, err)
			require.Contains(t, string(file), "'"+strings.TrimPrefix(formula, "\r")[:1]) // the writer drops what ends no line
			file, _, _, err = o.export(o.as(o.creator), &request{Format: asLines, Types: []string{"seat.limit_changed"}}, nil)
			require.NoError(t, err)
			require.NotContains(t, string(file), "'"+formula[:1])
		}
	})

	t.Run("Filters are those of the list, and who exports what is told first", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(portal)
		bob := o.join("Bob", "bob@secret.example", "", "member")
		o.hearOwn()
		from := metadata.AppendToOutgoingContext(o.as(o.creator), caller.AddressHeader, "192.0.2.7")
		file, _, _, err := o.export(from, &request{Format: asLines, Target: bob.String(), Query: "secret.example", RequestId: "once"}, nil)
		require.NoError(t, err)
		var e membershipv1.AuditEvent
		require.NoError(t, protojson.Unmarshal(file, &e))
		require.Equal(t, "member.added", e.GetType())
		_, _, _, err = o.export(from, &request{Format: asLines, Target: bob.String(), Query: "secret.example", RequestId: "once"}, nil)
		require.NoError(t, err)

		o.hearOwn()
		page, err := o.auditEvents(o.creator, func(r *membershipv1.ListAuditEventsRequest) { r.Types = []string{"organization.audit_exported"} })
		require.NoError(t, err)
		require.Len(t, page.GetAuditEvents(), 1, "the same request is one export")
		told := page.GetAuditEvents()[0]
		require.Equal(t, o.creator.String(), told.GetActor().GetId())
		require.Equal(t, "192.0.2.7", told.GetClientAddress())
		require.Equal(t, "once", told.GetRequestId())
		after := told.GetAfter().GetStructValue().AsMap()
		require.Equal(t, "FORMAT_JSON_LINES", after["format"])
		require.Equal(t, bob.String(), after["target"])
		require.Equal(t, "secret.example", told.GetDetails().AsMap()["query"])
	})

	t.Run("S1-19 R25 Only who may, and has proven who they are, exports", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o, other := h.create(portal), h.create(portal)
		for _, c := range []struct {
			as     context.Context
			reason errorv1.Reason
		}{
			{o.as(o.add("member")), errorv1.Reason_REASON_PERMISSION_MISSING},
			{o.as(other.creator), errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND},
			{o.stale(o.creator), errorv1.Reason_REASON_STEP_UP_REQUIRED},
			{o.Context(), errorv1.Reason_REASON_UNAUTHENTICATED},
		} {
			file, _, _, err := o.export(c.as, &request{Format: asCSV}, nil)
			refused(t, err, c.reason)
			require.Empty(t, file)
		}
		_, _, _, err := o.export(o.as(o.creator), &request{Actor: strings.Repeat("x", 65)}, nil)
		refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		require.NotContains(t, o.types(), "organization.audit_exported")
	})

	t.Run("Whoever loses the right in the middle gets no more", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(portal)
		admin := o.add("admin")
		o.seed(20_000, "x")
		file, _, _, err := o.export(o.as(admin), &request{Format: asCSV}, func(parts int) {
			if parts == 1 {
				require.NoError(t, o.changeRole(o.creator, admin, "member"))
			}
		})
		refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
		require.NotEmpty(t, file)
		require.Less(t, bytes.Count(file, []byte("\r\n")), 15_000)
	})

	t.Run("Addresses are in it for who may see them", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(portal)
		o.join("Bob", "bob@secret.example", "", "member")
		o.hearOwn()
		file, _, _, err := o.export(o.as(o.creator), &request{Format: asCSV}, nil)
		require.NoError(t, err)
		require.Contains(t, string(file), "bob@secret.example")
	})
}
