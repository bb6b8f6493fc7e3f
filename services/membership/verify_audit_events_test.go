package membership_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/seal"
	"github.com/rosterhq/roster/services/internal/testkit"
)

// histories are those of invitation and billing: empty, and as they should be.
func (h *harness) histories() map[string]membershipv1.ChainServiceClient {
	return map[string]membershipv1.ChainServiceClient{"invitation": &history{}, "billing": &history{}}
}

// history plays another service's ChainService.
type history struct{}

func (*history) VerifyChain(context.Context, *membershipv1.VerifyChainRequest, ...grpc.CallOption) (*membershipv1.VerifyChainResponse, error) {
	return &membershipv1.VerifyChainResponse{Complete: true}, nil
}

// verify verifies the whole history, in calls of so many events.
func (o organization) verify(size int32) (answer *membershipv1.VerifyAuditEventsResponse, calls int) {
	o.Helper()
	req := &membershipv1.VerifyAuditEventsRequest{OrganizationId: o.id.String(), PageSize: size}
	for {
		var err error
		answer, err = o.audit.VerifyAuditEvents(o.as(o.creator), req)
		require.NoError(o, err)
		calls++
		if req.PageToken = answer.GetNextPageToken(); req.PageToken == "" || !answer.GetIntact() {
			return answer, calls
		}
	}
}

// tamper changes rows as who owns the database.
func (o organization) tamper(statement string) {
	o.Helper()
	tag, err := o.owner().Exec(o.Context(), statement, o.id)
	require.NoError(o, err)
	require.NotZero(o, tag.RowsAffected(), statement)
}

// keepCheckpoints lets the service find its checkpoints; there are none.
func (h *harness) keepCheckpoints() *harness {
	h.Helper()
	conn, err := testkit.NATS(h).Connect()
	require.NoError(h, err)
	h.Cleanup(conn.Close)
	h.service.Chain.JS, err = jetstream.New(conn)
	require.NoError(h, err)
	h.service.Chain.Key = seal.NewKey([32]byte{1})
	return h
}

