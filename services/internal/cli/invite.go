package cli

import (
	"cmp"
	"strings"

	"github.com/spf13/cobra"

	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
)

func (a *app) inviteCommand() *cobra.Command {
	return groupOf("invite", "Invitations",
		a.inviteCreateCommand(), a.inviteListCommand(), a.inviteGetCommand(), a.inviteResendCommand(),
		a.inviteNewLinkCommand(), a.inviteRevokeCommand(),
		a.invitePreviewCommand(), a.inviteAcceptCommand(), a.inviteDeclineCommand())
}

// invitee is how an invited person is named in a sentence.
func invitee(i *invitationv1.Invitation) string {
	return cmp.Or(i.GetEmail(), i.GetUsername(), i.GetDisplayName(), "somebody")
}

// linkNote shows a link that nobody will see again, or says that the mail is on its way.
func linkNote(p *page, i *invitationv1.Invitation, link string) {
	if link == "" {
		p.line("The mail is on its way; the invitation ends %s.", p.ago(i.GetExpireTime()))
		return
	}
	p.line("\n  %s\n", link)
	p.line("The link is shown this once, and links before it are void. It ends %s. Whoever has it can answer: hand it to the invitee only.",
		p.ago(i.GetExpireTime()))
}

func (a *app) inviteCreateCommand() *cobra.Command {
	request := &invitationv1.CreateInvitationRequest{}
	c := &cobra.Command{
		Use:   "create [EMAIL]",
		Short: "Invite somebody, by mail or with a link to hand over",
		Long: `Invite somebody. With an address a mail goes out; without one, where the organization allows it, the answer
is a link to hand over. What else is needed follows the organization: roster org policy show.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			request.OrganizationId, request.Email = org, optional(args)
			answer, err := call(cmd.Context(), a, c.Invitations.CreateInvitation, request)
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				i := answer.GetInvitation()
				p.line("Invited %s as %s: %s", invitee(i), i.GetRole(), i.GetId())
				linkNote(p, i, answer.GetLink())
			})
		},
	}
	c.Flags().StringVar(&request.Username, "username", "", "username of the account to be made")
	c.Flags().StringVar(&request.DisplayName, "name", "", "name, until the invitee has an account")
	c.Flags().StringVar(&request.Role, "role", "", "role to give (default: as the organization's policy says)")
	return c
}

func (a *app) inviteListCommand() *cobra.Command {
	var limit paging
	var states []string
	names := words(invitationv1.Invitation_State_name)
	c := &cobra.Command{
		Use:   "list",
		Short: "List invitations, newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			only, err := values[invitationv1.Invitation_State]("status", states, invitationv1.Invitation_State_name)
			if err != nil {
				return err
			}
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer := &invitationv1.ListInvitationsResponse{}
			err = limit.each(func(size int32, token string) (int, string, error) {
				page, err := call(cmd.Context(), a, c.Invitations.ListInvitations, &invitationv1.ListInvitationsRequest{
					OrganizationId: org, PageSize: size, PageToken: token, States: only,
				})
				if err != nil {
					return 0, "", err
				}
				answer.Invitations = append(answer.Invitations, page.GetInvitations()...)
				answer.NextPageToken = page.GetNextPageToken()
				return len(page.GetInvitations()), page.GetNextPageToken(), nil
			})
			if err != nil {
				return err
			}
			defer a.noteMore(answer.GetNextPageToken())
			return a.show(answer, func(p *page) {
				switch {
				case len(answer.GetInvitations()) > 0:
					invitationTable(p, answer.GetInvitations())
				case len(only) > 0:
					p.line("No invitation matches. Without --status all are listed.")
				default:
					p.line("No invitations. Invite somebody: roster invite create EMAIL --role ROLE")
				}
			})
		},
	}
	c.Flags().StringSliceVar(&states, "status", nil, "only these: "+strings.Join(names, ", "))
	c.RegisterFlagCompletionFunc("status", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp))
	limit.flags(c)
	return c
}

func invitationTable(p *page, invitations []*invitationv1.Invitation) {
	var rows [][]string
	for _, i := range invitations {
		ends := ""
		if i.GetState() == invitationv1.Invitation_STATE_PENDING {
			ends = p.ago(i.GetExpireTime())
		}
		rows = append(rows, []string{
			i.GetEmail(), i.GetUsername(), i.GetDisplayName(), i.GetRole(), word(i.GetState()), word(i.GetDelivery()),
			p.ago(i.GetSendTime()), ends, i.GetId(),
		})
	}
	p.table([]string{"EMAIL", "USERNAME", "NAME", "ROLE", "STATUS", "DELIVERY", "SENT", "ENDS", "ID"}, rows)
}

func (a *app) inviteGetCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "get INVITATION",
		Short: "Show an invitation",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Invitations.GetInvitation,
				&invitationv1.GetInvitationRequest{OrganizationId: org, InvitationId: args[0]})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				i := answer.GetInvitation()
				p.fields(
					"Invitation", i.GetId(),
					"Email", i.GetEmail(),
					"Username", i.GetUsername(),
					"Name", i.GetDisplayName(),
					"Role", i.GetRole(),
					"Status", word(i.GetState()),
					"Failed because", i.GetFailureReason(),
					"Delivery", word(i.GetDelivery()),
					"Invited by", i.GetInviterAccountId(),
					"Created", p.at(i.GetCreateTime()),
					"Sent", p.at(i.GetSendTime()),
					"Ends", p.at(i.GetExpireTime()),
					"Accepted by", i.GetAcceptedAccountId(),
				)
			})
		},
	}
}

func (a *app) inviteResendCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "resend INVITATION",
		Short: "Send an invitation again: new link, new time; the old link is void",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Invitations.ResendInvitation,
				&invitationv1.ResendInvitationRequest{OrganizationId: org, InvitationId: args[0]})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				p.line("Invited %s again.", invitee(answer.GetInvitation()))
				linkNote(p, answer.GetInvitation(), answer.GetLink())
			})
		},
	}
}

func (a *app) inviteNewLinkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "new-link INVITATION",
		Short: "Make a new link to hand over; the old link is void",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Invitations.CreateInvitationLink,
				&invitationv1.CreateInvitationLinkRequest{OrganizationId: org, InvitationId: args[0]})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				p.line("New link for %s:", invitee(answer.GetInvitation()))
				linkNote(p, answer.GetInvitation(), answer.GetLink())
			})
		},
	}
}

func (a *app) inviteRevokeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke INVITATION",
		Short: "Take an invitation back: its link is void, its seat free",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Invitations.RevokeInvitation,
				&invitationv1.RevokeInvitationRequest{OrganizationId: org, InvitationId: args[0]})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				p.line("The invitation of %s is revoked. %s", invitee(answer.GetInvitation()), seatNote(answer.GetSeatReleased()))
			})
		},
	}
}
