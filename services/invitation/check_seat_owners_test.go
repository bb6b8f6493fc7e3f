package invitation_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/invitation"
)

func TestCheckSeatOwners(t *testing.T) {
	t.Parallel()
	h := newHarness(t, invitation.Limits{})
	o := h.organization()
	alive := func(i invited, seat string) bool {
		answer, err := h.owners.CheckSeatOwners(t.Context(), &billingv1.CheckSeatOwnersRequest{
			OrganizationId: o.id.String(), Claims: []*billingv1.CheckSeatOwnersRequest_Claim{{SeatId: seat, OwnerId: i.id}}})
		require.NoError(t, err)
		return answer.GetAlive()[0]
	}
	i := link(t, o)
	first := o.kept(t)[0].SeatID.String()
	require.True(t, alive(i, first))
	require.False(t, alive(i, id.NewSeat().String()), "it names one seat")
	i.age(t)
	o.sweep(t)
	require.False(t, alive(i, first))
	require.NoError(t, resend(t, i))
	require.False(t, alive(i, first), "dead is final")
	second := o.kept(t)[0].SeatID.String()
	require.True(t, alive(i, second))
	i.token = ""
	made, err := i.client.CreateInvitationLink(as(t, i.admin), &invitationv1.CreateInvitationLinkRequest{OrganizationId: o.id.String(), InvitationId: i.id})
	require.NoError(t, err)
	i.token = lastSegment(made.GetLink())
	require.NoError(t, acceptNew(t, i))
	require.False(t, alive(i, second), "it is the member's by now")
}
