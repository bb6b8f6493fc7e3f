package apikey

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// MostServiceAccounts is how many the deployment has at most.
const MostServiceAccounts = 100

// Refusals.
var (
	ErrNoServiceAccount       = fault.New(errorv1.Reason_REASON_SERVICE_ACCOUNT_NOT_FOUND, "There is no such service account.")
	ErrTooManyServiceAccounts = fault.Newf(errorv1.Reason_REASON_LIMIT_REACHED, "There are %d service accounts. Delete one first.", MostServiceAccounts)
	ErrTooManyOfOne           = fault.Newf(errorv1.Reason_REASON_LIMIT_REACHED, "The service account has %d keys. Delete one first.", Most)
)

// Scopes are what service accounts of the deployment may be for: those that the rules of methods name.
var Scopes = []string{"access.check", "availability.report", "sessions.introspect"}

// ServiceAccount is what a service of the platform is to us. It is nobody's.
type ServiceAccount struct {
	ID          id.ServiceAccount
	DisplayName string
	Scopes      []string // sorted
	CreateTime  time.Time
}

// Account is the account that the service account's keys and history stand under. It has no person, and no row.
func (a ServiceAccount) Account() id.Account { return id.Account(a.ID) }

// ParseScopes reads what a service account is to be for.
func ParseScopes(wanted []string) ([]string, error) { return among(Scopes, wanted) }

// Narrow returns what a key is for that is to be for less than the service account is; wanted none: for all of it.
func (a ServiceAccount) Narrow(wanted []string) ([]string, error) {
	if len(wanted) == 0 {
		return a.Scopes, nil
	}
	return among(a.Scopes, wanted)
}

// among refuses scopes of which one is not among those that there are, and names it.
func among(scopes, wanted []string) ([]string, error) {
	for _, scope := range wanted {
		if !slices.Contains(scopes, scope) {
			return nil, fault.Invalid("scopes", "has "+strconv.Quote(scope)+", and must be of "+strings.Join(scopes, ", "))
		}
	}
	return slices.Sorted(slices.Values(wanted)), nil
}