func TestVerifyAuditEvents(t *testing.T) {
	t.Parallel()

	// history is one of five events, heard by the audit view.
	history := func(t *testing.T) organization {
		o := newHarness(t).keepCheckpoints().create(portal)
		bob := o.join("Bob", "bob@example.com", "", "member")
		require.NoError(t, o.changeRole(o.creator, bob, "admin"))
		_, err := o.disable(o.creator, bob)
		require.NoError(t, err)
		o.hearOwn()
		return o
	}
	const last = 5

	t.Run("R83 What nobody has touched is intact, whatever the size of the parts", func(t *testing.T) {
		t.Parallel()
		o := history(t)
		for size, calls := range map[int32]int{0: 1, 1: 5, 2: 3, 5: 1} {
			answer, made := o.verify(size)
			require.True(t, answer.GetIntact())
			require.GreaterOrEqual(t, made, calls)
			require.Equal(t, []string{"membership", "invitation", "billing"}, []string{
				answer.GetVerdicts()[0].GetService(), answer.GetVerdicts()[1].GetService(), answer.GetVerdicts()[2].GetService()})
			require.EqualValues(t, last, answer.GetVerdicts()[0].GetRevision())
		}
	})

	t.Run("R83 What has yet to be heard is no difference", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).keepCheckpoints().create(portal)
		answer, _ := o.verify(0)
		require.True(t, answer.GetIntact())
		require.Zero(t, answer.GetVerdicts()[0].GetCopiedRevision())
		o.hearOwn()
		answer, _ = o.verify(0)
		require.Equal(t, answer.GetVerdicts()[0].GetRevision(), answer.GetVerdicts()[0].GetCopiedRevision())
	})

	t.Run("R83 An erased name is no damage", func(t *testing.T) {
		t.Parallel()
		o := history(t)
		o.tamper(`UPDATE events SET personal = NULL, personal_salt = NULL WHERE aggregate_id = $1`)
		answer, _ := o.verify(0)
		require.True(t, answer.GetIntact())
		o.tamper(`UPDATE audit_events SET personal = NULL WHERE organization_id = $1`)
		answer, _ = o.verify(0)
		require.True(t, answer.GetIntact())
	})

	t.Run("R83 A log that was changed is found", func(t *testing.T) {
		t.Parallel()
		o := history(t)
		o.tamper(`UPDATE events SET data = replace(encode(data, 'escape'), '"admin"', '"owner"')::bytea WHERE aggregate_id = $1 AND revision = 4`)
		answer, _ := o.verify(0)
		require.False(t, answer.GetIntact())
		finding := answer.GetVerdicts()[0].GetFindings()[0]
		require.Equal(t, membershipv1.AuditFinding_KIND_EDITED, finding.GetKind())
		require.EqualValues(t, 4, finding.GetRevision())
		require.NotEmpty(t, finding.GetEventId())
	})

	for name, statement := range map[string]string{
		"R83 A list that hides an event is found":       `DELETE FROM audit_events WHERE organization_id = $1 AND revision = 4`,
		"R83 A list that hides the last event is found": `DELETE FROM audit_events WHERE organization_id = $1 AND revision = 5`,
		"R83 A list that tells another role is found":   `UPDATE audit_events SET data = jsonb_set(data, '{after,role}', '"owner"') WHERE organization_id = $1 AND revision = 4`,
		"R83 A list that tells another actor is found":  `UPDATE audit_events SET actor_id = 'acc_x' WHERE organization_id = $1 AND revision = 4`,
		"R83 A list that tells another target is found": `UPDATE audit_events SET targets = '{acc_x}' WHERE organization_id = $1 AND revision = 4`,
		"R83 A list that tells another reason is found": `UPDATE audit_events SET reason = 'x' WHERE organization_id = $1 AND revision = 4`,
		"R83 A list that tells another time is found": `WITH gone AS (DELETE FROM audit_targets WHERE organization_id = $1)
			UPDATE audit_events SET time = time + interval '1 h' WHERE organization_id = $1 AND revision = 4`,
		"R83 A list that tells another type is found":    `UPDATE audit_events SET type = 'member.left' WHERE organization_id = $1 AND revision = 4`,
		"R83 A list that tells another request is found": `UPDATE audit_events SET request_id = 'x' WHERE organization_id = $1 AND revision = 4`,
		"R83 A list that tells another name is found":    `UPDATE audit_events SET personal = jsonb_set(personal, '{displayName}', '"Eve"') WHERE organization_id = $1 AND personal IS NOT NULL`,
		"R83 A list that makes up an event is found": `INSERT INTO audit_events SELECT organization_id, time, gen_random_uuid(), service, 9, type, actor_kind, actor_id, targets, cause, cause_id,
			reason, request_id, trace_id, data, personal FROM audit_events WHERE organization_id = $1 AND revision = 4`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := history(t)
			o.tamper(statement)
			answer, _ := o.verify(2)
			require.False(t, answer.GetIntact())
			findings := answer.GetVerdicts()[0].GetFindings()
			require.Len(t, findings, 1)
			require.Equal(t, membershipv1.AuditFinding_KIND_COPY_DIFFERS, findings[0].GetKind(), fmt.Sprint(findings))
		})
	}

	t.Run("S1-26 Who may read the audit log may verify it, others may not", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t).keepCheckpoints()
		o, other := h.create(portal), h.create(portal)
		admin, member := o.add("admin"), o.add("member")
		verify := func(as context.Context, token string) (*membershipv1.VerifyAuditEventsResponse, error) {
			return o.audit.VerifyAuditEvents(as, &membershipv1.VerifyAuditEventsRequest{OrganizationId: o.id.String(), PageSize: 1, PageToken: token})
		}
		answer, err := verify(o.as(admin), "")
		require.NoError(t, err)
		_, err = verify(o.as(member), "")
		refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
		_, err = verify(o.as(other.creator), "")
		refused(t, err, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
		_, err = verify(o.as(o.creator), answer.GetNextPageToken())
		refused(t, err, errorv1.Reason_REASON_PAGE_TOKEN_INVALID)
	})
}
