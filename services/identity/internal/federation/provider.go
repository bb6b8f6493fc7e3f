// Package federation is what it means that somebody else vouches for a person: who is asked, what is believed of the answer, and whose
// account that is. It does no I/O.
package federation

import (
	"net/url"
	"strings"
	"time"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/naming"
)

// Most is how many providers the deployment has, and each organization.
const Most = 20

// Refusals.
var (
	ErrProviderNotFound = fault.New(errorv1.Reason_REASON_IDENTITY_PROVIDER_NOT_FOUND, "There is no such identity provider, or nobody can sign in with it.")
	ErrTooMany          = fault.Newf(errorv1.Reason_REASON_LIMIT_REACHED, "There are %d identity providers. Delete one first.", Most)
	ErrFailed           = fault.New(errorv1.Reason_REASON_FEDERATED_SIGN_IN_FAILED, "The sign-in with the identity provider did not come to its end. Begin it again.")
	ErrUnproven         = fault.New(errorv1.Reason_REASON_ACCOUNT_LINK_REQUIRED, "An admin has had a password made for the account with this address. Sign in with that, and open the link that is mailed to you; then try again.")
	ErrUnverified       = fault.New(errorv1.Reason_REASON_EMAIL_UNVERIFIED, "The identity provider does not say that it has checked your address. Confirm the address there, then try again.")
	ErrLinkRequired     = fault.New(errorv1.Reason_REASON_ACCOUNT_LINK_REQUIRED,
		"The identity provider has no say over this address here. Sign in to your account in another way, and link the provider to it.")
	ErrNoSay = fault.New(errorv1.Reason_REASON_ACCOUNT_LINK_REQUIRED,
		"The organization of this identity provider has not verified the domain of the address that the provider names. Ask its admins to verify it.")
	ErrTaken = fault.New(errorv1.Reason_REASON_IDENTITY_TAKEN,
		"The identity provider knows another account here as this person. If that is yours, too, sign in to it, and unlink the provider there first.")
	ErrAnother   = fault.New(errorv1.Reason_REASON_IDENTITY_TAKEN, "Your account is linked to somebody else at this identity provider. Unlink that first.")
	ErrNotLinked = fault.New(errorv1.Reason_REASON_IDENTITY_PROVIDER_NOT_FOUND, "Your account is not linked to this identity provider.")
	ErrLastWayIn = fault.New(errorv1.Reason_REASON_LAST_WAY_IN,
		"Nothing else signs you in. Choose a password, link another identity provider, or sign in once with a passkey alone; then try again.")
	ErrDisabled  = fault.New(errorv1.Reason_REASON_ACCOUNT_NOT_FOUND, "This account may not sign in. Ask the organization that manages it.")
	ErrUndecided = fault.New(errorv1.Reason_REASON_UNAVAILABLE, "A part of the suite does not answer. Try again.").WithRetry(5 * time.Second)
	ErrAway      = fault.New(errorv1.Reason_REASON_UNAVAILABLE, "The identity provider does not answer. Try again.").WithRetry(5 * time.Second)
)

// Provider is where people prove who they are instead of with a password here.
type Provider struct {
	ID             id.Provider
	OrganizationID id.Organization // whose it is; zero: the deployment's
	DisplayName    string
	Issuer         string
	ClientID       string
	SealedSecret   []byte // nil: none
	Enabled        bool
	Deleted        bool  // by the organization
	Version        int64 // how often it has changed
	CreateTime     time.Time
	UpdateTime     time.Time
}

// Change is what somebody wants a provider to be; nil leaves as it is.
type Change struct {
	DisplayName, ClientID *string
	Enabled               *bool
}

// Apply changes the provider.
func (p *Provider) Apply(c Change) (err error) {
	if c.DisplayName != nil {
		if p.DisplayName, err = naming.ParseDisplayName("display_name", *c.DisplayName); err != nil {
			return err
		}
	}
	if c.ClientID != nil {
		if p.ClientID, err = parseClientID(*c.ClientID); err != nil {
			return err
		}
	}
	if c.Enabled != nil {
		p.Enabled = *c.Enabled
	}
	p.Version++
	return nil
}

// NewProvider reads what somebody says of a provider. Plain http is for development.
func NewProvider(displayName, issuer, clientID string, plain bool) (p Provider, err error) {
	if p.DisplayName, err = naming.ParseDisplayName("display_name", displayName); err != nil {
		return p, err
	}
	if p.ClientID, err = parseClientID(clientID); err != nil {
		return p, err
	}
	p.Issuer, p.Version = issuer, 1
	where, err := url.Parse(issuer)
	switch {
	case err != nil || where.Hostname() == "" || where.Opaque != "":
		return p, fault.Invalid("issuer", "must be a URL, such as https://accounts.example.com")
	case where.Scheme != "https" && (!plain || where.Scheme != "http"):
		return p, fault.Invalid("issuer", "must begin with https://")
	case where.User != nil || where.RawQuery != "" || where.ForceQuery || strings.Contains(issuer, "#"):
		return p, fault.Invalid("issuer", "must have no user, query or fragment")
	}
	return p, nil
}

func parseClientID(text string) (string, error) {
	for _, r := range text {
		if r < ' ' || r > '~' { // RFC 6749, A.1
			return "", fault.Invalid("client_id", "must be printable ASCII")
		}
	}
	return text, nil
}
