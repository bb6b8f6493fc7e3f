package membership

import (
	"context"

	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/role"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/proof"
)

// Config is what the service is told.
type Config struct {
	role.Config

	DNS       string   `env:"DNS_SERVER" usage:"DNS server, host:port, where proofs of domains are looked for; the system's by default"`
	Providers []string `env:"MAIL_PROVIDERS" usage:"domains that give addresses to anybody, which no organization verifies, separated by commas; the well-known ones are always among them"`
}

// Run runs the service until ctx ends.
func Run(ctx context.Context, c Config) error {
	base, err := role.Start(ctx, "membership", c.Config)
	if err != nil {
		return err
	}
	defer base.Close()
	billing, err := base.Dial("billing")
	if err != nil {
		return err
	}
	identity, err := base.Dial("identity")
	if err != nil {
		return err
	}
	invitation, err := base.Dial("invitation")
	if err != nil {
		return err
	}
	service := New(Dependencies{
		DB:    base.DB,
		Chain: base.Chain(),
		Chains: map[string]membershipv1.ChainServiceClient{
			"invitation": membershipv1.NewChainServiceClient(invitation), "billing": membershipv1.NewChainServiceClient(billing),
		},
		Seats:      billingv1.NewSeatServiceClient(billing),
		Usage:      billingv1.NewSeatUsageServiceClient(billing),
		Accounts:   identityv1.NewAccountDirectoryServiceClient(identity),
		Federation: identityv1.NewProviderDirectoryServiceClient(identity),
		Mail:       base.Mail,
		PageKey:    base.Key.Derive("page"),
		LeaveKey:   base.Key.Derive("leave"),
		Proofs:     proof.New(c.DNS),
		Providers:  org.NewProviders(c.Providers),
		PublicURL:  c.PublicURL,
		Log:        base.Log,
	})
	if err := base.Hear("people", []string{"membership", "invitation", "billing", "identity"}, nil, service.Consume); err != nil {
		return err
	}
	base.Beside(service.WatchActivity)
	return base.Serve(ctx, service)
}
