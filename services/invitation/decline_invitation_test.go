package invitation_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/invitation"
)

func TestDeclineInvitation(t *testing.T) {
	t.Parallel()
	h := newHarness(t, invitation.Limits{})
	decline := func(t *testing.T, i invited, who id.Account, request string) error {
		answer, err := i.client.DeclineInvitation(as(t, who), &invitationv1.DeclineInvitationRequest{LinkToken: i.token, RequestId: request})
		if err == nil {
			require.Equal(t, invitationv1.Invitation_STATE_DECLINED, answer.GetState())
		}
		return err
	}

	t.Run("T43 a repeated request gets the first answer, and the seat is free", func(t *testing.T) {
		i := link(t, h.organization())
		since := len(i.types(t))
		h.strike(mishap{1, diesBefore}) // after the commit
		require.NoError(t, decline(t, i, nobody, "once"))
		h.heal()
		for range 2 {
			require.NoError(t, decline(t, i, nobody, "once"))
		}
		require.Equal(t, []string{"invitation.declined"}, i.types(t)[since:])
		i.organization.sweep(t)
		require.Equal(t, released, h.peers.seats[i.kept(t)[0].SeatID.String()])
		for _, other := range []string{"", "twice"} {
			refused(t, decline(t, i, nobody, other), errorv1.Reason_REASON_INVITATION_DECLINED)
		}
		refused(t, decline(t, i, h.peers.signUp(""), "once"), errorv1.Reason_REASON_INVITATION_DECLINED)
	})

	t.Run("REQUEST_ID_REUSED", func(t *testing.T) {
		o, me := h.organization(), h.peers.signUp("")
		i, other := link(t, o), link(t, o)
		require.NoError(t, decline(t, i, me, "once"))
		refused(t, decline(t, other, me, "once"), errorv1.Reason_REASON_REQUEST_ID_REUSED)
		require.Equal(t, "PENDING", other.state(t))
		require.NoError(t, decline(t, other, nobody, "once"), "whoever is nobody is another with every link")
	})
}
