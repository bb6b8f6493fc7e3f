package cli

import (
	"github.com/spf13/cobra"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

func (a *app) accountDeleteCommand() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "delete",
		Short: "Delete your account, your memberships and all that is personal about you, for good",
		Long: `Delete your account, your memberships and all that is personal about you, for good.

You are signed out everywhere at once. Nobody can take it back: write down before what you want to keep (roster account export).`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			c, err := a.connect(person)
			if err != nil {
				return err
			}
			if _, err := call(ctx, a, c.Accounts.DeleteMe, &identityv1.DeleteMeRequest{ValidateOnly: true}); err != nil {
				return err
			}
			err = a.confirm(ctx, yes, func() (string, error) {
				me, err := call(ctx, a, c.Accounts.GetMe, &identityv1.GetMeRequest{})
				return "Delete the account of " + me.GetAccount().GetDisplayName() + " (" + me.GetAccount().GetId() +
					") and all that is personal about it, for ever? What you want to keep, roster account export writes.", err
			})
			if err != nil {
				return err
			}
			answer, err := call(ctx, a, c.Accounts.DeleteMe, &identityv1.DeleteMeRequest{})
			if err != nil {
				return err
			}
			if a.setting(a.token, "ROSTER_TOKEN") == "" {
				if err := a.keep(func(s *keptServer) { s.Session = nil }); err != nil {
					return err
				}
			}
			return a.show(answer, func(p *page) {
				if answer.GetDeleted() {
					p.line("Your account is deleted.")
				} else {
					p.line("You are signed out, and your account will be deleted within a minute. A mail says when it is done.")
				}
			})
		},
	}
	yesFlag(c, &yes)
	return c
}
