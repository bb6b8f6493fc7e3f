package cli

import (
	"github.com/spf13/cobra"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

func (a *app) passwordCommand() *cobra.Command {
	return groupOf("password", "Change your password, or get another one when it is forgotten",
		a.passwordChangeCommand(), a.passwordForgotCommand(), a.passwordResetCommand())
}

func (a *app) passwordChangeCommand() *cobra.Command {
	var stdin bool
	c := &cobra.Command{
		Use:   "change",
		Short: "Change your password; all your other sessions end",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			c, err := a.connect(person)
			if err != nil {
				return err
			}
			req := &identityv1.ChangePasswordRequest{}
			if !stdin {
				a.note("First the password until now, then the new one, twice.")
			}
			if req.CurrentPassword, err = a.password(ctx, stdin, false); err != nil {
				return err
			}
			if req.Password, err = a.password(ctx, stdin, true); err != nil {
				return err
			}
			answer, err := call(ctx, a, c.Passwords.ChangePassword, req)
			if err != nil {
				return err
			}
			if answer.GetSession() != nil { // the old password was a temporary one
				if err := a.keepSession(answer.GetSession(), answer.GetToken()); err != nil {
					return err
				}
			}
			return a.show(answer, func(p *page) { p.line("Changed. All your other sessions have ended.") })
		},
	}
	c.Flags().BoolVar(&stdin, "password-stdin", false, "read both passwords from standard input, the one until now first, a line each")
	return c
}

func (a *app) passwordForgotCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "forgot [EMAIL | USERNAME]",
		Short: "Have a link mailed that sets another password",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			who, err := a.ask(ctx, optional(args), "EMAIL or USERNAME", "Email or username")
			if err != nil {
				return err
			}
			req := &identityv1.RequestPasswordResetRequest{}
			req.Email, req.Username = emailOrUsername(who)
			c, err := a.connectAsNobody()
			if err != nil {
				return err
			}
			answer, err := call(ctx, a, c.Passwords.RequestPasswordReset, req)
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				p.line("If there is an account, a mail is on its way to its address. Then: roster password reset TOKEN")
			})
		},
	}
}

func (a *app) passwordResetCommand() *cobra.Command {
	var stdin bool
	c := &cobra.Command{
		Use:   "reset TOKEN",
		Short: "Set another password with the token or the link of the mail",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			password, err := a.password(ctx, stdin, true)
			if err != nil {
				return err
			}
			c, err := a.connectAsNobody()
			if err != nil {
				return err
			}
			answer, err := call(ctx, a, c.Passwords.ResetPassword, &identityv1.ResetPasswordRequest{Token: lastSegment(args[0]), Password: password})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { p.line("Changed. Sign in: roster login") })
		},
	}
	passwordFlag(c, &stdin)
	return c
}
