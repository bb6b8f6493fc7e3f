package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rosterhq/roster/services/billing"
	"github.com/rosterhq/roster/services/gateway"
	"github.com/rosterhq/roster/services/identity"
	"github.com/rosterhq/roster/services/internal/config"
	"github.com/rosterhq/roster/services/internal/role"
	"github.com/rosterhq/roster/services/invitation"
	"github.com/rosterhq/roster/services/membership"
)

// settings is what a role reads before it runs.
type settings interface {
	Check() error
	run(context.Context) error
}

type (
	membershipSettings struct{ membership.Config }
	invitationSettings struct{ invitation.Config }
	billingSettings    struct{ role.Config }
	identitySettings   struct{ identity.Config }
	gatewaySettings    struct{ gateway.Config }
)

func (s *membershipSettings) run(ctx context.Context) error { return membership.Run(ctx, s.Config) }
func (s *invitationSettings) run(ctx context.Context) error { return invitation.Run(ctx, s.Config) }
func (s *billingSettings) run(ctx context.Context) error    { return billing.Run(ctx, s.Config) }
func (s *gatewaySettings) run(ctx context.Context) error    { return gateway.Run(ctx, s.Config) }
func (s *identitySettings) run(ctx context.Context) error {
	s.Claim = func(token string) {
		fmt.Printf("This deployment has no operator yet. Once, and within a day of the first time that you read this: roster operator claim %s\n", token)
	}
	return identity.Run(ctx, s.Config)
}

// roles are what rosterd can be.
var roles = []roleCommand{
	{"membership", "organizations, members, roles, access", func() settings { return &membershipSettings{} }},
	{"invitation", "invitations and their mail", func() settings { return &invitationSettings{} }},
	{"identity", "accounts, sessions, credentials", func() settings { return &identitySettings{} }},
	{"billing", "seats", func() settings { return &billingSettings{} }},
	{"gateway", "the REST edge and its pages", func() settings { return &gatewaySettings{} }},
}

type roleCommand struct {
	name, owns string
	make       func() settings
}

func (r roleCommand) command() *cobra.Command {
	s := r.make()
	cmd := &cobra.Command{Use: r.name, Short: "Run the role " + r.name + ": " + r.owns, Args: cobra.NoArgs}
	loader := config.Bind(cmd.Flags(), s)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := load(loader, s); err != nil {
			return err
		}
		return s.run(cmd.Context())
	}
	return cmd
}

// load reads the settings, and says all that is wrong with them, one thing a line.
func load(loader *config.Loader, s settings) error {
	if err := loader.Load(); err != nil {
		return err
	}
	if err := s.Check(); err != nil {
		return fmt.Errorf("settings:\n  %s", strings.ReplaceAll(err.Error(), "\n", "\n  "))
	}
	return nil
}

// configCommand checks a role's settings without running it.
func configCommand() *cobra.Command {
	parent := &cobra.Command{Use: "config", Short: "Look at settings"}
	check := &cobra.Command{Use: "check", Short: "Say what is wrong with the settings of a role"}
	for _, r := range roles {
		s := r.make()
		cmd := &cobra.Command{Use: r.name, Short: "Check the settings of " + r.name, Args: cobra.NoArgs}
		loader := config.Bind(cmd.Flags(), s)
		cmd.RunE = func(cmd *cobra.Command, _ []string) error {
			if err := load(loader, s); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "The settings of %s are good.\n", r.name)
			return nil
		}
		check.AddCommand(cmd)
	}
	parent.AddCommand(check)
	return parent
}
