package membership

import (
	"context"

	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/role"
)

// Run runs the service until ctx ends.
func Run(ctx context.Context, c role.Config) error {
	base, err := role.Start(ctx, "membership", c)
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
	service := New(Dependencies{
		DB:        base.DB,
		Seats:     billingv1.NewSeatServiceClient(billing),
		Accounts:  identityv1.NewAccountDirectoryServiceClient(identity),
		Mail:      base.Mail,
		PageKey:   base.Key.Derive("page"),
		PublicURL: c.PublicURL,
		Log:       base.Log,
	})
	if err := base.Hear("people", []string{"invitation", "identity"}, nil, service.Consume); err != nil {
		return err
	}
	return base.Serve(ctx, service)
}
