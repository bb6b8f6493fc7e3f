package cli

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

func TestAudit(t *testing.T) {
	t.Parallel()

	t.Run("IsATableByName", func(t *testing.T) {
		t.Parallel()
		w := signedIn(t)
		gives(w, &membershipv1.ListAuditEventsRequest{}, &membershipv1.ListAuditEventsResponse{AuditEvents: []*membershipv1.AuditEvent{
			{Id: "evt_2", Type: "member.removed", Time: away(-3 * 3600e9), Actor: &membershipv1.AuditEvent_Actor{Id: "acc_1", DisplayName: "Ada"},
				Targets: []*membershipv1.AuditEvent_Target{{Id: "acc_2", DisplayName: "Bob"}, {Id: "seat_1"}}},
			{Id: "evt_1", Type: "seat.limit_changed", Time: away(-9 * day), Actor: &membershipv1.AuditEvent_Actor{Id: "opr_1"}, Reason: "Paid.",
				Before: state(t, `{"limit": 5, "plan": {"name": "small"}, "etag": "1", "member": {"seatId": "seat_1"}, "a": 1, "z": true}`),
				After:  state(t, `{"limit": 9, "plan": {"name": "big"}, "etag": "2", "z": true, "b": "x", "c": [1]}`)},
		}})
		out := w.ok("audit", "list", "--actor", "acc_1", "--target", "acc_2", "--type", "member.removed,member.left", "--query", "x", "--limit", "7",
			"--start", "2026-03-01T09:00:00+01:00", "--end", "2026-03-02T09:00:00+01:00")
		require.Equal(t, `WHEN    WHO    WHAT                TO WHOM      CHANGED                                     WHY    ID
3h ago  Ada    member.removed      Bob, seat_1  -                                           -      evt_2
9d ago  opr_1  seat.limit_changed  -            a: 1 > -, b: - > x, c: - > [1], and 2 more  Paid.  evt_1
`, out)
		sent := w.last().request.(*membershipv1.ListAuditEventsRequest)
		require.Equal(t, "org_1", sent.GetOrganizationId())
		require.Equal(t, "acc_1", sent.GetActor())
		require.Equal(t, "acc_2", sent.GetTarget())
		require.Equal(t, []string{"member.removed", "member.left"}, sent.GetTypes())
		require.Equal(t, "x", sent.GetQuery())
		require.EqualValues(t, 7, sent.GetPageSize())
		require.Equal(t, 24*time.Hour, sent.GetEndTime().AsTime().Sub(sent.GetStartTime().AsTime()))
		require.Equal(t, exitUsage, w.run("audit", "list", "--start", "yesterday").code)
	})

	t.Run("IsExportedToANewFile", func(t *testing.T) {
		t.Parallel()
		w := signedIn(t)
		var asked *membershipv1.ExportAuditEventsRequest
		var fails error
		w.export = func(req *membershipv1.ExportAuditEventsRequest, stream grpc.ServerStreamingServer[membershipv1.ExportAuditEventsResponse]) error {
			asked = req
			for _, part := range []string{"a,b\r\n", "1,2\r\n"} {
				if err := stream.Send(&membershipv1.ExportAuditEventsResponse{Data: []byte(part)}); err != nil {
					return err
				}
			}
			return fails
		}
		require.Equal(t, "a,b\r\n1,2\r\n", w.ok("audit", "export", "--actor", "acc_1", "--start", "2026-03-01T09:00:00Z"))
		require.Equal(t, "2026-03-01T09:00:00Z", asked.GetStartTime().AsTime().Format(time.RFC3339))
		require.Equal(t, exitUsage, w.run("audit", "export", "--end", "tomorrow").code)
		require.Equal(t, "acc_1", asked.GetActor())
		require.Equal(t, "org_1", asked.GetOrganizationId())
		require.Equal(t, membershipv1.ExportAuditEventsRequest_FORMAT_CSV, asked.GetFormat())
		file := filepath.Join(t.TempDir(), "log")
		w.ok("audit", "export", "--format", "jsonl", "-o", file)
		require.Equal(t, membershipv1.ExportAuditEventsRequest_FORMAT_JSON_LINES, asked.GetFormat())
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, "a,b\r\n1,2\r\n", string(text))
		require.NotZero(t, w.run("audit", "export", "-o", file).code, "it is there already")
		require.NotZero(t, w.run("audit", "export", "--format", "pdf").code)
		fails = fault.New(errorv1.Reason_REASON_PERMISSION_MISSING, "Not any more.")
		require.Contains(t, w.run("audit", "export").err, "not whole")
	})

	t.Run("SaysThatNothingHappened", func(t *testing.T) {
		t.Parallel()
		w := signedIn(t)
		gives(w, &membershipv1.ListAuditEventsRequest{}, &membershipv1.ListAuditEventsResponse{})
		require.Contains(t, w.ok("audit", "list"), "Nothing like that has happened here.")
		w.ok("audit", "list", "--denied")
		require.Equal(t, []string{"access.denied"}, w.last().request.(*membershipv1.ListAuditEventsRequest).GetTypes())
	})
}

