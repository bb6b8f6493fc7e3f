package org

import (
	"time"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/naming"
)

// The permissions to look after service accounts, and to see them.
const (
	ManageServiceAccounts = "service_accounts.manage"
	ReadServiceAccounts   = "service_accounts.read"
)

// Limits of service accounts.
const (
	maxServiceAccounts = 100                  // of an organization
	maxKeys            = 20                   // of a service account
	usualKeyLife       = 90 * 24 * time.Hour  // how long a key lives
	longestKeyLife     = 365 * 24 * time.Hour // at most
)

// Faults about service accounts.
var (
	ErrNoServiceAccount = fault.New(errorv1.Reason_REASON_SERVICE_ACCOUNT_NOT_FOUND, "There is no such service account in this organization.")
	ErrNoKey            = fault.New(errorv1.Reason_REASON_API_KEY_NOT_FOUND, "There is no such key.")
)

// serviceable is what a service account may be for, beside what is registered: it reads, or changes what is not about who gets in and
// what they may do, and no other service has to know of it.
var serviceable = SetOf([]string{
	ReadAudit, ReadDomains, ReadGroups, ReadActivity, ReadContacts, ReadMembers, ReadSessions, ReadOrganization, UpdateOrganization, ReadPolicy,
	"products.use", ManageProjects, ReadProjects, "resources.read", "resources.write", ReadRoles, ReadServiceAccounts,
})

// ServiceAccount is a program of the organization's own. It is no member.
type ServiceAccount struct {
	ID          id.ServiceAccount `db:"service_account_id"`
	DisplayName string
	Permissions Set
	Disabled    bool       // nobody calls with its keys
	Creator     id.Account `db:"creator_account_id"`
	CreateTime  time.Time
}

// Key is a key of a service account.
type Key struct {
	ID          id.APIKey `db:"api_key_id"`
	DisplayName string
	Scopes      Set
	LastFour    string
	CreateTime  time.Time
	LastUseTime *time.Time // nil: never
	ExpireTime  time.Time
}

// Acting returns the service account as somebody who asks: under an account of its own number, without a role.
func (a ServiceAccount) Acting(registry Registry) Member {
	return Member{Account: id.Account(a.ID), State: NoMember, Grants: []Grant{{
		Source: ByServiceAccount, Name: a.DisplayName, Permissions: registry.Of(Role{Permissions: a.Permissions})}}}
}

// CreateServiceAccount returns a new service account, of which there are some already.
func (a Actor) CreateServiceAccount(name string, permissions []string, there int64) (made ServiceAccount, err error) {
	if err := a.Need(ManageServiceAccounts); err != nil {
		return made, err
	}
	made = ServiceAccount{ID: id.NewServiceAccount(), Creator: a.Account}
	if made.DisplayName, err = naming.ParseDisplayName("display_name", name); err != nil {
		return made, err
	}
	if made.Permissions, err = a.organization.Registry.serviceable(permissions); err != nil {
		return made, err
	}
	if there >= maxServiceAccounts {
		return made, fault.Newf(errorv1.Reason_REASON_LIMIT_REACHED, "There are %d service accounts. Delete one first.", maxServiceAccounts)
	}
	return made, a.holds(made.Permissions)
}

// serviceable reads what a service account is to be for.
func (r Registry) serviceable(permissions []string) (Set, error) {
	set, err := r.parse(permissions)
	if err != nil {
		return nil, err
	}
	for _, permission := range set {
		if registered, found := r.find(permission); !serviceable.Has(permission) && (!found || registered.Dangerous) {
			return nil, fault.Invalid("permissions", "has "+permission+", which no service account may be for")
		}
	}
	return set, nil
}

// ServiceAccountChange is what of a service account becomes another; nil stays.
type ServiceAccountChange struct {
	DisplayName *string
	Permissions *[]string
	Disabled    *bool
}

// ChangeServiceAccount returns the service account as it becomes, and what the change allows it that nothing did before: the actor gives that,
// and holds it.
func (a Actor) ChangeServiceAccount(before ServiceAccount, c ServiceAccountChange) (after ServiceAccount, given Set, err error) {
	if err := a.Need(ManageServiceAccounts); err != nil {
		return before, nil, err
	}
	after = before
	if c.DisplayName != nil {
		if after.DisplayName, err = naming.ParseDisplayName("display_name", *c.DisplayName); err != nil {
			return before, nil, err
		}
	}
	if c.Permissions != nil {
		if after.Permissions, err = a.organization.Registry.serviceable(*c.Permissions); err != nil {
			return before, nil, err
		}
		if len(after.Permissions) == 0 {
			return before, nil, fault.Invalid("permissions", "must name one at least; disable it to keep it from calling")
		}
	}
	if c.Disabled != nil {
		after.Disabled = *c.Disabled
	}
	given = after.Permissions
	if !before.Disabled || after.Disabled {
		given = given.Without(before.Permissions)
	}
	return after, given, a.holds(given)
}

// CreateKey returns a new key of a service account that has some already. It is for no more than the service account is for and the
// actor holds.
func (a Actor) CreateKey(of ServiceAccount, name string, scopes []string, expire, now time.Time, there int) (key Key, err error) {
	if err := a.Need(ManageServiceAccounts); err != nil {
		return key, err
	}
	key = Key{ID: id.NewAPIKey(), Scopes: SetOf(scopes), CreateTime: now, ExpireTime: expire}
	if key.DisplayName, err = naming.ParseDisplayName("display_name", name); err != nil {
		return key, err
	}
	if len(key.Scopes) == 0 {
		key.Scopes = of.Permissions
	}
	if beyond := key.Scopes.Without(of.Permissions); len(beyond) > 0 {
		return key, fault.Invalid("scopes", "has "+quote(beyond[0])+", which the service account is not for")
	}
	switch {
	case expire.IsZero():
		key.ExpireTime = now.Add(usualKeyLife)
	case !expire.After(now):
		return key, fault.Invalid("expire_time", "must be in the future")
	case expire.After(now.Add(longestKeyLife)):
		return key, fault.Invalid("expire_time", "must be within a year")
	}
	if there >= maxKeys {
		return key, fault.Newf(errorv1.Reason_REASON_LIMIT_REACHED, "The service account has %d keys. Delete one first.", maxKeys)
	}
	return key, a.holds(key.Scopes)
}
