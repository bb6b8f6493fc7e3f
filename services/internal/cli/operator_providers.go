package cli

import (
	"github.com/spf13/cobra"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

func (a *app) operatorProvidersCommand() *cobra.Command {
	return groupOf("providers", "The identity providers that anybody may sign in with (OpenID Connect)",
		a.operatorProvidersCreateCommand(), a.operatorProvidersListCommand(), a.operatorProvidersUpdateCommand(), a.operatorProvidersDeleteCommand())
}

func providerFields(p *page, one *identityv1.IdentityProvider) {
	state := "disabled"
	if one.GetEnabled() {
		state = "enabled"
	}
	p.fields("ID", one.GetId(), "Name", one.GetDisplayName(), "Issuer", one.GetIssuer(), "Client", one.GetClientId(),
		"State", state, "Redirect URI", one.GetRedirectUri())
}

func (a *app) operatorProvidersCreateCommand() *cobra.Command {
	request := &identityv1.CreateOperatorProviderRequest{}
	var stdin bool
	c := &cobra.Command{
		Use:   "create NAME --issuer URL --client CLIENT",
		Short: "Add a provider; its word on addresses is believed",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			request.DisplayName = args[0]
			if request.GetIssuer() == "" || request.GetClientId() == "" {
				return usageError{"--issuer and --client are needed: who signs what the provider says, and who we are there"}
			}
			if stdin {
				if request.ClientSecret, err = a.password(cmd.Context(), true, false); err != nil {
					return err
				}
			}
			c, err := a.connect(operator)
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Federation.CreateOperatorProvider, request)
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				providerFields(p, answer.GetProvider())
				p.line("\nRegister the redirect URI at the provider. It is this provider's alone.")
			})
		},
	}
	c.Flags().StringVar(&request.Issuer, "issuer", "", "its issuer, such as https://accounts.example.com")
	c.Flags().StringVar(&request.ClientId, "client", "", "who we are there")
	c.Flags().BoolVar(&request.Disabled, "disabled", false, "nobody can sign in with it yet")
	c.Flags().BoolVar(&stdin, "secret-stdin", false, "read our secret there from the first line of standard input")
	return c
}

func (a *app) operatorProvidersListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the providers, oldest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect(operator)
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Federation.ListOperatorProviders, &identityv1.ListOperatorProvidersRequest{})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				if len(answer.GetProviders()) == 0 {
					p.line("No identity providers. Add one: roster operator providers create NAME --issuer URL --client CLIENT")
				}
				for _, one := range answer.GetProviders() {
					providerFields(p, one)
					p.line("")
				}
			})
		},
	}
}

func (a *app) operatorProvidersUpdateCommand() *cobra.Command {
	var name, client string
	var stdin, enable, disable bool
	c := &cobra.Command{
		Use:   "update PROVIDER",
		Short: "Change a provider; what is not given stays",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			request := &identityv1.UpdateOperatorProviderRequest{ProviderId: args[0]}
			if cmd.Flags().Changed("name") {
				request.DisplayName = &name
			}
			if cmd.Flags().Changed("client") {
				request.ClientId = &client
			}
			if enable || disable {
				request.Enabled = &enable
			}
			if stdin {
				secret, err := a.password(cmd.Context(), true, false)
				if err != nil {
					return err
				}
				request.ClientSecret = &secret
			}
			c, err := a.connect(operator)
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Federation.UpdateOperatorProvider, request)
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { providerFields(p, answer.GetProvider()) })
		},
	}
	c.Flags().StringVar(&name, "name", "", "name on the button")
	c.Flags().StringVar(&client, "client", "", "who we are there")
	c.Flags().BoolVar(&enable, "enable", false, "people can sign in with it")
	c.Flags().BoolVar(&disable, "disable", false, "nobody can")
	c.MarkFlagsMutuallyExclusive("enable", "disable")
	c.Flags().BoolVar(&stdin, "secret-stdin", false, "read our secret there from the first line of standard input")
	return c
}

func (a *app) operatorProvidersDeleteCommand() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "delete PROVIDER",
		Short: "Take a provider away, with the links of accounts to it",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := a.confirm(cmd.Context(), yes, func() (string, error) {
				return "Delete " + args[0] + "? Who has no password has to set one by mail.", nil
			})
			if err != nil {
				return err
			}
			c, err := a.connect(operator)
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Federation.DeleteOperatorProvider, &identityv1.DeleteOperatorProviderRequest{ProviderId: args[0]})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { p.line("%s is gone.", args[0]) })
		},
	}
	yesFlag(c, &yes)
	return c
}
