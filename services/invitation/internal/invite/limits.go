package invite

import (
	"strconv"
	"time"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// Limits is how many invitations may be sent within one UTC day, so that nobody uses us to write to the world. Sending
// again counts too. Zero: no limit.
type Limits struct {
	PerOrganization int
	PerInviter      int // in all organizations together: whoever is stopped here can make another organization
}

// Sent is how many invitations were sent today.
type Sent struct {
	ByOrganization int
	ByInviter      int
}

// Check refuses one more.
func (l Limits) Check(sent Sent, org id.Organization, inviter id.Account, now time.Time) error {
	switch {
	case l.PerOrganization > 0 && sent.ByOrganization >= l.PerOrganization:
		return limited("perOrganization", l.PerOrganization, "organizations/"+org.String(), now)
	case l.PerInviter > 0 && sent.ByInviter >= l.PerInviter:
		return limited("perInviter", l.PerInviter, "accounts/"+inviter.String(), now)
	}
	return nil
}

var whose = map[string]string{"perOrganization": "This organization has", "perInviter": "You have"}

func limited(limit string, most int, subject string, now time.Time) error {
	midnight := now.UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
	return fault.Newf(errorv1.Reason_REASON_RATE_LIMITED, "%s sent %d invitations today, which is the most. Go on after midnight UTC.", whose[limit], most).
		With("limit", limit).
		With("most", strconv.Itoa(most)).
		With("subject", subject).
		WithRetry(midnight.Sub(now))
}
