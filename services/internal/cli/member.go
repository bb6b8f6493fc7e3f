package cli

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

func (a *app) memberCommand() *cobra.Command {
	return groupOf("member", "Members of an organization; 'roster people' lists them",
		a.memberGetCommand(), a.memberEditCommand(), a.memberChangeRoleCommand(), a.memberDisableCommand(), a.memberEnableCommand(),
		a.memberRemoveCommand(), a.memberLeaveCommand())
}

func memberFields(p *page, m *membershipv1.Member) {
	p.fields(
		"Account", m.GetAccountId(),
		"Name", m.GetDisplayName(),
		"Email", m.GetEmail(),
		"Phone", m.GetPhone(),
		"Username", m.GetUsername(),
		"Role", m.GetRole(),
		"Status", word(m.GetState()),
		"Joined", p.at(m.GetJoinTime()),
		"Account since", p.at(m.GetAccountCreateTime()),
		"Last active", p.at(m.GetLastActivityTime()),
		"Disabled", p.at(m.GetDisableTime()),
		"Disabled by", strings.TrimSpace(m.GetDisablerDisplayName()+" "+m.GetDisablerAccountId()),
		"Set here", strings.Join(m.GetOverlaidFields(), ", "),
		"Etag", m.GetEtag(),
	)
}

// called is how a member is named in a sentence.
func called(m *membershipv1.Member) string {
	if name := cmp.Or(m.GetDisplayName(), m.GetEmail(), m.GetUsername()); name != "" {
		return name + " (" + m.GetAccountId() + ")"
	}
	return m.GetAccountId()
}

// seatNote says whether a freed seat can be used already.
func seatNote(released bool) string {
	if released {
		return "The seat is free."
	}
	return "The seat will be free within a minute."
}

func (a *app) memberGetCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "get ACCOUNT",
		Aliases: []string{"show"},
		Short:   "Show a member",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Members.GetMember,
				&membershipv1.GetMemberRequest{OrganizationId: org, AccountId: args[0]})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { memberFields(p, answer.GetMember()) })
		},
	}
}

func (a *app) memberEditCommand() *cobra.Command {
	request := &membershipv1.UpdateMemberRequest{UpdateMask: &fieldmaskpb.FieldMask{}}
	fields := map[string]string{"name": "display_name", "phone": "phone", "contact-email": "contact_email"}
	c := &cobra.Command{
		Use:   "edit ACCOUNT",
		Short: "Show a member in another way, in this organization only",
		Long: `Show a member in another way, in this organization only. What is set here stands in place of what the account says;
an empty value clears it, so that the account's is shown again.`,
		Example: "  roster member edit acc_... --name 'Robert Hook' --contact-email ''",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, flag := range slices.Sorted(maps.Keys(fields)) {
				if cmd.Flags().Changed(flag) {
					request.UpdateMask.Paths = append(request.UpdateMask.Paths, fields[flag])
				}
			}
			if len(request.UpdateMask.Paths) == 0 {
				return usageError{"nothing to change: give --name, --phone or --contact-email"}
			}
			org, c, err := a.within()
			if err != nil {
				return err
			}
			request.OrganizationId, request.AccountId = org, args[0]
			answer, err := call(cmd.Context(), a, c.Members.UpdateMember, request)
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { memberFields(p, answer.GetMember()) })
		},
	}
	c.Flags().StringVar(&request.DisplayName, "name", "", "name as shown here")
	c.Flags().StringVar(&request.Phone, "phone", "", "phone number")
	c.Flags().StringVar(&request.ContactEmail, "contact-email", "", "address to reach the member at; nobody signs in with it")
	etagFlag(c, &request.Etag)
	return c
}

func (a *app) memberChangeRoleCommand() *cobra.Command {
	var etag string
	c := &cobra.Command{
		Use:   "change-role ACCOUNT ROLE",
		Short: "Give a member another role",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Members.ChangeMemberRole,
				&membershipv1.ChangeMemberRoleRequest{OrganizationId: org, AccountId: args[0], Role: args[1], Etag: etag})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				p.line("%s is now %s.", called(answer.GetMember()), answer.GetMember().GetRole())
			})
		},
	}
	etagFlag(c, &etag)
	return c
}

func (a *app) memberDisableCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "disable ACCOUNT",
		Short: "Take a member's access away, keep the membership; frees the seat",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Members.DisableMember,
				&membershipv1.DisableMemberRequest{OrganizationId: org, AccountId: args[0]})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				p.line("%s is disabled. %s", called(answer.GetMember()), seatNote(answer.GetSeatReleased()))
				p.line("To give access back: roster member enable %s", answer.GetMember().GetAccountId())
			})
		},
	}
}

func (a *app) memberEnableCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "enable ACCOUNT",
		Short: "Give a disabled member access again; takes a seat",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Members.EnableMember,
				&membershipv1.EnableMemberRequest{OrganizationId: org, AccountId: args[0]})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				p.line("%s has access again, as %s.", called(answer.GetMember()), answer.GetMember().GetRole())
			})
		},
	}
}

func (a *app) memberRemoveCommand() *cobra.Command {
	var yes, fromProjects bool
	c := &cobra.Command{
		Use:   "remove ACCOUNT",
		Short: "End a membership; the account lives on",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			org, c, err := a.within()
			if err != nil {
				return err
			}
			err = a.confirm(ctx, yes, func() (string, error) {
				answer, err := call(ctx, a, c.Members.GetMember, &membershipv1.GetMemberRequest{OrganizationId: org, AccountId: args[0]})
				return "Remove " + called(answer.GetMember()) + " from " + org + "?", err
			})
			if err != nil {
				return err
			}
			answer, err := call(ctx, a, c.Members.RemoveMember,
				&membershipv1.RemoveMemberRequest{OrganizationId: org, AccountId: args[0], RemoveProjectMemberships: fromProjects})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				p.line("%s is removed. %s", called(answer.GetMember()), seatNote(answer.GetSeatReleased()))
			})
		},
	}
	c.Flags().BoolVar(&fromProjects, "from-projects", false, "also end direct memberships in projects, which may go on otherwise")
	yesFlag(c, &yes)
	return c
}

func (a *app) memberLeaveCommand() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "leave",
		Short: "End your own membership; your account lives on",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			org, c, err := a.within()
			if err != nil {
				return err
			}
			err = a.confirm(ctx, yes, func() (string, error) {
				answer, err := call(ctx, a, c.Organizations.GetOrganization, &membershipv1.GetOrganizationRequest{OrganizationId: org})
				return "Leave the organization " + answer.GetOrganization().GetDisplayName() + " (" + org + ")?", err
			})
			if err != nil {
				return err
			}
			answer, err := call(ctx, a, c.Members.LeaveOrganization, &membershipv1.LeaveOrganizationRequest{OrganizationId: org})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { p.line("You have left %s. %s", org, seatNote(answer.GetSeatReleased())) })
		},
	}
	yesFlag(c, &yes)
	return c
}
