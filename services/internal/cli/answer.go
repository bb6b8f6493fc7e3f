package cli

import (
	"cmp"

	"github.com/spf13/cobra"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
)

// What an invited person does. An argument LINK is the link of the mail, or the token at its end.

func (a *app) invitePreviewCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "preview LINK",
		Short: "Show what an invitation's link is for; changes nothing",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connectAsNobody()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Invitations.PreviewInvitation,
				&invitationv1.PreviewInvitationRequest{LinkToken: lastSegment(args[0])})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				p.fields(
					"Organization", answer.GetOrganizationDisplayName()+" ("+answer.GetOrganizationId()+")",
					"Invited by", answer.GetInviterDisplayName(),
					"Role", answer.GetRoleDisplayName(),
					"For", cmp.Or(answer.GetMaskedEmail(), answer.GetUsername(), answer.GetDisplayName()),
					"Ends", p.at(answer.GetExpireTime()),
				)
				if answer.GetFullAccess() {
					p.line("\nThe role gives full administrative access.")
				}
				if answer.GetSignInRequired() {
					p.line("\nYou have an account: sign in with 'roster login', then accept.")
				}
			})
		},
	}
}

func (a *app) inviteAcceptCommand() *cobra.Command {
	var name string
	var stdin, newAccount bool
	c := &cobra.Command{
		Use:   "accept LINK",
		Short: "Join the organization, as who you are signed in, or with a new account",
		Long: `Join the organization. Who is signed in accepts with that account. Everybody else chooses a password, gets an
account, and is signed in to it.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			token, err := a.credential(person)
			switch {
			case newAccount || fault.ReasonOf(err) == errorv1.Reason_REASON_UNAUTHENTICATED:
				token = ""
			case err != nil:
				return err
			}
			c, err := a.dial(token)
			if err != nil {
				return err
			}
			request := &invitationv1.AcceptInvitationRequest{LinkToken: lastSegment(args[0])}
			if token == "" {
				// Before anybody chooses a password: is the link good, and is there no account yet?
				preview, err := call(ctx, a, c.Invitations.PreviewInvitation,
					&invitationv1.PreviewInvitationRequest{LinkToken: request.GetLinkToken()})
				if err != nil {
					return err
				}
				if preview.GetSignInRequired() {
					return fault.New(errorv1.Reason_REASON_SIGN_IN_REQUIRED, "The invited address has an account.")
				}
				if request.Password, err = a.password(ctx, stdin, true); err != nil {
					return err
				}
				request.DisplayName, request.Delivery = name, identityv1.Delivery_DELIVERY_TOKEN
			}
			answer, err := call(ctx, a, c.Invitations.AcceptInvitation, request)
			if err != nil {
				return err
			}
			if answer.GetSessionToken() != "" {
				if err := a.keepSession(answer.GetSession(), answer.GetSessionToken()); err != nil {
					return err
				}
			}
			return a.show(answer, func(p *page) {
				i := answer.GetInvitation()
				p.line("Welcome: %s is a member of %s, as %s.", answer.GetAccountId(), i.GetOrganizationId(), i.GetRole())
				if answer.GetSessionToken() != "" {
					p.line("You are signed in to %s.", a.address())
				}
				p.line("Work with it by default: roster org use %s", i.GetOrganizationId())
			})
		},
	}
	c.Flags().BoolVar(&newAccount, "new-account", false, "make an account, though somebody is signed in here")
	c.Flags().StringVar(&name, "name", "", "your name, as others see it, for a new account")
	passwordFlag(c, &stdin)
	return c
}

func (a *app) inviteDeclineCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "decline LINK",
		Short: "Say no: the link is void",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connectAsNobody()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Invitations.DeclineInvitation,
				&invitationv1.DeclineInvitationRequest{LinkToken: lastSegment(args[0])})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { p.line("The invitation is %s.", word(answer.GetState())) })
		},
	}
}
