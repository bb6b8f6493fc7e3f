package cli

import (
	"github.com/spf13/cobra"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

func (a *app) memberCreateCommand() *cobra.Command {
	request := &membershipv1.CreateMemberRequest{}
	c := &cobra.Command{
		Use:   "create EMAIL",
		Short: "Make somebody a member at once, with an account if they have none",
		Long: `Make somebody a member at once, without asking them, where the organization's policy allows it. For an address without an account one is
made, with a temporary password that is shown once, here, and opens nothing but the choice of the next one. Who has an account keeps it as it is, and
is told by mail.`,
		Example: "  roster member create grace@example.com --name 'Grace Hopper' --role member",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if request.DisplayName == "" {
				return usageError{"give the name, with --name"}
			}
			org, c, err := a.within()
			if err != nil {
				return err
			}
			request.OrganizationId, request.Email = org, args[0]
			answer, err := call(cmd.Context(), a, c.Members.CreateMember, request)
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				p.line("%s is now a member, as %s.", called(answer.GetMember()), answer.GetMember().GetRole())
				if answer.GetTemporaryPassword() == "" {
					p.line("They had an account, and sign in as before. A mail tells them.")
					return
				}
				p.line("Temporary password, shown only now: %s", answer.GetTemporaryPassword())
				p.line("It works until %s, to choose another.", p.at(answer.GetExpireTime()))
			})
		},
	}
	c.Flags().StringVar(&request.DisplayName, "name", "", "name as shown; who has an account keeps theirs")
	c.Flags().StringVar(&request.Role, "role", "", "key of the role; default: the policy's default_invite_role")
	return c
}
