package cli

import (
	"github.com/spf13/cobra"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

// notManaged is what is said about somebody else's account.
const notManaged = "The organization does not manage this account: how its person signs in is not shown."

func (a *app) memberLoginActivityCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "login-activity ACCOUNT",
		Short: "What was tried with a member's account, newest first",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, account, c, err := a.member(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.MemberSessions.ListMemberLoginActivity, &membershipv1.ListMemberLoginActivityRequest{OrganizationId: org, AccountId: account})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				none := "Nothing was tried with this account in 90 days."
				if !answer.GetManaged() {
					none = notManaged
				}
				p.activity(answer.GetActivity(), none)
			})
		},
	}
}

func (a *app) memberSessionsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "sessions ACCOUNT",
		Short: "Where a member is signed in, newest first",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, account, c, err := a.member(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.MemberSessions.ListMemberSessions, &membershipv1.ListMemberSessionsRequest{OrganizationId: org, AccountId: account})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				var rows [][]string
				for _, s := range answer.GetSessions() {
					rows = append(rows, []string{p.ago(s.GetCreateTime()), p.ago(s.GetLastUseTime()), p.ago(s.GetExpireTime()), s.GetAddress(), s.GetDevice()})
				}
				switch {
				case !answer.GetManaged():
					p.line("%s", notManaged)
				case len(rows) == 0:
					p.line("They are signed in nowhere.")
				default:
					p.table([]string{"BEGAN", "LAST USED", "ENDS", "ADDRESS", "CLIENT"}, rows)
				}
			})
		},
	}
}

func (a *app) memberRevokeSessionsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke-sessions ACCOUNT",
		Short: "Sign a member out everywhere",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, account, c, err := a.member(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.MemberSessions.RevokeMemberSessions, &membershipv1.RevokeMemberSessionsRequest{OrganizationId: org, AccountId: account})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { p.line("%s is signed out everywhere.", args[0]) })
		},
	}
}
