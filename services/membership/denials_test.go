package membership_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/saga"
)

// deny tells the service of so many denials.
func (o organization) deny(who id.Account, n int, edit func(*membershipv1.Denial)) {
	o.Helper()
	req := &membershipv1.RecordDenialsRequest{}
	for range n {
		d := &membershipv1.Denial{Time: timestamppb.Now(), OrganizationId: o.id.String(), AccountId: who.String(),
			Service: "billing", Method: "GetSeatUsage", Reason: "PERMISSION_MISSING", Permission: "billing.read", ClientAddress: "192.0.2.7"}
		if edit != nil {
			edit(d)
		}
		req.Denials = append(req.Denials, d)
	}
	_, err := o.denials.RecordDenials(o.Context(), req)
	require.NoError(o, err)
}

// deniedEvents is what the audit view shows of denials.
func (o organization) deniedEvents() []*membershipv1.AuditEvent {
	o.Helper()
	page, err := o.auditEvents(o.creator, func(r *membershipv1.ListAuditEventsRequest) { r.Types, r.PageSize = []string{"access.denied"}, 500 })
	require.NoError(o, err)
	return page.GetAuditEvents()
}

func TestRecordDenials(t *testing.T) {
	t.Parallel()

	t.Run("R82 A denial is in the audit view with its reason, and in no history", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(portal)
		bob, cy := o.add("member"), o.add("member")
		var before, after int64
		head := `SELECT revision FROM heads WHERE aggregate_id = $1`
		require.NoError(t, o.owner().QueryRow(t.Context(), head, o.id).Scan(&before))
		o.deny(bob, 1, func(d *membershipv1.Denial) { d.TargetIds, d.RequestId = []string{cy.String()}, "once" })
		require.NoError(t, o.owner().QueryRow(t.Context(), head, o.id).Scan(&after))
		require.Equal(t, before, after)

		shown := o.deniedEvents()
		require.Len(t, shown, 1)
		e := shown[0]
		require.Equal(t, membershipv1.AuditEvent_RESULT_DENIED, e.GetResult())
		require.Equal(t, []string{"billing", "GetSeatUsage", "PERMISSION_MISSING", "192.0.2.7", "once", bob.String(), cy.String(), "billing.read"},
			[]string{e.GetService(), e.GetMethod(), e.GetReason(), e.GetClientAddress(), e.GetRequestId(), e.GetActor().GetId(), e.GetTargets()[0].GetId(),
				e.GetDetails().GetFields()["permission"].GetStringValue()})
		require.Zero(t, e.GetRevision())
		require.Equal(t, []string{"access.denied"}, o.audited(o.creator, func(r *membershipv1.ListAuditEventsRequest) { r.Actor = bob.String() }))

		o.hearOwn()
		all, err := o.auditEvents(o.creator, nil)
		require.NoError(t, err)
		require.Len(t, all.GetAuditEvents(), 5)
		require.Equal(t, membershipv1.AuditEvent_RESULT_SUCCEEDED, all.GetAuditEvents()[4].GetResult())
	})

	t.Run("Whoever never belonged here writes nothing", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o, other := h.create(portal), h.create(portal)
		gone := o.add("member")
		_, err := o.remove(o.creator, gone)
		require.NoError(t, err)
		o.deny(other.creator, 1, nil)
		require.Empty(t, o.deniedEvents())
		o.deny(gone, 1, nil)
		require.Len(t, o.deniedEvents(), 1)
		require.Empty(t, other.deniedEvents())
	})

	t.Run("A minute shows sixty and counts the rest", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(portal)
		bob := o.add("member")
		// Should the minute end between two batches, the next one has room again.
		minute := func() (at time.Time) {
			require.NoError(t, o.owner().QueryRow(t.Context(), `SELECT date_trunc('minute', now())`).Scan(&at))
			return at
		}
		for {
			began := minute()
			_, err := o.owner().Exec(t.Context(), `TRUNCATE audit_events, audit_targets, denial_minutes`)
			require.NoError(t, err)
			o.deny(bob, 50, nil)
			o.deny(bob, 50, func(d *membershipv1.Denial) { d.Omitted = 1 })
			if minute().Equal(began) {
				break
			}
		}
		shown := o.deniedEvents()
		require.Len(t, shown, 61)
		rest := shown[60]
		require.Equal(t, membershipv1.AuditEvent_Actor_KIND_SYSTEM, rest.GetActor().GetKind())
		require.InDelta(t, 90, rest.GetDetails().GetFields()["omitted"].GetNumberValue(), 0)
	})

	t.Run("Denials are kept for ninety days", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(portal)
		bob := o.add("member")
		o.hearOwn()
		age := func() {
			_, err := o.owner().Exec(t.Context(), `
				WITH old AS (DELETE FROM audit_events WHERE type = 'access.denied' RETURNING *)
				INSERT INTO audit_events SELECT organization_id, time - interval '91 days', event_id, service, revision, type, actor_kind, actor_id, targets,
					cause, cause_id, reason, request_id, trace_id, data, personal FROM old`)
			require.NoError(t, err)
		}
		o.deny(bob, 3, nil)
		age()
		o.deny(bob, 1, nil)
		require.Len(t, o.deniedEvents(), 1, "a new one takes old ones along")
		age()
		due := `SELECT count(*) FROM due WHERE aggregate_id = $1 AND kind = 'denials' AND next_time > now() + interval '89 days'`
		var n int
		require.NoError(t, o.owner().QueryRow(t.Context(), due, o.id).Scan(&n))
		require.Equal(t, 1, n)
		require.NoError(t, o.service.Steps()["denials"](context.WithoutCancel(t.Context()), saga.For(o.id, "denials", o.id)))
		require.Empty(t, o.deniedEvents())
		require.NoError(t, o.owner().QueryRow(t.Context(), due, o.id).Scan(&n))
		require.Zero(t, n)
		require.Len(t, o.audited(o.creator, nil), 3, "the history stays")
	})
}
