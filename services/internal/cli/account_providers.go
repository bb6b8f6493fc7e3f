package cli

import (
	"github.com/spf13/cobra"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

func (a *app) accountProvidersCommand() *cobra.Command {
	c := groupOf("providers", "The identity providers that sign you in", a.accountProvidersListCommand(), a.accountProvidersUnlinkCommand())
	c.Long = "The identity providers that sign you in.\n\nOne is linked in a browser, under /security: it sends people back there."
	return c
}

func (a *app) accountProvidersListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List whom identity providers know as you, oldest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect(person)
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Identities.ListFederatedIdentities, &identityv1.ListFederatedIdentitiesRequest{})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				var rows [][]string
				for _, one := range answer.GetFederatedIdentities() {
					rows = append(rows, []string{one.GetProviderId(), one.GetProviderDisplayName(), one.GetSubject(), p.ago(one.GetCreateTime())})
				}
				if len(rows) == 0 {
					p.line("No identity provider signs you in. Link one in a browser, under /security.")
					return
				}
				p.table([]string{"PROVIDER", "NAME", "YOU ARE THERE", "LINKED"}, rows)
			})
		},
	}
}

func (a *app) accountProvidersUnlinkCommand() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "unlink PROVIDER",
		Short: "Sign in with a provider no more; who came with it is signed out",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(person)
			if err != nil {
				return err
			}
			err = a.confirm(cmd.Context(), yes, func() (string, error) {
				return "Unlink " + args[0] + "? Whoever is signed in with it is signed out.", nil
			})
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Identities.UnlinkProvider, &identityv1.UnlinkProviderRequest{ProviderId: args[0]})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { p.line("%s does not sign you in any more.", args[0]) })
		},
	}
	yesFlag(c, &yes)
	return c
}
