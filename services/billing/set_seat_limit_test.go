package billing_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
)

func TestSetSeatLimit(t *testing.T) {
	t.Parallel()
	h := start(t)
	set := func(t *testing.T, req *billingv1.SetSeatLimitRequest) (*billingv1.SetSeatLimitResponse, error) {
		t.Helper()
		return h.limits.SetSeatLimit(as(t.Context(), "operator"), req)
	}

	t.Run("SaysWhatChangedAndWhy", func(t *testing.T) {
		t.Parallel()
		org := id.NewOrganization()
		resp, err := set(t, &billingv1.SetSeatLimitRequest{OrganizationId: org.String(), Limit: of(10), Reason: "contract", RequestId: "one"})
		require.NoError(t, err)
		equal(t, &billingv1.SeatUsage{Total: of(10), Available: of(10), State: billingv1.SeatUsage_STATE_OK}, resp.GetUsage())
		require.Equal(t, outbox.Token(org, "billing", 1), resp.GetToken())
		_, err = set(t, &billingv1.SetSeatLimitRequest{OrganizationId: org.String(), Reason: "generosity"})
		require.NoError(t, err)

		events := h.history(t, org)
		require.Len(t, events, 2)
		var first, second eventv1.SeatLimitChanged
		decode(t, events[0], &first)
		require.Nil(t, first.Before)
		require.Equal(t, of(10), first.After)
		require.Equal(t, "contract", first.GetReason())
		require.Equal(t, eventv1.Actor_KIND_OPERATOR, first.GetContext().GetActor().GetKind())
		require.Equal(t, h.operator.String(), first.GetContext().GetActor().GetId())
		require.Equal(t, eventv1.Cause_KIND_OPERATOR, first.GetContext().GetCause().GetKind())
		require.Equal(t, "one", first.GetContext().GetRequestId())
		decode(t, events[1], &second)
		require.Equal(t, of(10), second.Before)
		require.Nil(t, second.After)
	})
	t.Run("BelowWhatIsUsedRemovesNobodyAndStopsGrowth", func(t *testing.T) {
		t.Parallel()
		org := id.NewOrganization()
		seats := h.members(t, org, 4)
		resp, err := set(t, &billingv1.SetSeatLimitRequest{OrganizationId: org.String(), Limit: of(2), Reason: "downgrade"})
		require.NoError(t, err)
		equal(t, &billingv1.SeatUsage{Used: 4, Occupied: 4, Total: of(2), Available: of(0), State: billingv1.SeatUsage_STATE_OVER}, resp.GetUsage())
		require.Equal(t, denied, h.reserve(t, org, id.NewSeat()))
		require.Equal(t, billingv1.SeatUsage_STATE_OVER, h.release(t, org, seats[0]).GetState())
		require.Equal(t, denied, h.reserve(t, org, id.NewSeat()))
		require.Equal(t, billingv1.SeatUsage_STATE_AT, h.release(t, org, seats[1]).GetState())
		require.Equal(t, denied, h.reserve(t, org, id.NewSeat()))
		h.release(t, org, seats[2])
		require.Equal(t, reserved, h.reserve(t, org, id.NewSeat()))
	})
	t.Run("RepeatedGetsTheFirstAnswer", func(t *testing.T) {
		t.Parallel()
		org := id.NewOrganization()
		req := &billingv1.SetSeatLimitRequest{OrganizationId: org.String(), Limit: of(3), Reason: "contract", RequestId: "same"}
		first, err := set(t, req)
		require.NoError(t, err)
		h.members(t, org, 1)
		again, err := set(t, req)
		require.NoError(t, err)
		equal(t, first, again)
		require.Len(t, h.history(t, org), 3)
		_, err = set(t, &billingv1.SetSeatLimitRequest{OrganizationId: org.String(), Limit: of(4), Reason: "contract", RequestId: "same"})
		refused(t, err, errorv1.Reason_REASON_REQUEST_ID_REUSED)
	})
	t.Run("ToWhatItIsChangesNothing", func(t *testing.T) {
		t.Parallel()
		org := id.NewOrganization()
		h.limit(t, org, nil)
		require.Empty(t, h.history(t, org))
		h.limit(t, org, of(3))
		resp, err := set(t, &billingv1.SetSeatLimitRequest{OrganizationId: org.String(), Limit: of(3), Reason: "again"})
		require.NoError(t, err)
		require.Equal(t, outbox.Token(org, "billing", 1), resp.GetToken())
		require.Len(t, h.history(t, org), 1)
	})
	t.Run("AtOnceFollowOneAnother", func(t *testing.T) {
		t.Parallel()
		org := id.NewOrganization()
		var all sync.WaitGroup
		for n := range int32(8) {
			all.Go(func() { h.limit(t, org, of(n+1)) })
		}
		all.Wait()
		var before *int32
		events := h.history(t, org)
		require.Len(t, events, 8)
		for _, e := range events {
			var changed eventv1.SeatLimitChanged
			decode(t, e, &changed)
			require.Equal(t, before, changed.Before)
			before = changed.After
		}
	})
	for name, req := range map[string]*billingv1.SetSeatLimitRequest{
		"Zero":              {Limit: of(0), Reason: "mistake"},
		"ANegativeLimit":    {Limit: of(-1), Reason: "mistake"},
		"NoReason":          {Limit: of(1)},
		"AnotherKindsOfIds": {OrganizationId: id.NewAccount().String(), Limit: of(1), Reason: "mistake"},
	} {
		t.Run("Refuses"+name, func(t *testing.T) {
			t.Parallel()
			if req.GetOrganizationId() == "" {
				req.OrganizationId = id.NewOrganization().String()
			}
			_, err := set(t, req)
			refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		})
	}
	t.Run("RefusesThoseWhoAreNoOperator", func(t *testing.T) {
		t.Parallel()
		req := &billingv1.SetSeatLimitRequest{OrganizationId: id.NewOrganization().String(), Limit: of(1), Reason: "greed"}
		_, err := h.limits.SetSeatLimit(as(t.Context(), "account"), req)
		refused(t, err, errorv1.Reason_REASON_CALLER_REFUSED)
	})
	t.Cleanup(func() { h.consistent(t) })
}
