package identity

import (
	"context"
	"net/netip"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/identity/internal/keyring"
	"github.com/rosterhq/roster/services/identity/internal/password"
	"github.com/rosterhq/roster/services/internal/outbound"
	"github.com/rosterhq/roster/services/internal/role"
)

// Config is what the service is told.
type Config struct {
	role.Config
	Attempts int `env:"ATTEMPTS" envDefault:"100" usage:"failed sign-ins, and mails asked for, of one client address (IPv6: of its /64) in 15 minutes, and ten times as many sign-ins with a passkey or an identity provider that are begun and come to no end; 0: any number"`

	ProviderNetworks []netip.Prefix `env:"PROVIDER_NETWORKS" usage:"networks in which identity providers may be although they are not public, such as 10.1.0.0/16, separated by commas"`
	ProviderPlain    bool           `env:"PROVIDER_PLAIN" usage:"speak also http with identity providers; for development"`

	// Claim is called with the one-time token of the first operator, when the deployment has none.
	Claim func(token string) `env:"-"`
}

// Run runs the service until ctx ends.
func Run(ctx context.Context, c Config) error {
	base, err := role.Start(ctx, "identity", c.Config)
	if err != nil {
		return err
	}
	defer base.Close()
	membership, err := base.Dial("membership")
	if err != nil {
		return err
	}
	password.MakeRoom()
	service := New(Dependencies{
		DB:        base.DB,
		Key:       base.Key,
		Mail:      base.Mail,
		Attempts:  c.Attempts,
		Required:  membershipv1.NewMfaRequirementServiceClient(membership),
		Departs:   membershipv1.NewDepartureServiceClient(membership),
		Domains:   membershipv1.NewDomainProofServiceClient(membership),
		Programs:  membershipv1.NewOrganizationKeyServiceClient(membership),
		Roles:     membershipv1.NewRoleServiceClient(membership),
		PublicURL: c.PublicURL,
		Outbound:  outbound.Options{Networks: c.ProviderNetworks, Plain: c.ProviderPlain},
		Log:       base.Log,
	})
	if err := service.TurnKeys(ctx, keyring.Tend); err != nil {
		return err
	}
	token, err := service.Bootstrap(ctx)
	if err != nil {
		return err
	}
	if token != "" {
		c.Claim(token)
	}
	if err := base.Hear("members", []string{"membership"}, heard, service.Consume); err != nil {
		return err
	}
	return base.Serve(ctx, service)
}
