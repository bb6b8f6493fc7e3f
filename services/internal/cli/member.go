package cli

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

func (a *app) memberCommand() *cobra.Command {
	return groupOf("member", "Members of an organization; 'roster people' lists them",
		a.memberGetCommand(), a.memberCreateCommand(), a.memberEditCommand(), a.memberChangeRoleCommand(), a.memberDisableCommand(), a.memberEnableCommand(),
		a.memberResetPasswordCommand(), a.memberResetMfaCommand(), a.memberChangeEmailCommand(),
		a.memberLoginActivityCommand(), a.memberSessionsCommand(), a.memberRevokeSessionsCommand(), a.memberRemoveCommand(), a.memberLeaveCommand())
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
		"Unproven", unproven(m),
		"Second factor", strings.Join(m.GetMfa().GetMethods(), ", "),
		"Disabled", p.at(m.GetDisableTime()),
		"Disabled by", strings.TrimSpace(m.GetDisablerDisplayName()+" "+m.GetDisablerAccountId()),
		"Set here", strings.Join(m.GetOverlaidFields(), ", "),
		"Etag", m.GetEtag(),
	)
}

// unproven says, of who is, what that means.
func unproven(m *membershipv1.Member) string {
	if !m.GetUnproven() {
		return ""
	}
	return "an admin wrote the address or had the password made, and the person has not confirmed the mailbox since"
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
			org, account, c, err := a.member(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Members.GetMember,
				&membershipv1.GetMemberRequest{OrganizationId: org, AccountId: account})
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
			org, account, c, err := a.member(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			request.OrganizationId, request.AccountId = org, account
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
	var dryRun bool
	c := &cobra.Command{
		Use:   "change-role ACCOUNT... ROLE",
		Short: "Give members another role",
		Long:  "Give members another role." + manyHelp,
		Args:  cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			org, c, err := a.within()
			if err != nil {
				return err
			}
			role := args[len(args)-1]
			accounts, err := a.accounts(ctx, c, org, args[:len(args)-1])
			if err != nil {
				return err
			}
			if len(accounts) > 1 || dryRun {
				if etag != "" {
					return usageError{"--etag is of one member, whose role is changed"}
				}
				return many(a, accounts, dryRun, "changed", func(accounts []string) (*membershipv1.BulkChangeMemberRoleResponse, error) {
					return call(ctx, a, c.Bulk.BulkChangeMemberRole, &membershipv1.BulkChangeMemberRoleRequest{
						OrganizationId: org, AccountIds: accounts, Role: role, ValidateOnly: dryRun})
				})
			}
			answer, err := call(ctx, a, c.Members.ChangeMemberRole,
				&membershipv1.ChangeMemberRoleRequest{OrganizationId: org, AccountId: accounts[0], Role: role, Etag: etag})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				p.line("%s is now %s.", called(answer.GetMember()), answer.GetMember().GetRole())
			})
		},
	}
	etagFlag(c, &etag)
	dryRunFlag(c, &dryRun)
	return c
}

func (a *app) memberResetMfaCommand() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "reset-mfa ACCOUNT",
		Short: "Take away a member's second factors, and sign them out everywhere",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			org, account, c, err := a.member(ctx, args[0])
			if err != nil {
				return err
			}
			err = a.confirm(ctx, yes, func() (string, error) {
				return "Let " + args[0] + " sign in with the password alone, and sign them out everywhere?", nil
			})
			if err != nil {
				return err
			}
			answer, err := call(ctx, a, c.Members.ResetMemberMfa, &membershipv1.ResetMemberMfaRequest{OrganizationId: org, AccountId: account})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { p.line("%s has no second factor any more, and is signed out everywhere.", args[0]) })
		},
	}
	yesFlag(c, &yes)
	return c
}

func (a *app) memberChangeEmailCommand() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "change-email ACCOUNT ADDRESS",
		Short: "Give a member's account another address, and sign them out everywhere",
		Long: "Give a member's account another address to sign in with, and sign them out everywhere. For accounts that the organization manages: those that it\n" +
			"made, or brought in, and that belong to no other. The person has to confirm the address: a link is mailed to it. The address until now\n" +
			"gets a link that takes it back.",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			org, account, c, err := a.member(ctx, args[0])
			if err != nil {
				return err
			}
			err = a.confirm(ctx, yes, func() (string, error) {
				return "Have " + args[0] + " sign in with " + args[1] + " and no other address, and sign them out everywhere?", nil
			})
			if err != nil {
				return err
			}
			answer, err := call(ctx, a, c.Members.ChangeMemberEmail, &membershipv1.ChangeMemberEmailRequest{
				OrganizationId: org, AccountId: account, Email: args[1]})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				p.line("The address of %s is %s now. They are signed out everywhere, and have to confirm it: a link was mailed to it.", args[0], args[1])
			})
		},
	}
	yesFlag(c, &yes)
	return c
}

