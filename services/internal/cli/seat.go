package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
)

func (a *app) seatsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "seats",
		Short: "Show how many seats are used",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.SeatUsage.GetSeatUsage, &billingv1.GetSeatUsageRequest{OrganizationId: org})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { usageFields(p, answer.GetUsage()) })
		},
	}
}

func usageFields(p *page, u *billingv1.SeatUsage) {
	used := fmt.Sprintf("%d, without a limit", u.GetUsed())
	if u != nil && u.Total != nil {
		used = fmt.Sprintf("%d of %d", u.GetUsed(), u.GetTotal())
	}
	free := ""
	if u != nil && u.Available != nil {
		free = fmt.Sprint(u.GetAvailable())
	}
	p.fields(
		"Seats used", used,
		"By members", fmt.Sprint(u.GetOccupied()),
		"By invitations", fmt.Sprint(u.GetReserved()),
		"Free", free,
	)
	switch u.GetState() {
	case billingv1.SeatUsage_STATE_AT:
		p.line("\nNo seat is free. Disable or remove a member, revoke an invitation, or have the limit raised.")
	case billingv1.SeatUsage_STATE_OVER:
		p.line("\nMore seats are used than the limit allows. Nobody is removed, but nobody can be added.")
	}
}
