package cli

import (
	"github.com/spf13/cobra"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

func (a *app) transferCommand() *cobra.Command {
	return groupOf("transfer", "Hand an organization over to another owner",
		a.transferOfferCommand(), a.transferShowCommand(), a.transferAcceptCommand(), a.transferDeclineCommand(), a.transferCancelCommand())
}

func transferFields(p *page, t *membershipv1.Transfer) {
	p.fields(
		"From", t.GetOwnerAccountId(),
		"To", t.GetAccountId(),
		"Replaces the owner", yesNo(t.GetReplacesOwner()),
		"Offered", p.at(t.GetOfferTime()),
		"Expires", p.at(t.GetExpireTime()),
	)
}

func (a *app) transferOfferCommand() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "offer ACCOUNT",
		Short: "Offer the ownership to a member, who is told by mail",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			org, c, err := a.within()
			if err != nil {
				return err
			}
			err = a.confirm(ctx, yes, func() (string, error) {
				answer, err := call(ctx, a, c.Members.GetMember, &membershipv1.GetMemberRequest{OrganizationId: org, AccountId: args[0]})
				return "Offer the ownership of " + org + " to " + called(answer.GetMember()) + "?", err
			})
			if err != nil {
				return err
			}
			answer, err := call(ctx, a, c.Ownership.OfferTransfer, &membershipv1.OfferTransferRequest{OrganizationId: org, AccountId: args[0]})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				transferFields(p, answer.GetTransfer())
				p.line("\nTo take it back: roster org transfer cancel")
			})
		},
	}
	yesFlag(c, &yes)
	return c
}

func (a *app) transferShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show",
		Short: "Show the offer of ownership that waits for an answer",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Ownership.GetTransfer, &membershipv1.GetTransferRequest{OrganizationId: org})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { transferFields(p, answer.GetTransfer()) })
		},
	}
}

func (a *app) transferAcceptCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "accept",
		Short: "Become the owner of an organization that is offered to you",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Ownership.AcceptTransfer, &membershipv1.AcceptTransferRequest{OrganizationId: org})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { p.line("You are now %s of %s.", answer.GetMember().GetRole(), org) })
		},
	}
}

func (a *app) transferDeclineCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "decline",
		Short: "Say no to the ownership that is offered to you",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Ownership.DeclineTransfer, &membershipv1.DeclineTransferRequest{OrganizationId: org})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { p.line("Declined. Nothing has changed in %s.", org) })
		},
	}
}

func (a *app) transferCancelCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "cancel",
		Short: "Take the offered ownership back",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Ownership.CancelTransfer, &membershipv1.CancelTransferRequest{OrganizationId: org})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { p.line("The ownership of %s is offered to nobody.", org) })
		},
	}
}

func (a *app) orgStepDownCommand() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "step-down",
		Short: "Be an owner no longer, where there are several",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			org, c, err := a.within()
			if err != nil {
				return err
			}
			err = a.confirm(ctx, yes, func() (string, error) { return "Give up the ownership of " + org + "?", nil })
			if err != nil {
				return err
			}
			answer, err := call(ctx, a, c.Ownership.StepDown, &membershipv1.StepDownRequest{OrganizationId: org})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { p.line("You are now %s of %s.", answer.GetMember().GetRole(), org) })
		},
	}
	yesFlag(c, &yes)
	return c
}
