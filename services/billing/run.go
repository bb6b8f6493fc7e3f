package billing

import (
	"context"

	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/role"
)

// Run runs the service until ctx ends.
func Run(ctx context.Context, c role.Config) error {
	base, err := role.Start(ctx, "billing", c)
	if err != nil {
		return err
	}
	defer base.Close()
	membership, err := base.Dial("membership")
	if err != nil {
		return err
	}
	invitation, err := base.Dial("invitation")
	if err != nil {
		return err
	}
	service := New(Dependencies{
		DB:     base.DB,
		Chain:  base.Chain(),
		Access: membershipv1.NewAccessServiceClient(membership),
		Owners: map[billingv1.OwnerKind]billingv1.SeatOwnerServiceClient{
			billingv1.OwnerKind_OWNER_KIND_INVITATION: billingv1.NewSeatOwnerServiceClient(invitation),
			billingv1.OwnerKind_OWNER_KIND_MEMBER:     billingv1.NewSeatOwnerServiceClient(membership),
		},
		Log: base.Log,
	})
	if err := base.Hear("organizations", []string{"membership"}, []string{"organization.deleted"}, service.OrganizationDeleted); err != nil {
		return err
	}
	return base.Serve(ctx, service)
}
