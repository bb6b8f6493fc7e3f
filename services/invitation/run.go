package invitation

import (
	"cmp"
	"context"

	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/role"
)

// Config is what the service is told.
type Config struct {
	role.Config

	PerDay        uint `env:"INVITATIONS_PER_DAY" usage:"how many invitations an organization may send in a UTC day; 0: 20000"`
	PerInviterDay uint `env:"INVITATIONS_PER_INVITER_PER_DAY" usage:"how many invitations a person may send in a UTC day, in all organizations together; 0: 10000"`
}

// Run runs the service until ctx ends.
func Run(ctx context.Context, c Config) error {
	base, err := role.Start(ctx, "invitation", c.Config)
	if err != nil {
		return err
	}
	defer base.Close()
	membership, err := base.Dial("membership")
	if err != nil {
		return err
	}
	identity, err := base.Dial("identity")
	if err != nil {
		return err
	}
	billing, err := base.Dial("billing")
	if err != nil {
		return err
	}
	service := New(Dependencies{
		DB:        base.DB,
		Chain:     base.Chain(),
		Admission: membershipv1.NewAdmissionServiceClient(membership),
		Accounts:  identityv1.NewAccountDirectoryServiceClient(identity),
		Seats:     billingv1.NewSeatServiceClient(billing),
		Mail:      base.Mail,
		Key:       base.Key,
		PublicURL: c.PublicURL,
		Limits:    Limits{PerOrganization: int(cmp.Or(c.PerDay, 20_000)), PerInviter: int(cmp.Or(c.PerInviterDay, 10_000))},
		Log:       base.Log,
	})
	if err := base.Hear("organizations", []string{"membership", "identity"}, []string{"organization.deleted", "role.deleted", "account.deleted"}, service.Consume); err != nil {
		return err
	}
	return base.Serve(ctx, service)
}