func (a *app) memberDisableCommand() *cobra.Command {
	var dryRun bool
	c := &cobra.Command{
		Use:   "disable ACCOUNT...",
		Short: "Take members' access away, keep the memberships; frees the seats",
		Long:  "Take members' access away, keep the memberships; frees the seats." + manyHelp,
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			org, c, err := a.within()
			if err != nil {
				return err
			}
			accounts, err := a.accounts(ctx, c, org, args)
			if err != nil {
				return err
			}
			if len(accounts) > 1 || dryRun {
				return many(a, accounts, dryRun, "disabled", func(accounts []string) (*membershipv1.BulkDisableMembersResponse, error) {
					return call(ctx, a, c.Bulk.BulkDisableMembers, &membershipv1.BulkDisableMembersRequest{
						OrganizationId: org, AccountIds: accounts, ValidateOnly: dryRun})
				})
			}
			answer, err := call(ctx, a, c.Members.DisableMember,
				&membershipv1.DisableMemberRequest{OrganizationId: org, AccountId: accounts[0]})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				p.line("%s is disabled. %s", called(answer.GetMember()), seatNote(answer.GetSeatReleased()))
				p.line("To give access back: roster member enable %s", answer.GetMember().GetAccountId())
			})
		},
	}
	dryRunFlag(c, &dryRun)
	return c
}

func (a *app) memberEnableCommand() *cobra.Command {
	var dryRun bool
	c := &cobra.Command{
		Use:   "enable ACCOUNT...",
		Short: "Give disabled members access again; takes seats",
		Long:  "Give disabled members access again; takes seats." + manyHelp,
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			org, c, err := a.within()
			if err != nil {
				return err
			}
			accounts, err := a.accounts(ctx, c, org, args)
			if err != nil {
				return err
			}
			if len(accounts) > 1 || dryRun {
				return many(a, accounts, dryRun, "enabled", func(accounts []string) (*membershipv1.BulkEnableMembersResponse, error) {
					return call(ctx, a, c.Bulk.BulkEnableMembers, &membershipv1.BulkEnableMembersRequest{
						OrganizationId: org, AccountIds: accounts, ValidateOnly: dryRun})
				})
			}
			answer, err := call(ctx, a, c.Members.EnableMember,
				&membershipv1.EnableMemberRequest{OrganizationId: org, AccountId: accounts[0]})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				p.line("%s has access again, as %s.", called(answer.GetMember()), answer.GetMember().GetRole())
			})
		},
	}
	dryRunFlag(c, &dryRun)
	return c
}

func (a *app) memberRemoveCommand() *cobra.Command {
	var yes, fromProjects, dryRun bool
	c := &cobra.Command{
		Use:   "remove ACCOUNT...",
		Short: "End memberships; the accounts live on",
		Long:  "End memberships; the accounts live on." + manyHelp,
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			org, c, err := a.within()
			if err != nil {
				return err
			}
			if !yes && !dryRun && slices.Contains(args, "-") {
				return usageError{"standard input names the members, and cannot be asked too: say --yes, or --dry-run before"}
			}
			accounts, err := a.accounts(ctx, c, org, args)
			if err != nil {
				return err
			}
			if len(accounts) > 1 || dryRun {
				err := a.confirm(ctx, yes || dryRun, func() (string, error) {
					return fmt.Sprintf("Remove %d members from %s?", len(accounts), org), nil
				})
				if err != nil {
					return err
				}
				return many(a, accounts, dryRun, "removed", func(accounts []string) (*membershipv1.BulkRemoveMembersResponse, error) {
					return call(ctx, a, c.Bulk.BulkRemoveMembers, &membershipv1.BulkRemoveMembersRequest{
						OrganizationId: org, AccountIds: accounts, ValidateOnly: dryRun, RemoveProjectMemberships: fromProjects})
				})
			}
			err = a.confirm(ctx, yes, func() (string, error) {
				answer, err := call(ctx, a, c.Members.GetMember, &membershipv1.GetMemberRequest{OrganizationId: org, AccountId: accounts[0]})
				return "Remove " + called(answer.GetMember()) + " from " + org + "?", err
			})
			if err != nil {
				return err
			}
			answer, err := call(ctx, a, c.Members.RemoveMember,
				&membershipv1.RemoveMemberRequest{OrganizationId: org, AccountId: accounts[0], RemoveProjectMemberships: fromProjects})
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
	dryRunFlag(c, &dryRun)
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
