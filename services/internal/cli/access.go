package cli

import (
	"cmp"
	"strconv"

	"github.com/spf13/cobra"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

func (a *app) accessCommand() *cobra.Command {
	return groupOf("access", "Who may do what", a.accessCheckCommand())
}

func (a *app) accessCheckCommand() *cobra.Command {
	var account string
	c := &cobra.Command{
		Use:   "check PERMISSION",
		Short: "Tell whether an account may do something; exit code 4 when not",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Access.CheckAccess,
				&membershipv1.CheckAccessRequest{OrganizationId: org, AccountId: account, Permission: args[0]})
			if err != nil {
				return err
			}
			err = a.show(answer, func(p *page) {
				p.fields(
					"Allowed", yesNo(answer.GetAllowed()),
					"Why", word(answer.GetDecision()),
					"Account", cmp.Or(account, "yours"),
					"Permission", args[0],
					"Revision", strconv.FormatInt(answer.GetRevision(), 10),
				)
			})
			if err == nil && !answer.GetAllowed() {
				return errDenied
			}
			return err
		},
	}
	c.Flags().StringVar(&account, "account", "", "whose access (default your own)")
	return c
}
