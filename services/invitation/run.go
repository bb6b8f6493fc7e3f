package invitation

import (
	"context"

	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/role"
)

// Run runs the service until ctx ends.
func Run(ctx context.Context, c role.Config) error {
	base, err := role.Start(ctx, "invitation", c)
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
		Admission: membershipv1.NewAdmissionServiceClient(membership),
		Accounts:  identityv1.NewAccountDirectoryServiceClient(identity),
		Seats:     billingv1.NewSeatServiceClient(billing),
		Mail:      base.Mail,
		Key:       base.Key,
		PublicURL: c.PublicURL,
		Log:       base.Log,
	})
	if err := base.Hear("organizations", []string{"membership"}, []string{"organization.deleted"}, service.OrganizationDeleted); err != nil {
		return err
	}
	return base.Serve(ctx, service)
}
