package invitation_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/events"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/invitation"
)

func TestOrganizationDeleted(t *testing.T) {
	t.Parallel()
	h := newHarness(t, invitation.Limits{})
	o := h.organization()
	for range 55 {
		link(t, o)
	}
	late := link(t, o)
	late.age(t)
	h.peers.lose = func(method string, _ bool) error {
		if method == "ReserveSeats" {
			return errDown
		}
		return nil
	}
	_, err := o.client.CreateInvitation(as(t, o.admin), o.asks("", username())) // waits for its seat
	refused(t, err, errorv1.Reason_REASON_UNAVAILABLE)
	h.heal()
	h.peers.with(func() { h.peers.organizations[o.id.String()].deleted = true })
	for range 2 {
		require.NoError(t, h.service.OrganizationDeleted(t.Context(), events.Event{Aggregate: o.id.String()}))
	}
	o.sweep(t)
	o.consistent(t)
	states := map[string]int{}
	for _, i := range o.kept(t) {
		states[i.State]++
	}
	require.Equal(t, map[string]int{"REVOKED": 55, "EXPIRED": 1, "FAILED": 1}, states)
}
