package cli

import (
	"github.com/spf13/cobra"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

func (a *app) emailCommand() *cobra.Command {
	return groupOf("email", "Your addresses", a.emailListCommand(), a.emailAddCommand(), a.emailPrimaryCommand(), a.emailRemoveCommand())
}

func (a *app) emailListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List your addresses, the primary one first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect(person)
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Emails.ListEmails, &identityv1.ListEmailsRequest{})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				var rows [][]string
				for _, e := range answer.GetEmails() {
					state := "verified"
					switch {
					case e.GetExpireTime() != nil:
						state = "check your mail"
					case !e.GetVerified():
						state = "not verified"
					}
					primary := ""
					if e.GetPrimary() {
						primary = "primary"
					}
					rows = append(rows, []string{e.GetEmail(), state, primary})
				}
				if len(rows) == 0 {
					p.line("You have no address. Add one: roster email add EMAIL")
					return
				}
				p.table([]string{"EMAIL", "STATE", "PRIMARY"}, rows)
			})
		},
	}
}

func (a *app) emailAddCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "add EMAIL",
		Short: "Add an address to sign in with; a mail brings the token for 'roster verify'",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(person)
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Emails.AddEmail, &identityv1.AddEmailRequest{Email: args[0]})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { p.line("Check your mail at %s. Then: roster verify TOKEN", args[0]) })
		},
	}
}

func (a *app) emailPrimaryCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "primary EMAIL",
		Short: "Make one of your verified addresses the primary one; your other sessions end",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(person)
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Emails.SetPrimaryEmail, &identityv1.SetPrimaryEmailRequest{Email: args[0]})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { p.line("Your primary address is %s.", answer.GetAccount().GetEmail()) })
		},
	}
}

func (a *app) emailRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "remove EMAIL",
		Short: "Take an address away, or the wait for its proof",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(person)
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Emails.RemoveEmail, &identityv1.RemoveEmailRequest{Email: args[0]})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { p.line("%s is not an address of yours any more.", args[0]) })
		},
	}
}
