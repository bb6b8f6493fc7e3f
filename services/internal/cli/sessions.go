package cli

import (
	"strings"

	"github.com/spf13/cobra"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

func (a *app) sessionsCommand() *cobra.Command {
	return groupOf("sessions", "Where you are signed in", a.sessionsListCommand(), a.sessionsRevokeCommand(), a.sessionsRevokeOthersCommand())
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

func (a *app) sessionsRevokeOthersCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke-others",
		Short: "End all your sessions but this one",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect(person)
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Sessions.SignOutOthers, &identityv1.SignOutOthersRequest{})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { p.line("Sessions that have ended: %d.", answer.GetEnded()) })
		},
	}
}

func (a *app) loginActivityCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "login-activity",
		Short: "What was tried with your account, newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect(person)
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Sessions.ListMyLoginActivity, &identityv1.ListMyLoginActivityRequest{})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { p.activity(answer.GetActivity(), "Nothing was tried with your account in 90 days.") })
		},
	}
}

// activity shows what was tried with an account.
func (p *page) activity(found []*identityv1.LoginActivity, none string) {
	words := func(value, prefix string) string {
		return strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(value, prefix), "_", " "))
	}
	var rows [][]string
	for _, one := range found {
		result := "ok"
		if !one.GetSuccess() {
			result = words(one.GetFailure().String(), "LOGIN_FAILURE_")
		}
		rows = append(rows, []string{p.ago(one.GetTime()), words(one.GetAction().String(), "LOGIN_ACTION_"), result, one.GetAddress(), one.GetDevice()})
	}
	if len(rows) == 0 {
		p.line("%s", none)
		return
	}
	p.table([]string{"WHEN", "ACTION", "RESULT", "ADDRESS", "CLIENT"}, rows)
}
