package cli

import (
	"github.com/spf13/cobra"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

func (a *app) sessionsCommand() *cobra.Command {
	return groupOf("sessions", "Where you are signed in", a.sessionsListCommand(), a.sessionsRevokeCommand())
}

func (a *app) sessionsListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List your sessions, newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect(person)
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Sessions.ListSessions, &identityv1.ListSessionsRequest{})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				var rows [][]string
				for _, s := range answer.GetSessions() {
					current := ""
					if s.GetCurrent() {
						current = "this one"
					}
					rows = append(rows, []string{s.GetId(), p.ago(s.GetCreateTime()), p.ago(s.GetLastUseTime()), p.ago(s.GetExpireTime()), current, s.GetUserAgent()})
				}
				if len(rows) == 0 {
					p.line("No sessions. Sign in: roster login")
					return
				}
				p.table([]string{"ID", "BEGAN", "LAST USED", "ENDS", "CURRENT", "CLIENT"}, rows)
			})
		},
	}
}

func (a *app) sessionsRevokeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke SESSION",
		Short: "End one of your sessions",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(person)
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Sessions.DeleteSession, &identityv1.DeleteSessionRequest{SessionId: args[0]})
			if err != nil {
				return err
			}
			if err := a.forgetSession(args[0]); err != nil {
				return err
			}
			return a.show(answer, func(p *page) { p.line("Session %s has ended.", args[0]) })
		},
	}
}
