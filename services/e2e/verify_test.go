package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

// proven has the history of the organization verified, three events a call, and returns what is known of each service.
func (o *organization) proven(t *testing.T, by *person, kept ...*membershipv1.AuditCheckpoint) (verdicts map[string]*membershipv1.AuditVerdict, intact bool) {
	t.Helper()
	verdicts, intact = make(map[string]*membershipv1.AuditVerdict), true
	req := &membershipv1.VerifyAuditEventsRequest{OrganizationId: o.ID, PageSize: 3, Checkpoints: kept}
	for {
		part, err := by.VerifyAuditEvents(t.Context(), req)
		require.NoError(t, err)
		intact = intact && part.GetIntact()
		for _, v := range part.GetVerdicts() {
			if before := verdicts[v.GetService()]; before != nil {
				v.Findings = append(before.GetFindings(), v.GetFindings()...)
				v.Events += before.GetEvents()
				if v.Checkpoint == nil {
					v.Checkpoint = before.GetCheckpoint()
				}
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

	scenario(t, "R83 who rewrites a whole history, hashes and head included, is found out by a checkpoint that left the database", func(t *testing.T, over string) {
		org := create(t, over, portal)
		org.join(t, "member")
		org.shown(t)
		signed := func(service string) (c *membershipv1.AuditCheckpoint) {
			eventually(t, func() bool {
				verdicts, intact := org.proven(t, org.owner)
				require.True(t, intact, "%v", verdicts)
				c = verdicts[service].GetCheckpoint()
				return c.GetRevision() == org.revision(t, service)
			}, service+" has signed its history")
			return c
		}
		kept := []*membershipv1.AuditCheckpoint{signed("membership"), signed("invitation"), signed("billing")}
		for _, c := range kept {
			require.Equal(t, org.ID, c.GetOrganizationId())
		}
		_, intact := org.proven(t, org.owner, kept...)
		require.True(t, intact)

		for i, service := range []string{"membership", "invitation", "billing"} {
			org.tamper(t, service, `UPDATE events SET data = convert_to(replace(convert_from(data, 'UTF8'), '{', '{ '), 'UTF8') WHERE aggregate_id = $1 AND revision = 2`)
			org.tamper(t, service, rehash)
			org.tamper(t, service, `UPDATE heads h SET prev_hash = e.prev_hash, hash = e.hash FROM events e
				WHERE h.aggregate_id = $1 AND e.aggregate_id = $1 AND e.revision = h.revision`)
			verdicts, intact := org.proven(t, org.owner)
			require.False(t, intact)
			finding := verdicts[service].GetFindings()[0]
			require.Equal(t, membershipv1.AuditFinding_KIND_REWRITTEN, finding.GetKind(), finding.GetDetail())
			require.Equal(t, kept[i].GetRevision(), finding.GetRevision())
		}

		foreign := create(t, over, portal)
		verdicts, intact := foreign.proven(t, foreign.owner, kept[1])
		require.False(t, intact)
		require.Equal(t, membershipv1.AuditFinding_KIND_CHECKPOINT_INVALID, verdicts["invitation"].GetFindings()[0].GetKind())
	})
}

// rehash makes all hashes of a history anew.
const rehash = `
	WITH RECURSIVE chained AS (
		SELECT 0::bigint AS revision, ''::bytea AS prev_hash, decode(repeat('00', 32), 'hex') AS hash
		UNION ALL
		SELECT e.revision, c.hash, sha256(c.hash || uuid_send(e.aggregate_id) || int8send(e.revision) || uuid_send(e.id)
			|| int4send(octet_length(e.type)) || convert_to(e.type, 'UTF8') || int8send((extract(epoch FROM e.time) * 1000000)::bigint)
			|| int4send(octet_length(e.data)) || e.data || e.personal_hash)
		FROM chained c JOIN events e ON e.aggregate_id = $1 AND e.revision = c.revision + 1
	)
	UPDATE events e SET prev_hash = c.prev_hash, hash = c.hash FROM chained c WHERE e.aggregate_id = $1 AND e.revision = c.revision`
