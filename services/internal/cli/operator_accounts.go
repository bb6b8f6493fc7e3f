package cli

import (
	"github.com/spf13/cobra"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

func (a *app) operatorAccountsCommand() *cobra.Command {
	return groupOf("accounts", "People's accounts", a.operatorAccountsDeleteCommand())
}

func (a *app) operatorAccountsDeleteCommand() *cobra.Command {
	request := &identityv1.DeleteAccountRequest{}
	var yes bool
	c := &cobra.Command{
		Use:   "delete ACCOUNT --reason REASON",
		Short: "Delete somebody's account and all that is personal about them, for good",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if request.GetReason() == "" {
				return usageError{"--reason is missing: why, for the record, which stays: nothing personal"}
			}
			ctx := cmd.Context()
			c, err := a.connect(operator)
			if err != nil {
				return err
			}
			request.AccountId = args[0]
			ask := &identityv1.DeleteAccountRequest{AccountId: args[0], Reason: request.GetReason(), ValidateOnly: true}
			if _, err := call(ctx, a, c.Operators.DeleteAccount, ask); err != nil {
				return err
			}
			err = a.confirm(ctx, yes, func() (string, error) {
				return "Delete the account " + args[0] + " and all that is personal about it, for ever? Nobody can take that back.", nil
			})
			if err != nil {
				return err
			}
			answer, err := call(ctx, a, c.Operators.DeleteAccount, request)
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				if answer.GetDeleted() {
					p.line("%s is deleted.", args[0])
				} else {
					p.line("%s is signed out, and will be deleted within a minute.", args[0])
				}
			})
		},
	}
	c.Flags().StringVar(&request.Reason, "reason", "", "why, for the record; nothing personal")
	yesFlag(c, &yes)
	return c
}
