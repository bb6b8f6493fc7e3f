package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

func (o *organization) leave(t *testing.T, who *person) error {
	t.Helper()
	_, err := who.LeaveOrganization(t.Context(), &membershipv1.LeaveOrganizationRequest{OrganizationId: o.ID})
	return err
}

// TestLeave holds that leaving is everybody's own affair, but for the last who can do everything.
func TestLeave(t *testing.T) {
	t.Parallel()

	scenario(t, "C15 RB7 who leaves has no access and holds no seat, and only the last with all rights stays", func(t *testing.T, over string) {
		for _, preset := range []membershipv1.Preset{pipeline, portal, rbac, flat} {
			org := create(t, over, preset)
			member := org.join(t, org.everyday(t))
			used := org.seats(t).GetUsed()
			_, err := member.DisableMember(t.Context(), &membershipv1.DisableMemberRequest{OrganizationId: org.ID, AccountId: member.ID})
			require.Error(t, err, "nobody disables themselves")
			require.NoError(t, org.leave(t, member))
			require.False(t, org.can(t, member, "org.read"))
			require.Equal(t, used-1, org.seats(t).GetUsed(), "the seat is free before the call returns")
			require.Equal(t, 1, org.events(t, "membership", "member.left"))
			require.Zero(t, org.events(t, "membership", "member.removed"))
			refused(t, org.leave(t, member), errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
			refused(t, org.leave(t, org.owner), errorv1.Reason_REASON_LAST_OWNER)
			require.Equal(t, 1, org.events(t, "membership", "member.left"))
		}
	})

	scenario(t, "RB21 when all leave at once, one stays", func(t *testing.T, over string) {
		org := create(t, over, flat)
		everybody := []*person{org.owner, org.join(t, ""), org.join(t, ""), org.join(t, "")}
		stayed := 0
		for _, err := range atOnce(len(everybody), func(i int) error { return org.leave(t, everybody[i]) }) {
			if err != nil {
				refused(t, err, errorv1.Reason_REASON_LAST_OWNER)
				stayed++
			}
		}
		require.Equal(t, 1, stayed)
	})
}
