package billing_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

func TestGetSeatUsage(t *testing.T) {
	t.Parallel()
	h := start(t)
	org := id.NewOrganization()
	get := func(t *testing.T, text string) (*billingv1.SeatUsage, error) {
		resp, err := h.usage.GetSeatUsage(as(t.Context(), "account"), &billingv1.GetSeatUsageRequest{OrganizationId: text})
		return resp.GetUsage(), err
	}

	// One after the other: they share what membership answers.
	t.Run("AsksForTheCaller", func(t *testing.T) {
		_, err := get(t, org.String())
		require.NoError(t, err)
		equal(t, &membershipv1.CheckAccessRequest{OrganizationId: org.String(), AccountId: h.account.String(), Permission: "seats.read"}, h.access.asked)
	})
	t.Run("AnOrganizationThatNobodyHasHeardOfUsesNothing", func(t *testing.T) {
		usage, err := get(t, id.NewOrganization().String())
		require.NoError(t, err)
		equal(t, &billingv1.SeatUsage{State: billingv1.SeatUsage_STATE_UNLIMITED}, usage)
	})
	t.Run("TheNumbersOfAnotherOrganizationStayThere", func(t *testing.T) {
		h.limit(t, org, of(7))
		h.members(t, org, 2)
		usage, err := get(t, id.NewOrganization().String())
		require.NoError(t, err)
		require.Zero(t, usage.GetUsed())
		usage, err = get(t, org.String())
		require.NoError(t, err)
		require.EqualValues(t, 5, usage.GetAvailable())
	})
	for name, c := range map[string]struct {
		decision membershipv1.CheckAccessResponse_Decision
		err      error
		reason   errorv1.Reason
	}{
		"AStranger":               {membershipv1.CheckAccessResponse_DECISION_NOT_A_MEMBER, nil, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND},
		"ADisabledMember":         {membershipv1.CheckAccessResponse_DECISION_MEMBER_DISABLED, nil, errorv1.Reason_REASON_MEMBER_DISABLED},
		"AMemberWithoutTheRight":  {membershipv1.CheckAccessResponse_DECISION_PERMISSION_MISSING, nil, errorv1.Reason_REASON_PERMISSION_MISSING},
		"AMemberWithoutAFactor":   {membershipv1.CheckAccessResponse_DECISION_MFA_REQUIRED, nil, errorv1.Reason_REASON_MFA_REQUIRED},
		"AMemberBeforeAGate":      {membershipv1.CheckAccessResponse_DECISION_GATE_CLOSED, nil, errorv1.Reason_REASON_PERMISSION_MISSING},
		"ADecisionOfTheFuture":    {99, nil, errorv1.Reason_REASON_INTERNAL},
		"NobodyWhoCouldAnswer":    {0, fault.New(errorv1.Reason_REASON_UNAVAILABLE, "Away."), errorv1.Reason_REASON_UNAVAILABLE},
		"SomethingThatIsNotFault": {0, errors.New("broken"), errorv1.Reason_REASON_INTERNAL},
	} {
		t.Run("Refuses"+name, func(t *testing.T) {
			h.access.decision, h.access.err = c.decision, c.err
			_, err := get(t, org.String())
			f := refused(t, err, c.reason)
			if c.reason == errorv1.Reason_REASON_PERMISSION_MISSING {
				require.Equal(t, "seats.read", f.Metadata["permission"])
			}
		})
	}
	t.Run("RefusesWhatIsNoOrganization", func(t *testing.T) {
		_, err := get(t, h.account.String())
		refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
	})
	t.Run("RefusesNobody", func(t *testing.T) {
		_, err := h.usage.GetSeatUsage(t.Context(), &billingv1.GetSeatUsageRequest{OrganizationId: org.String()})
		refused(t, err, errorv1.Reason_REASON_UNAUTHENTICATED)
	})
}
