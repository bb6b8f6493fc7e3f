package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rosterhq/roster/pkg/client"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

func (a *app) mfaCommand() *cobra.Command {
	return groupOf("mfa", "What signing in asks for beside your password",
		a.mfaStatusCommand(), a.mfaEnableCommand(), a.mfaRenameCommand(), a.mfaDisableCommand(), a.mfaRecoveryCodesCommand())
}

func (a *app) mfaStatusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "List your second factors",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect(person)
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Factors.ListFactors, &identityv1.ListFactorsRequest{})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				if len(answer.GetFactors()) == 0 {
					p.line("Signing in takes your password alone. To ask for a code, too: roster mfa enable")
					return
				}
				var rows [][]string
				for _, f := range answer.GetFactors() {
					rows = append(rows, []string{f.GetId(), strings.TrimPrefix(f.GetMethod().String(), "FACTOR_METHOD_"), f.GetDisplayName(), p.ago(f.GetCreateTime())})
				}
				p.table([]string{"ID", "METHOD", "NAME", "SET UP"}, rows)
				p.line("Recovery codes left: %d", answer.GetRecoveryCodesLeft())
			})
		},
	}
}

func (a *app) mfaRenameCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rename FACTOR NAME",
		Short: "Change what you call a second factor",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(person)
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Factors.RenameFactor, &identityv1.RenameFactorRequest{FactorId: args[0], DisplayName: args[1]})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				p.line("%s is called %q from now on.", answer.GetFactor().GetId(), answer.GetFactor().GetDisplayName())
			})
		},
	}
}

func (a *app) mfaEnableCommand() *cobra.Command {
	var name string
	c := &cobra.Command{
		Use:   "enable",
		Short: "Set up an authenticator app; signing in asks for its code from then on",
		Long: `Set up an authenticator app; signing in asks for its code from then on.

A passkey is set up in a browser, with POST /v1/me/passkeys: it belongs to the page that asks for it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			if !a.Interactive {
				return usageError{"this shows a secret and asks for a code, and there is no terminal to ask on"}
			}
			c, err := a.connect(person)
			if err != nil {
				return err
			}
			begun, err := call(ctx, a, c.Factors.BeginTotp, &identityv1.BeginTotpRequest{DisplayName: name})
			if err != nil {
				return err
			}
			fmt.Fprintf(a.Err, "Type this into your authenticator app: %s\nOr make a QR code of: %s\n", begun.GetSecret(), begun.GetUri())
			code, err := a.ask(ctx, "", "CODE", "The code that it shows")
			if err != nil {
				return err
			}
			answer, err := call(ctx, a, c.Factors.ConfirmTotp, &identityv1.ConfirmTotpRequest{FactorId: begun.GetFactorId(), Code: code})
			if err != nil {
				return err
			}
			if err := a.keepSession(answer.GetSession(), answer.GetToken()); err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				p.line("Signing in asks for a code of %q from now on.", answer.GetFactor().GetDisplayName())
				showRecoveryCodes(p, answer.GetRecoveryCodes())
			})
		},
	}
	c.Flags().StringVar(&name, "name", "", "what you call the app, such as \"Phone\"")
	return c
}

func showRecoveryCodes(p *page, codes []string) {
	if len(codes) == 0 {
		return
	}
	p.line("")
	p.line("Without the app at hand, one of these signs you in, each once. They are shown this once; keep them in a safe place.")
	for _, code := range codes {
		p.line("  %s", code)
	}
}

func (a *app) mfaDisableCommand() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "disable [FACTOR]",
		Short: "Take a second factor away; FACTOR says which, where there are several",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			c, err := a.connect(person)
			if err != nil {
				return err
			}
			key := optional(args)
			if key == "" {
				if key, err = a.onlyFactor(ctx, c); err != nil {
					return err
				}
			}
			err = a.confirm(ctx, yes, func() (string, error) { return "Sign in without this factor from now on?", nil })
			if err != nil {
				return err
			}
			answer, err := call(ctx, a, c.Factors.RemoveFactor, &identityv1.RemoveFactorRequest{FactorId: key})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { p.line("Signing in does not ask for %s any more.", key) })
		},
	}
	yesFlag(c, &yes)
	return c
}

// onlyFactor is the id of the one second factor that there is.
func (a *app) onlyFactor(ctx context.Context, c *client.Client) (string, error) {
	answer, err := call(ctx, a, c.Factors.ListFactors, &identityv1.ListFactorsRequest{})
	if err != nil {
		return "", err
	}
	if len(answer.GetFactors()) != 1 {
		return "", usageError{fmt.Sprintf("you have %d second factors: say which, as 'roster mfa status' lists them", len(answer.GetFactors()))}
	}
	return answer.GetFactors()[0].GetId(), nil
}

func (a *app) mfaRecoveryCodesCommand() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "recovery-codes",
		Short: "Make ten new recovery codes; the old ones work no more",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			c, err := a.connect(person)
			if err != nil {
				return err
			}
			err = a.confirm(ctx, yes, func() (string, error) { return "Replace your recovery codes? The old ones work no more.", nil })
			if err != nil {
				return err
			}
			answer, err := call(ctx, a, c.Factors.RegenerateRecoveryCodes, &identityv1.RegenerateRecoveryCodesRequest{})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { showRecoveryCodes(p, answer.GetRecoveryCodes()) })
		},
	}
	yesFlag(c, &yes)
	return c
}
