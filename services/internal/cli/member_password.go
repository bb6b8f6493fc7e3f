package cli

import (
	"github.com/spf13/cobra"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

var resetMethods = map[string]membershipv1.OrganizationPolicy_Reset{
	"":              membershipv1.OrganizationPolicy_RESET_UNSPECIFIED,
	"link":          membershipv1.OrganizationPolicy_RESET_LINK,
	"temp-password": membershipv1.OrganizationPolicy_RESET_TEMP_PASSWORD,
}

func (a *app) memberResetPasswordCommand() *cobra.Command {
	var method string
	c := &cobra.Command{
		Use:   "reset-password ACCOUNT",
		Short: "Reset a member's password, as the organization's policy says",
		Long: `Reset a member's password, as the organization's policy says: with a link that is mailed to the member, or with a temporary
password that is shown once, here, and opens nothing but the choice of the next one. A temporary password is for accounts that the
organization manages, and asks for a proof of who you are that is not older than ten minutes: roster reauth.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			wanted, ok := resetMethods[method]
			if !ok {
				return usageError{"--method is link or temp-password"}
			}
			org, account, c, err := a.member(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Members.ResetMemberPassword,
				&membershipv1.ResetMemberPasswordRequest{OrganizationId: org, AccountId: account, Method: wanted})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				switch {
				case answer.GetTemporaryPassword() != "":
					p.line("Temporary password, shown only now: %s", answer.GetTemporaryPassword())
					p.line("It works until %s. All sessions of the member have ended.", p.at(answer.GetExpireTime()))
				case answer.GetResetUrl() != "":
					p.line("The member has no proven address. Hand over this link, shown only now: %s", answer.GetResetUrl())
					p.line("It works until %s.", p.at(answer.GetExpireTime()))
				default:
					p.line("A link is on its way to the member. It works until %s.", p.at(answer.GetExpireTime()))
				}
			})
		},
	}
	c.Flags().StringVar(&method, "method", "", "link or temp-password; default: as the policy says")
	return c
}
