package cli

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

func (a *app) accessCommand() *cobra.Command {
	return groupOf("access", "Who may do what", a.accessCheckCommand(), a.accessExplainCommand(),
		a.accessListMineCommand(), a.accessWhoCommand(), a.accessWhatIfCommand())
}

func (a *app) accessCheckCommand() *cobra.Command {
	var account, project string
	c := &cobra.Command{
		Use:   "check PERMISSION",
		Short: "Tell whether an account may do something; exit code 4 when not",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Access.CheckAccess,
				&membershipv1.CheckAccessRequest{OrganizationId: org, AccountId: account, Permission: args[0], ProjectId: project})
			if err != nil {
				return err
			}
			err = a.show(answer, func(p *page) {
				p.fields(
					"Allowed", yesNo(answer.GetAllowed()),
					"Why", word(answer.GetDecision()),
					"Account", cmp.Or(account, "yours"),
					"Permission", args[0],
					"Revision", strconv.FormatInt(answer.GetRevision(), 10),
				)
			})
			if err == nil && !answer.GetAllowed() {
				return errDenied
			}
			return err
		},
	}
	accessFlags(c, &account, &project)
	return c
}

func accessFlags(c *cobra.Command, account, project *string) {
	c.Flags().StringVar(account, "account", "", "whose access (default your own)")
	c.Flags().StringVar(project, "project", "", "in a project (default the organization as a whole)")
}

func (a *app) accessExplainCommand() *cobra.Command {
	var account, project string
	c := &cobra.Command{
		Use:   "explain PERMISSION",
		Short: "Tell why an account may do something or not, and what would allow it; exit code 4 when not",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Access.ExplainAccess,
				&membershipv1.ExplainAccessRequest{OrganizationId: org, AccountId: account, Permission: args[0], ProjectId: project})
			if err != nil {
				return err
			}
			var by string
			if line := answer.GetLine(); line != nil {
				by = word(line.GetSource()) + " " + line.GetDisplayName()
			}
			var groups []string
			for _, g := range answer.GetGroups() {
				groups = append(groups, g.GetDisplayName())
			}
			err = a.show(answer, func(p *page) {
				p.fields(
					"Allowed", yesNo(answer.GetAllowed()),
					"Why", word(answer.GetDecision()),
					"By", by,
					"Roles that would allow it", strings.Join(answer.GetRoles(), ", "),
					"Groups that would allow it", strings.Join(groups, ", "),
				)
			})
			if err == nil && !answer.GetAllowed() {
				return errDenied
			}
			return err
		},
	}
	accessFlags(c, &account, &project)
	return c
}

func (a *app) accessListMineCommand() *cobra.Command {
	var project string
	c := &cobra.Command{
		Use:   "list-mine",
		Short: "List what you may do, and what gives it to you",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Access.ListMyPermissions,
				&membershipv1.ListMyPermissionsRequest{OrganizationId: org, ProjectId: project})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				var rows [][]string
				for _, held := range answer.GetPermissions() {
					rows = append(rows, []string{held.GetPermission(), sources(held.GetLines())})
				}
				p.table([]string{"PERMISSION", "BY"}, rows)
			})
		},
	}
	c.Flags().StringVar(&project, "project", "", "in a project (default the organization as a whole)")
	return c
}

func (a *app) accessWhoCommand() *cobra.Command {
	var project string
	var limit paging
	c := &cobra.Command{
		Use:   "who PERMISSION",
		Short: "List who may do something, and what gives it to them",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer := &membershipv1.ListAccessibleResponse{}
			err = limit.each(func(size int32, token string) (int, string, error) {
				page, err := call(cmd.Context(), a, c.Access.ListAccessible, &membershipv1.ListAccessibleRequest{
					OrganizationId: org, Permission: args[0], ProjectId: project, PageSize: size, PageToken: token})
				answer.Holders = append(answer.Holders, page.GetHolders()...)
				answer.NextPageToken, answer.Revision = page.GetNextPageToken(), page.GetRevision()
				return len(page.GetHolders()), page.GetNextPageToken(), err
			})
			if err != nil {
				return err
			}
			defer a.noteMore(answer.GetNextPageToken())
			return a.show(answer, func(p *page) {
				var rows [][]string
				for _, holder := range answer.GetHolders() {
					rows = append(rows, []string{cmp.Or(holder.GetDisplayName(), "(guest)"), sources(holder.GetLines()), holder.GetAccountId()})
				}
				p.table([]string{"NAME", "BY", "ACCOUNT"}, rows)
			})
		},
	}
	c.Flags().StringVar(&project, "project", "", "in a project (default the organization as a whole)")
	limit.flags(c)
	return c
}

// sources names what gives a permission.
func sources(lines []*membershipv1.ExplainAccessResponse_Line) string {
	var by []string
	for _, line := range lines {
		by = append(by, word(line.GetSource())+" "+line.GetDisplayName())
	}
	return strings.Join(by, ", ")
}

func (a *app) accessWhatIfCommand() *cobra.Command {
	req := &membershipv1.WhatIfRequest{}
	c := &cobra.Command{
		Use: "what-if CHANGE",
		Short: "Show who would gain or lose what by a change: member_role, disable, remove, join_group, leave_group, role_permissions, " +
			"bind_role, unbind_role",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if req.Change, err = value[membershipv1.WhatIfRequest_Change]("change", args[0], membershipv1.WhatIfRequest_Change_name); err != nil {
				return err
			}
			org, c, err := a.within()
			if err != nil {
				return err
			}
			req.OrganizationId = org
			answer, err := call(cmd.Context(), a, c.Access.WhatIf, req)
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				allowed := "yes"
				if !answer.GetAllowed() {
					allowed = "no: " + answer.GetRefusal() + " (" + answer.GetRefusalReason() + ")"
				}
				p.fields("You could do it", allowed)
				var rows [][]string
				for _, e := range answer.GetEffects() {
					rows = append(rows, []string{e.GetPermission(), strconv.FormatInt(e.GetGain(), 10), strconv.FormatInt(e.GetLose(), 10)})
				}
				p.table([]string{"PERMISSION", "GAIN IT", "LOSE IT"}, rows)
			})
		},
	}
	c.Flags().StringVar(&req.AccountId, "account", "", "the member")
	c.Flags().StringVar(&req.Role, "role", "", "the key of a role, to give, or for a group to give")
	c.Flags().StringVar(&req.GroupId, "group", "", "the group")
	c.Flags().StringVar(&req.RoleId, "role-id", "", "the role that would allow something else")
	c.Flags().StringSliceVar(&req.Permissions, "allow", nil, "what it would allow; several with commas")
	return c
}
