package e2e

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

// shown waits until the audit view has all that happened in the organization.
func (o *organization) shown(t *testing.T) {
	t.Helper()
	for _, service := range []string{"membership", "invitation", "billing"} {
		eventually(t, func() bool {
			var shown int64
			err := suite.owners["membership"].QueryRow(t.Context(), `
				SELECT coalesce(max(revision), 0) FROM audit_events WHERE organization_id = $1 AND service = $2`, uuidOf(t, o.ID), service).Scan(&shown)
			return err == nil && shown == o.revision(t, service)
		}, "the audit view shows what "+service+" did")
	}
}

// audit reads the whole audit view, over pages of three.
func (o *organization) audit(t *testing.T, by *person, narrow ...func(*membershipv1.ListAuditEventsRequest)) (all []*membershipv1.AuditEvent) {
	t.Helper()
	req := &membershipv1.ListAuditEventsRequest{OrganizationId: o.ID, PageSize: 3}
	for _, n := range narrow {
		n(req)
	}
	for {
		page, err := by.ListAuditEvents(t.Context(), req)
		require.NoError(t, err)
		all = append(all, page.GetAuditEvents()...)
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			return all
		}
	}
}

// TestAudit proves what admins see of what happened.
func TestAudit(t *testing.T) {
	t.Parallel()

	scenario(t, "S1-19 admins read the audit log, members do not", func(t *testing.T, over string) {
		org := create(t, over, portal)
		admin, member := org.join(t, "admin"), org.join(t, "member")
		org.shown(t)
		require.NotEmpty(t, org.audit(t, admin))
		require.True(t, org.can(t, admin, "audit.read"))
		_, err := member.ListAuditEvents(t.Context(), &membershipv1.ListAuditEventsRequest{OrganizationId: org.ID})
		require.Equal(t, "audit.read", refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING).Metadata["permission"])
	})

	scenario(t, "S1-19 the log is exported as a file, and that it was is in the log", func(t *testing.T, over string) {
		org := create(t, over, portal)
		member := org.join(t, "member")
		org.shown(t)
		export := func(by *person, format membershipv1.ExportAuditEventsRequest_Format) (file []byte, contentType string, err error) {
			stream, err := by.ExportAuditEvents(t.Context(), &membershipv1.ExportAuditEventsRequest{OrganizationId: org.ID, Format: format})
			for err == nil {
				var part *membershipv1.ExportAuditEventsResponse
				if part, err = stream.Recv(); err == nil {
					file, contentType = append(file, part.GetData()...), part.GetContentType()
				}
			}
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return file, contentType, err
		}
		_, _, err := export(member, membershipv1.ExportAuditEventsRequest_FORMAT_CSV)
		require.Equal(t, "audit.export", refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING).Metadata["permission"])
		listed := org.audit(t, org.owner)

		file, contentType, err := export(org.owner, membershipv1.ExportAuditEventsRequest_FORMAT_CSV)
		require.NoError(t, err)
		require.Contains(t, contentType, "text/csv")
		rows, err := csv.NewReader(bytes.NewReader(file)).ReadAll()
		require.NoError(t, err)
		require.GreaterOrEqual(t, len(rows), 1+len(listed))
		org.shown(t)
		told := org.audit(t, org.owner, func(r *membershipv1.ListAuditEventsRequest) { r.Types = []string{"organization.audit_exported"} })
		require.Len(t, told, 1)
		require.Equal(t, org.owner.ID, told[0].GetActor().GetId())

		file, contentType, err = export(org.owner, membershipv1.ExportAuditEventsRequest_FORMAT_JSON_LINES)
		require.NoError(t, err)
		require.Equal(t, "application/x-ndjson", contentType)
		require.GreaterOrEqual(t, bytes.Count(file, []byte("\n")), len(rows)-1, "but for the heading")
		require.Contains(t, string(file), told[0].GetId())
	})

	scenario(t, "R82 what a member was not allowed to do is in the log, of every service, and changes no history", func(t *testing.T, over string) {
		org := create(t, over, portal)
		member := org.join(t, "member")
		before := map[string]int64{}
		for _, service := range []string{"membership", "invitation", "billing"} {
			before[service] = org.revision(t, service)
		}
		_, err := member.DisableMember(t.Context(), &membershipv1.DisableMemberRequest{OrganizationId: org.ID, AccountId: org.owner.ID, RequestId: "no"})
		refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
		_, err = member.CreateInvitation(t.Context(), &invitationv1.CreateInvitationRequest{OrganizationId: org.ID, Email: "x@example.com"})
		refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
		_, err = member.GetSeatUsage(t.Context(), &billingv1.GetSeatUsageRequest{OrganizationId: org.ID})
		refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
		_, err = signUp(t, over).ListAuditEvents(t.Context(), &membershipv1.ListAuditEventsRequest{OrganizationId: org.ID}) // belongs elsewhere
		refused(t, err, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)

		var denied []*membershipv1.AuditEvent
		eventually(t, func() bool {
			denied = org.audit(t, org.owner, func(r *membershipv1.ListAuditEventsRequest) { r.Types = []string{"access.denied"} })
			return len(denied) >= 3
		}, "the audit view shows what was denied")
		methods := map[string]string{}
		for _, e := range denied {
			methods[e.GetMethod()] = e.GetService()
			require.Equal(t, membershipv1.AuditEvent_RESULT_DENIED, e.GetResult())
			require.Equal(t, "PERMISSION_MISSING", e.GetReason())
			require.Equal(t, member.ID, e.GetActor().GetId())
			require.Equal(t, member.Name, e.GetActor().GetDisplayName())
			require.Equal(t, "127.0.0.1", e.GetClientAddress())
			require.Len(t, e.GetTraceId(), 32)
		}
		require.Equal(t, map[string]string{"DisableMember": "membership", "CreateInvitation": "invitation", "GetSeatUsage": "billing"}, methods)
		onOwner := org.audit(t, org.owner, func(r *membershipv1.ListAuditEventsRequest) {
			r.Target, r.Types = org.owner.ID, []string{"access.denied"}
		})
		require.Len(t, onOwner, 1)
		require.Equal(t, "no", onOwner[0].GetRequestId())
		require.Equal(t, "members.disable", onOwner[0].GetDetails().GetFields()["permission"].GetStringValue())
		_, err = org.owner.BulkDisableMembers(t.Context(), &membershipv1.BulkDisableMembersRequest{OrganizationId: org.ID, AccountIds: []string{org.owner.ID}})
		require.NoError(t, err, "each of them is answered by itself")
		eventually(t, func() bool {
			return len(org.audit(t, org.owner, func(r *membershipv1.ListAuditEventsRequest) {
				r.Actor, r.Types = org.owner.ID, []string{"access.denied"}
			})) == 1
		}, "the audit view shows who of many was refused")
		for service, revision := range before {
			require.Equal(t, revision, org.revision(t, service), service)
		}
	})

	scenario(t, "R82 who did what to whom is in the log, of every service, from the invitation to the removal", func(t *testing.T, over string) {
		org := create(t, over, portal)
		grace := org.join(t, "member")
		_, err := org.owner.ChangeMemberRole(t.Context(), &membershipv1.ChangeMemberRoleRequest{
			OrganizationId: org.ID, AccountId: grace.ID, Role: "admin", RequestId: "promote"})
		require.NoError(t, err)
		org.disable(t, grace)
		org.remove(t, grace)
		org.shown(t)

		all := org.audit(t, org.owner)
		require.True(t, slices.IsSortedFunc(all, func(a, b *membershipv1.AuditEvent) int {
			return b.GetTime().AsTime().Compare(a.GetTime().AsTime())
		}), "the newest first")
		find := func(kind, target string) *membershipv1.AuditEvent {
			i := slices.IndexFunc(all, func(e *membershipv1.AuditEvent) bool {
				return e.GetType() == kind && slices.ContainsFunc(e.GetTargets(), func(on *membershipv1.AuditEvent_Target) bool { return on.GetId() == target })
			})
			require.GreaterOrEqual(t, i, 0, "%s of %s", kind, target)
			return all[i]
		}
		accepted := find("invitation.accepted", grace.ID)
		require.Equal(t, "invitation", accepted.GetService())
		require.Equal(t, grace.ID, accepted.GetActor().GetId())
		require.Equal(t, accepted.GetCauseId(), find("member.added", grace.ID).GetCauseId())
		require.Equal(t, "billing", find("seat.occupied", grace.ID).GetService())
		changed := find("member.role_changed", grace.ID)
		require.Equal(t, org.owner.ID, changed.GetActor().GetId())
		require.Equal(t, org.owner.Name, changed.GetActor().GetDisplayName())
		require.Equal(t, "promote", changed.GetRequestId())
		require.Equal(t, "member", changed.GetBefore().GetStructValue().AsMap()["role"])
		require.Equal(t, "admin", changed.GetAfter().GetStructValue().AsMap()["role"])
		for _, kind := range []string{"member.disabled", "member.removed"} {
			require.Equal(t, org.owner.ID, find(kind, grace.ID).GetActor().GetId(), kind)
		}
		created := all[slices.IndexFunc(all, func(e *membershipv1.AuditEvent) bool { return e.GetType() == "invitation.created" })]
		require.Equal(t, grace.Email, created.GetEmail())
		require.Equal(t, org.owner.ID, created.GetActor().GetId())
		for _, e := range []*membershipv1.AuditEvent{created, accepted, changed, find("member.disabled", grace.ID), find("member.removed", grace.ID)} {
			require.Equal(t, "127.0.0.1", e.GetClientAddress(), e.GetType())
			require.Len(t, e.GetTraceId(), 32, e.GetType())
		}
		require.Empty(t, find("seat.occupied", grace.ID).GetClientAddress(), "billing was called by a service; the trace leads to who called that")
		require.Equal(t, accepted.GetTraceId(), find("seat.occupied", grace.ID).GetTraceId())

		removed := org.audit(t, org.owner, func(r *membershipv1.ListAuditEventsRequest) {
			r.Target, r.Types, r.StartTime = grace.ID, []string{"member.removed", "member.left"}, timestamppb.New(changed.GetTime().AsTime())
		})
		require.Len(t, removed, 1)
		require.Equal(t, "member.removed", removed[0].GetType())
	})
}