// state is a value of this JSON.
func state(t *testing.T, text string) *structpb.Value {
	t.Helper()
	value := &structpb.Value{}
	require.NoError(t, value.UnmarshalJSON([]byte(text)))
	return value
}

func TestAuditVerify(t *testing.T) {
	t.Parallel()
	checkpoint := &membershipv1.AuditCheckpoint{Service: "membership", OrganizationId: "org_1", Epoch: 1, Revision: 20, Hash: []byte{1, 2}, Time: away(-60e9), Signature: []byte{3}}

	// parts answers in two.
	parts := func(w *world) {
		on(w, func(_ context.Context, req *membershipv1.VerifyAuditEventsRequest) (*membershipv1.VerifyAuditEventsResponse, error) {
			if req.GetPageToken() == "" {
				return &membershipv1.VerifyAuditEventsResponse{Intact: true, NextPageToken: "more", Verdicts: []*membershipv1.AuditVerdict{
					{Service: "membership", Events: 20, Revision: 20, Checkpoint: checkpoint}, {Service: "billing"}}}, nil
			}
			return &membershipv1.VerifyAuditEventsResponse{Intact: true, Verdicts: []*membershipv1.AuditVerdict{
				{Service: "membership", Revision: 20}, {Service: "billing", Events: 7, Revision: 7}}}, nil
		})
	}

	t.Run("AddsUpTheParts", func(t *testing.T) {
		t.Parallel()
		w := signedIn(t)
		parts(w)
		require.Equal(t, `SERVICE     EVENTS  SIGNED      VERDICT
membership  20      20, 1m ago  intact
billing     7       not yet     intact
A history is signed within some minutes of its first event.
`, w.ok("audit", "verify"))
		require.Equal(t, "more", w.last().request.(*membershipv1.VerifyAuditEventsRequest).GetPageToken())
	})

	t.Run("SaysWhatWasDoneAndFails", func(t *testing.T) {
		t.Parallel()
		w := signedIn(t)
		gives(w, &membershipv1.VerifyAuditEventsRequest{}, &membershipv1.VerifyAuditEventsResponse{Verdicts: []*membershipv1.AuditVerdict{
			{Service: "membership", Events: 3, Findings: []*membershipv1.AuditFinding{
				{Kind: membershipv1.AuditFinding_KIND_EDITED, Revision: 4, EventId: "evt_4", Detail: "It was changed."}}}, {Service: "billing", Events: 7}}})
		r := w.run("audit", "verify")
		require.Equal(t, exitTampered, r.code)
		require.Empty(t, r.err)
		require.Equal(t, "SERVICE     EVENTS  SIGNED   VERDICT  REVISION  WHAT\n"+
			"membership  3       not yet  EDITED   4         It was changed. evt_4\n"+
			"billing     7       not yet  intact   -         \n"+
			"A history is signed within some minutes of its first event.\n", r.out)
		r = w.run("audit", "checkpoints")
		require.Equal(t, exitTampered, r.code)
		require.Empty(t, r.out, "nothing that is worth keeping")
	})

	t.Run("ComparesWithCheckpointsThatWereKept", func(t *testing.T) {
		t.Parallel()
		w := signedIn(t)
		parts(w)
		file := filepath.Join(t.TempDir(), "kept.json")
		require.NoError(t, os.WriteFile(file, []byte(w.ok("audit", "checkpoints")), 0o600))
		w.ok("audit", "verify", "--checkpoint", file)
		for _, sent := range w.requests()[2:] {
			kept := sent.(*membershipv1.VerifyAuditEventsRequest).GetCheckpoints()
			require.Len(t, kept, 1)
			require.True(t, proto.Equal(checkpoint, kept[0]))
		}
		require.NoError(t, os.WriteFile(file, []byte("x"), 0o600))
		require.Equal(t, exitUsage, w.run("audit", "verify", "--checkpoint", file).code)
		require.Equal(t, exitUsage, w.run("audit", "verify", "--checkpoint", file+".none").code)
	})
}
