package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

// proven has the history of the organization verified, three events a call, and returns what is known of each service.
func (o *organization) proven(t *testing.T, by *person) (verdicts map[string]*membershipv1.AuditVerdict, intact bool) {
	t.Helper()
	verdicts, intact = make(map[string]*membershipv1.AuditVerdict), true
	req := &membershipv1.VerifyAuditEventsRequest{OrganizationId: o.ID, PageSize: 3}
	for {
		part, err := by.VerifyAuditEvents(t.Context(), req)
		require.NoError(t, err)
		intact = intact && part.GetIntact()
		for _, v := range part.GetVerdicts() {
			if before := verdicts[v.GetService()]; before != nil {
				v.Findings = append(before.GetFindings(), v.GetFindings()...)
				v.Events += before.GetEvents()
			}
			verdicts[v.GetService()] = v
		}
		if req.PageToken = part.GetNextPageToken(); req.PageToken == "" {
			return verdicts, intact
		}
	}
}

// tamper changes rows of the organization in a service's database, as its owner.
func (o *organization) tamper(t *testing.T, service, statement string) {
	t.Helper()
	tag, err := suite.owners[service].Exec(t.Context(), statement, uuidOf(t, o.ID))
	require.NoError(t, err)
	require.NotZero(t, tag.RowsAffected(), statement)
}

// TestVerify proves that nobody changes the history unnoticed.
func TestVerify(t *testing.T) {
	t.Parallel()

	scenario(t, "R83 an honest history is intact in every service, and admins alone may ask", func(t *testing.T, over string) {
		org := create(t, over, portal)
		admin, member, disabled := org.join(t, "admin"), org.join(t, "member"), org.join(t, "member")
		org.disable(t, disabled)
		org.shown(t)
		verdicts, intact := org.proven(t, admin)
		require.True(t, intact, "%v", verdicts)
		for _, service := range []string{"membership", "invitation", "billing"} {
			v := verdicts[service]
			require.Positive(t, v.GetEvents(), service)
			require.Equal(t, org.revision(t, service), v.GetRevision(), service)
			require.Equal(t, v.GetRevision(), v.GetCopiedRevision(), service)
		}
		_, err := member.VerifyAuditEvents(t.Context(), &membershipv1.VerifyAuditEventsRequest{OrganizationId: org.ID})
		refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
	})

	scenario(t, "R83 who changes the history in a database is found out", func(t *testing.T, over string) {
		org, other := create(t, over, portal), create(t, over, portal)
		for range 3 {
			org.join(t, "member")
		}
		org.shown(t)
		expect := func(service string, kind membershipv1.AuditFinding_Kind, revision int64) {
			verdicts, intact := org.proven(t, org.owner)
			require.False(t, intact)
			require.Len(t, verdicts[service].GetFindings(), 1, service)
			finding := verdicts[service].GetFindings()[0]
			require.Equal(t, kind, finding.GetKind(), finding.GetDetail())
			require.Equal(t, revision, finding.GetRevision(), finding.GetDetail())
		}
		org.tamper(t, "membership", `UPDATE events SET data = convert_to(replace(convert_from(data, 'UTF8'), 'member', 'admin'), 'UTF8') WHERE aggregate_id = $1 AND revision = 3`)
		expect("membership", membershipv1.AuditFinding_KIND_EDITED, 3)
		org.tamper(t, "invitation", `UPDATE events SET revision = CASE revision WHEN 2 THEN -3 ELSE -2 END WHERE aggregate_id = $1 AND revision IN (2, 3)`)
		org.tamper(t, "invitation", `UPDATE events SET revision = -revision WHERE aggregate_id = $1 AND revision < 0`)
		expect("invitation", membershipv1.AuditFinding_KIND_REORDERED, 2)
		last := org.revision(t, "billing")
		org.tamper(t, "billing", `DELETE FROM events WHERE aggregate_id = $1 AND revision > 3`)
		require.Greater(t, last, int64(3))
		expect("billing", membershipv1.AuditFinding_KIND_CUT, 4)
		org.tamper(t, "billing", `DELETE FROM events WHERE aggregate_id = $1 AND revision = 2`)
		expect("billing", membershipv1.AuditFinding_KIND_MISSING, 2)
		org.tamper(t, "billing", `UPDATE events SET revision = 2, id = gen_random_uuid() WHERE aggregate_id = $1 AND revision = 3`)
		expect("billing", membershipv1.AuditFinding_KIND_EDITED, 2)

		_, intact := other.proven(t, other.owner)
		require.True(t, intact, "others' histories are others'")
	})
}
