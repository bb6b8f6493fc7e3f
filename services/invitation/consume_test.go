package invitation_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/rosterhq/roster/pkg/events"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

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

func TestRoleDeleted(t *testing.T) {
	t.Parallel()
	h := newHarness(t, invitation.Limits{})
	o := h.organization()
	var waiting []invited
	for range 55 {
		waiting = append(waiting, link(t, o))
	}
	revoked := link(t, o)
	_, err := revoked.revoke(t)
	require.NoError(t, err)
	asks := o.asks("", username())
	asks.Role = "admin"
	made, err := o.client.CreateInvitation(as(t, o.admin), asks)
	require.NoError(t, err)
	other := invited{organization: o, id: made.GetInvitation().GetId()}
	before := len(o.types(t))
	deleted := func(role string) {
		t.Helper()
		data, err := protojson.Marshal(&eventv1.RoleDeleted{Before: &eventv1.Role{Key: role}, Replacement: "viewer"})
		require.NoError(t, err)
		require.NoError(t, h.service.Consume(t.Context(), events.Event{Type: "role.deleted", Aggregate: o.id.String(), Data: data}))
	}
	deleted("member") // as membership has it, the role is there: the event is old
	require.Len(t, o.types(t), before)

	h.peers.with(func() {
		h.peers.organizations[o.id.String()].replaced = map[string]string{"member": "admin"} // the replacement was replaced
	})
	for range 2 {
		deleted("member")
	}
	deleted("nobody")
	for _, i := range waiting {
		require.Equal(t, "admin", i.row(t, "role"))
	}
	require.Equal(t, []string{"member", "admin"}, []string{revoked.row(t, "role"), other.row(t, "role")})
	log := o.types(t)[before:]
	require.Len(t, log, 55)
	require.Equal(t, "invitation.role_changed", log[0])
	_, err = waiting[0].accept(t, nobody)
	require.NoError(t, err)
	o.sweep(t)
	o.consistent(t)
}
