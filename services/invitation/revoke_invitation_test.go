package invitation_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"

	"github.com/rosterhq/roster/services/invitation"
)

func TestRevokeInvitation(t *testing.T) {
	t.Parallel()
	h := newHarness(t, invitation.Limits{})
	for reason, end := range ends {
		if reason == errorv1.Reason_REASON_INVITATION_LINK_INVALID {
			continue
		}
		t.Run(reason.String(), func(t *testing.T) {
			i := end(t, link(t, h.organization()))
			_, err := i.revoke(t)
			refused(t, err, reason)
		})
	}

	t.Run("T05 the seat is free when the call returns", func(t *testing.T) {
		h.peers.reset()
		i := link(t, h.organization())
		answer, err := i.revoke(t)
		require.NoError(t, err)
		require.True(t, answer.GetSeatReleased())
		i.consistent(t)
	})

	t.Run("TheLinkDiesAlsoWhenBillingIsDown", func(t *testing.T) {
		h.peers.reset()
		i := link(t, h.organization())
		h.peers.lose = func(method string, _ bool) error {
			if method == "ReleaseSeats" {
				return errDown
			}
			return nil
		}
		answer, err := i.revoke(t)
		h.heal()
		require.NoError(t, err)
		require.False(t, answer.GetSeatReleased())
		refused(t, i.preview(t), errorv1.Reason_REASON_INVITATION_REVOKED)
		i.organization.sweep(t)
		i.consistent(t)
	})

	t.Run("AReplayGetsTheFirstAnswer", func(t *testing.T) {
		i := link(t, h.organization())
		for range 2 {
			answer, err := i.client.RevokeInvitation(as(t, i.admin), &invitationv1.RevokeInvitationRequest{
				OrganizationId: i.organization.id.String(), InvitationId: i.id, RequestId: "once"})
			require.NoError(t, err)
			require.Equal(t, invitationv1.Invitation_STATE_REVOKED, answer.GetInvitation().GetState())
		}
	})
}
