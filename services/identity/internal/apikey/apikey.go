// Package apikey is what the keys of programs are: of a person's, and of service accounts. It does no I/O.
package apikey

import (
	"slices"
	"strconv"
	"time"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// Limits of keys.
const (
	Most    = 50                   // of one account
	Usual   = 90 * 24 * time.Hour  // how long one lives
	Longest = 365 * 24 * time.Hour // at most
)

// Refusals.
var (
	ErrNotFound = fault.New(errorv1.Reason_REASON_API_KEY_NOT_FOUND, "There is no such key.")
	ErrTooMany  = fault.Newf(errorv1.Reason_REASON_LIMIT_REACHED, "You have %d keys. Delete one first.", Most)
)

// Key is a key of a person's program, or of a service account.
type Key struct {
	AccountID   id.Account // whose it is; of a service account, its number
	ID          id.APIKey
	DisplayName string
	Scopes      []string // sorted
	LastFour    string
	CreateTime  time.Time
	LastUseTime *time.Time // nil: never
	ExpireTime  time.Time
}

// Known refuses scopes of which one is no permission, which it names.
func Known(scopes, permissions []string) error {
	for _, scope := range scopes {
		if !slices.Contains(permissions, scope) {
			return fault.Invalid("scopes", "has "+strconv.Quote(scope)+", which is no permission, see ListPermissions")
		}
	}
	return nil
}

// Expiry is when a key ends that is wanted until then; the zero time wants the usual.
func Expiry(wanted, now time.Time) (time.Time, error) {
	switch {
	case wanted.IsZero():
		return now.Add(Usual), nil
	case !wanted.After(now):
		return wanted, fault.Invalid("expire_time", "must be in the future")
	case wanted.After(now.Add(Longest)):
		return wanted, fault.Invalid("expire_time", "must be within a year")
	}
	return wanted, nil
}
