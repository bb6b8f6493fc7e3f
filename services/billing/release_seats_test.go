package billing_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/events"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

func TestOrganizationDeleted(t *testing.T) {
	t.Parallel()
	h := start(t)
	org, other, owner := id.NewOrganization(), id.NewOrganization(), id.NewAccount()
	h.members(t, org, 2)
	h.reserve(t, org, fresh(500)...)
	h.reserve(t, org, fresh(100)...) // more than go at once
	h.members(t, other, 1)
	before := len(h.history(t, org))
	e := events.Event{Type: "organization.deleted", Service: "membership", Aggregate: org.String(), TraceID: "4bf92f3577b34da6a3ce929d0e0e4736",
		Data: []byte(`{"context": {"actor": {"kind": "KIND_ACCOUNT", "id": "` + owner.String() + `"}}}`)}

	require.NoError(t, h.service.OrganizationDeleted(t.Context(), e))
	require.Zero(t, h.read(t, org).GetUsed())
	require.Empty(t, h.due(t, org))
	require.EqualValues(t, 1, h.read(t, other).GetUsed())
	history := h.history(t, org)
	require.Len(t, history, before+2)
	var freed eventv1.SeatReleased
	decode(t, history[before], &freed)
	require.Equal(t, owner.String(), freed.GetContext().GetActor().GetId())
	require.Equal(t, eventv1.Cause_KIND_ORGANIZATION, freed.GetContext().GetCause().GetKind())
	require.Equal(t, org.String(), freed.GetContext().GetCause().GetId())
	require.Equal(t, e.TraceID, freed.GetContext().GetTraceId())

	require.NoError(t, h.service.OrganizationDeleted(t.Context(), e))
	require.Len(t, h.history(t, org), before+2, "hearing it again changes nothing")
	require.NoError(t, h.service.OrganizationDeleted(t.Context(), events.Event{Type: e.Type, Aggregate: id.NewOrganization().String(), Data: []byte(`{}`)}))
	require.Error(t, h.service.OrganizationDeleted(t.Context(), events.Event{Type: e.Type, Aggregate: "org_", Data: []byte(`{}`)}))
	h.consistent(t)
}
