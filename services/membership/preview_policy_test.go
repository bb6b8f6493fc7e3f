package membership_test

import (
	"flag"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

var crowd = flag.Int("members", 3000, "how many members the organization has that TestPreviewPolicyAtScale previews a policy of")

// What a preview counts is right in an organization of any size; with -v it says how long that takes.
func TestPreviewPolicyAtScale(t *testing.T) {
	t.Parallel()
	o := newHarness(t).create(pipeline)
	_, err := o.owner().Exec(t.Context(), `
		INSERT INTO members (organization_id, account_id, role_id, state, seat_id, join_time, sole_owner, version)
		SELECT $1, gen_random_uuid(), r.role_id, 'ACTIVE', gen_random_uuid(), now(), false, 1
		FROM generate_series(1, $2::int) n
		JOIN roles r ON r.organization_id = $1 AND r.key = (ARRAY['viewer', 'developer', 'admin'])[1 + n % 3]`, o.id, *crowd)
	require.NoError(t, err)
	_, err = o.owner().Exec(t.Context(), `ANALYZE members`)
	require.NoError(t, err)
	var took []time.Duration
	for range 5 {
		begin := time.Now()
		answer, err := o.organizations.PreviewPolicy(o.as(o.creator), &membershipv1.PreviewPolicyRequest{
			OrganizationId: o.id.String(), Preset: membershipv1.Preset_PRESET_PORTAL,
			RoleRemap: map[string]string{"developer": "member", "viewer": "member"},
		})
		require.NoError(t, err)
		took = append(took, time.Since(begin))
		require.Empty(t, answer.GetViolations())
		var most int64
		for _, effect := range answer.GetEffects() {
			most = max(most, effect.GetCount())
		}
		require.GreaterOrEqual(t, most, int64(*crowd/3), "%v", answer.GetEffects())
	}
	slices.Sort(took)
	t.Logf("preview of a policy for %d members: median %s of %d", *crowd, took[len(took)/2], len(took))
}
