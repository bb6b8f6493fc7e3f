package cli

import (
	"context"
	"os"
	"strings"

	"github.com/spf13/cobra"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

func (a *app) ssoCommand() *cobra.Command {
	return groupOf("sso", "The organization's own identity providers (OpenID Connect)",
		a.ssoCreateCommand(), a.ssoListCommand(), a.ssoUpdateCommand(), a.ssoDeleteCommand())
}

// secretFlags are where a client secret is read from: never from an argument, which other users of the machine see.
type secretFlags struct {
	stdin bool
	file  string
}

func (f *secretFlags) add(c *cobra.Command) {
	c.Flags().BoolVar(&f.stdin, "secret-stdin", false, "read our secret there from the first line of standard input")
	c.Flags().StringVar(&f.file, "secret-file", "", "read our secret there from the first line of a file")
	c.MarkFlagsMutuallyExclusive("secret-stdin", "secret-file")
}

// read returns the secret; empty: none was given.
func (f *secretFlags) read(ctx context.Context, a *app) (string, error) {
	if f.stdin {
		return a.password(ctx, true, false)
	}
	if f.file == "" {
		return "", nil
	}
	text, err := os.ReadFile(f.file)
	if err != nil {
		return "", usageError{err.Error()}
	}
	line, _, _ := strings.Cut(string(text), "\n")
	if line = strings.TrimSuffix(line, "\r"); line == "" {
		return "", usageError{f.file + " holds no secret"}
	}
	return line, nil
}

func ssoFields(p *page, one *membershipv1.OrganizationProvider) {
	state, join, secret := "disabled", "nobody joins by it", "none"
	if one.GetEnabled() {
		state = "enabled"
	}
	if one.GetJoin() {
		join = "who signs in becomes a member"
	}
	if one.GetClientSecretSet() {
		secret = "set"
	}
	p.fields("ID", one.GetId(), "Name", one.GetDisplayName(), "Issuer", one.GetIssuer(), "Client", one.GetClientId(), "Secret", secret,
		"State", state, "Join", join, "Redirect URI", one.GetRedirectUri())
}

func (a *app) ssoCreateCommand() *cobra.Command {
	request := &membershipv1.CreateIdentityProviderRequest{}
	var secret secretFlags
	c := &cobra.Command{
		Use:   "create NAME --issuer URL --client CLIENT",
		Short: "Add a provider; its word counts for addresses on the organization's verified domains",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			request.DisplayName = args[0]
			if request.GetIssuer() == "" || request.GetClientId() == "" {
				return usageError{"--issuer and --client are needed: who signs what the provider says, and who we are there"}
			}
			if request.ClientSecret, err = secret.read(cmd.Context(), a); err != nil {
				return err
			}
			org, c, err := a.within()
			if err != nil {
				return err
			}
			request.OrganizationId = org
			answer, err := call(cmd.Context(), a, c.SSO.CreateIdentityProvider, request)
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				ssoFields(p, answer.GetProvider())
				p.line("\nRegister the redirect URI at the provider. It is this provider's alone.")
			})
		},
	}
	c.Flags().StringVar(&request.Issuer, "issuer", "", "its issuer, such as https://login.works.example")
	c.Flags().StringVar(&request.ClientId, "client", "", "who we are there")
	c.Flags().BoolVar(&request.Disabled, "disabled", false, "nobody can sign in with it yet")
	c.Flags().BoolVar(&request.Join, "join", false, "who signs in with it becomes a member")
	secret.add(c)
	return c
}

func (a *app) ssoListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the providers, oldest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.SSO.ListIdentityProviders, &membershipv1.ListIdentityProvidersRequest{OrganizationId: org})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				if len(answer.GetProviders()) == 0 {
					p.line("No identity providers. Add one: roster sso create NAME --issuer URL --client CLIENT")
				}
				for _, one := range answer.GetProviders() {
					ssoFields(p, one)
					p.line("")
				}
			})
		},
	}
}

func (a *app) ssoUpdateCommand() *cobra.Command {
	var name, client string
	var enable, disable, join, without bool
	var secret secretFlags
	c := &cobra.Command{
		Use:   "update PROVIDER",
		Short: "Change a provider; what is not given stays. Disabling it signs out who came with it",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			request := &membershipv1.UpdateIdentityProviderRequest{ProviderId: args[0]}
			if cmd.Flags().Changed("name") {
				request.DisplayName = &name
			}
			if cmd.Flags().Changed("client") {
				request.ClientId = &client
			}
			if cmd.Flags().Changed("join") {
				request.Join = &join
			}
			if enable || disable {
				request.Enabled = &enable
			}
			text, err := secret.read(cmd.Context(), a)
			if err != nil {
				return err
			}
			if text != "" || without {
				request.ClientSecret = &text
			}
			org, c, err := a.within()
			if err != nil {
				return err
			}
			request.OrganizationId = org
			answer, err := call(cmd.Context(), a, c.SSO.UpdateIdentityProvider, request)
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { ssoFields(p, answer.GetProvider()) })
		},
	}
	c.Flags().StringVar(&name, "name", "", "name on the button")
	c.Flags().StringVar(&client, "client", "", "who we are there")
	c.Flags().BoolVar(&join, "join", false, "who signs in with it becomes a member; --join=false ends that")
	c.Flags().BoolVar(&enable, "enable", false, "people can sign in with it")
	c.Flags().BoolVar(&disable, "disable", false, "nobody can, and who came with it is signed out")
	c.MarkFlagsMutuallyExclusive("enable", "disable")
	secret.add(c)
	c.Flags().BoolVar(&without, "no-secret", false, "we have no secret there any more")
	c.MarkFlagsMutuallyExclusive("no-secret", "secret-stdin")
	c.MarkFlagsMutuallyExclusive("no-secret", "secret-file")
	return c
}

func (a *app) ssoDeleteCommand() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "delete PROVIDER",
		Short: "Take a provider away, with the links of accounts to it; members stay",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			err = a.confirm(cmd.Context(), yes, func() (string, error) {
				return "Delete " + args[0] + "? Who came with it is signed out, and who has no password has to set one by mail.", nil
			})
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.SSO.DeleteIdentityProvider,
				&membershipv1.DeleteIdentityProviderRequest{OrganizationId: org, ProviderId: args[0]})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { p.line("%s is gone.", args[0]) })
		},
	}
	yesFlag(c, &yes)
	return c
}
