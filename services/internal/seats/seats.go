// Package seats is what services that take seats at billing say about them alike. Seats themselves are billing's.
package seats

import (
	"strconv"

	"github.com/rosterhq/roster/pkg/fault"
	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// LimitReached is the refusal of something that needs a seat where none is free. publicURL is where people reach the suite.
func LimitReached(publicURL string, organization id.Organization, usage *billingv1.SeatUsage) *fault.Fault {
	number := func(n int32) string { return strconv.Itoa(int(n)) }
	return fault.Newf(errorv1.Reason_REASON_SEAT_LIMIT_REACHED,
		"All %d seats are in use. Remove a member, revoke a pending invitation, or get more seats.", usage.GetTotal()).
		With("subject", "organizations/"+organization.String()).
		With("used", number(usage.GetUsed())).
		With("total", number(usage.GetTotal())).
		With("available", number(usage.GetAvailable())).
		With("requested", "1").
		WithHelp(publicURL + "/organizations/" + organization.String() + "/seats")
}
