package org

import (
	"strconv"
	"strings"
	"time"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// MaxIdentityProviders is how many an organization has at most.
const MaxIdentityProviders = 20

// ErrNoIdentityProvider refuses what is about a provider that is not there.
var ErrNoIdentityProvider = fault.New(errorv1.Reason_REASON_IDENTITY_PROVIDER_NOT_FOUND, "There is no such identity provider in this organization.")

// IdentityProvider is where people of an organization prove who they are. Identity speaks with it, and keeps the secret; what it is to be is
// decided here.
type IdentityProvider struct {
	ID           id.Provider `db:"provider_id"`
	DisplayName  string
	Issuer       string
	ClientID     string
	SecretSet    bool
	SealedSecret []byte // on its way to identity, which alone can open it
	Enabled      bool
	Joins        bool  // who signs in with it becomes a member
	Deleted      bool  // identity has not heard of it yet
	Version      int64 // how often it has changed
	CreateTime   time.Time
}

// IdentityProviderChange is what somebody wants a provider to be; nil leaves as it is.
type IdentityProviderChange struct {
	DisplayName, ClientID *string
	Enabled, Joins        *bool
	Secret                *bool // whether there is another one, or none from now on
}

// Apply changes the provider.
func (p *IdentityProvider) Apply(c IdentityProviderChange) {
	set(&p.DisplayName, c.DisplayName)
	set(&p.ClientID, c.ClientID)
	set(&p.Enabled, c.Enabled)
	set(&p.Joins, c.Joins)
	set(&p.SecretSet, c.Secret)
	p.Version++
}

func set[T any](at, to *T) {
	if to != nil {
		*at = *to
	}
}

// Delete takes the provider away.
func (p *IdentityProvider) Delete() {
	p.Enabled, p.Joins, p.SecretSet, p.SealedSecret, p.Deleted = false, false, false, nil, true
	p.Version++
}

// LetsIn tells whether who signs in with the provider becomes a member.
func (p IdentityProvider) LetsIn() bool { return p.Enabled && p.Joins && !p.Deleted }

// LetJoin refuses that people join through the provider, if it says so, with a role that nobody may join with, or the actor could not give.
func (a Actor) LetJoin(p IdentityProvider) error {
	if !p.Joins {
		return nil
	}
	role, err := a.organization.ProvidedRole()
	if err != nil {
		return err
	}
	if beyond := role.Permissions.Without(a.Permissions); len(beyond) > 0 {
		return roleFault(role.Key, "Who joins gets a role that allows more than your own: "+strings.Join(beyond, ", ")+". You can give only what you hold.").
			With("missing", strings.Join(beyond, ","))
	}
	return nil
}

// AddIdentityProvider refuses one more where there are so many.
func AddIdentityProvider(have []IdentityProvider) error {
	if len(have) < MaxIdentityProviders {
		return nil
	}
	return fault.Newf(errorv1.Reason_REASON_LIMIT_REACHED, "An organization has at most %d identity providers. Delete one first.", MaxIdentityProviders).
		With("limit", strconv.Itoa(MaxIdentityProviders))
}

// ProvidedRole returns the role that people get who join because they have signed in with a provider of the organization. It refuses
// where nobody does.
func (o Organization) ProvidedRole() (Role, error) { return o.joinRole() }
