package cli

import (
	"cmp"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

func (a *app) groupCommand() *cobra.Command {
	return groupOf("group", "Groups of members, and what they give",
		a.groupCreateCommand(), a.groupListCommand(), a.groupGetCommand(), a.groupUpdateCommand(), a.groupDeleteCommand(),
		a.groupMembersCommand(), a.groupAddCommand(), a.groupRemoveCommand(), a.groupBindCommand(), a.groupUnbindCommand())
}

func groupFields(p *page, g *membershipv1.Group) {
	p.fields(
		"Group", g.GetId(),
		"Name", g.GetDisplayName(),
		"Description", g.GetDescription(),
		"Inside of", g.GetParentGroupId(),
		"Gives", rolesOf(g),
		"Opens", strings.Join(g.GetOpens(), " "),
		"Created", p.at(g.GetCreateTime()),
		"Etag", g.GetEtag(),
	)
}

// rolesOf are the roles that a group gives.
func rolesOf(g *membershipv1.Group) string {
	var roles []string
	for _, b := range g.GetBindings() {
		role := b.GetRole()
		if b.GetProjectId() != "" {
			role += " in " + b.GetProjectId()
		}
		roles = append(roles, role)
	}
	return strings.Join(roles, ", ")
}

func (a *app) groupCreateCommand() *cobra.Command {
	req := &membershipv1.CreateGroupRequest{}
	c := &cobra.Command{
		Use:   "create NAME",
		Short: "Create a group",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			req.OrganizationId, req.DisplayName = org, args[0]
			answer, err := call(cmd.Context(), a, c.Groups.CreateGroup, req)
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { groupFields(p, answer.GetGroup()) })
		},
	}
	groupFlags(c, &req.Description, &req.ParentGroupId, &req.Opens)
	return c
}

func groupFlags(c *cobra.Command, description, parent *string, opens *[]string) {
	c.Flags().StringVar(description, "description", "", "what it is for")
	c.Flags().StringVar(parent, "inside-of", "", "the group that it is inside of")
	c.Flags().StringSliceVar(opens, "opens", nil, "permissions that it opens, of those that the policy gates")
}

func (a *app) groupListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the groups",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Groups.ListGroups, &membershipv1.ListGroupsRequest{OrganizationId: org})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				names := make(map[string]string)
				for _, g := range answer.GetGroups() {
					names[g.GetId()] = g.GetDisplayName()
				}
				var rows [][]string
				for _, g := range answer.GetGroups() {
					rows = append(rows, []string{g.GetDisplayName(), names[g.GetParentGroupId()], rolesOf(g), strings.Join(g.GetOpens(), " "), g.GetId()})
				}
				p.table([]string{"NAME", "INSIDE OF", "GIVES", "OPENS", "ID"}, rows)
			})
		},
	}
}

func (a *app) groupGetCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "get GROUP",
		Short: "Show a group",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Groups.GetGroup, &membershipv1.GetGroupRequest{OrganizationId: org, GroupId: args[0]})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { groupFields(p, answer.GetGroup()) })
		},
	}
}

func (a *app) groupUpdateCommand() *cobra.Command {
	req := &membershipv1.UpdateGroupRequest{}
	c := &cobra.Command{
		Use:   "update GROUP",
		Short: "Change a group; a flag that is given empty empties the field",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			req.UpdateMask = &fieldmaskpb.FieldMask{}
			for flag, field := range map[string]string{
				"name": "display_name", "description": "description", "inside-of": "parent_group_id", "opens": "opens",
			} {
				if cmd.Flags().Changed(flag) {
					req.UpdateMask.Paths = append(req.UpdateMask.Paths, field)
				}
			}
			if len(req.GetUpdateMask().GetPaths()) == 0 {
				return usageError{"nothing to change: give --name, --description, --inside-of or --opens"}
			}
			org, c, err := a.within()
			if err != nil {
				return err
			}
			req.OrganizationId, req.GroupId = org, args[0]
			answer, err := call(cmd.Context(), a, c.Groups.UpdateGroup, req)
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { groupFields(p, answer.GetGroup()) })
		},
	}
	c.Flags().StringVar(&req.DisplayName, "name", "", "name")
	groupFlags(c, &req.Description, &req.ParentGroupId, &req.Opens)
	etagFlag(c, &req.Etag)
	return c
}

func (a *app) groupDeleteCommand() *cobra.Command {
	var yes bool
	req := &membershipv1.DeleteGroupRequest{}
	c := &cobra.Command{
		Use:   "delete GROUP",
		Short: "Delete a group; its members lose what it gave",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			err = a.confirm(ctx, yes, func() (string, error) {
				answer, err := call(ctx, a, c.Groups.GetGroup, &membershipv1.GetGroupRequest{OrganizationId: org, GroupId: args[0]})
				return "Delete the group " + answer.GetGroup().GetDisplayName() + "?", err
			})
			if err != nil {
				return err
			}
			req.OrganizationId, req.GroupId = org, args[0]
			answer, err := call(ctx, a, c.Groups.DeleteGroup, req)
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { p.line("%s is deleted.", args[0]) })
		},
	}
	yesFlag(c, &yes)
	etagFlag(c, &req.Etag)
	return c
}

func (a *app) groupMembersCommand() *cobra.Command {
	var limit paging
	c := &cobra.Command{
		Use:   "members GROUP",
		Short: "List who is in a group",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer := &membershipv1.ListGroupMembersResponse{}
			err = limit.each(func(size int32, token string) (int, string, error) {
				page, err := call(cmd.Context(), a, c.Groups.ListGroupMembers,
					&membershipv1.ListGroupMembersRequest{OrganizationId: org, GroupId: args[0], PageSize: size, PageToken: token})
				answer.Members = append(answer.Members, page.GetMembers()...)
				answer.NextPageToken = page.GetNextPageToken()
				return len(page.GetMembers()), page.GetNextPageToken(), err
			})
			if err != nil {
				return err
			}
			defer a.noteMore(answer.GetNextPageToken())
			return a.show(answer, func(p *page) {
				var rows [][]string
				for _, m := range answer.GetMembers() {
					rows = append(rows, []string{cmp.Or(m.GetDisplayName(), m.GetUsername()), m.GetRole(), word(m.GetState()), m.GetAccountId()})
				}
				p.table([]string{"NAME", "ROLE", "STATUS", "ACCOUNT"}, rows)
			})
		},
	}
	limit.flags(c)
	return c
}

func (a *app) groupAddCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "add GROUP ACCOUNT",
		Short: "Put a member into a group",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Groups.AddGroupMember,
				&membershipv1.AddGroupMemberRequest{OrganizationId: org, GroupId: args[0], AccountId: args[1]})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { p.line("%s is in %s.", args[1], args[0]) })
		},
	}
}

func (a *app) groupRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "remove GROUP ACCOUNT",
		Short: "Take a member out of a group",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Groups.RemoveGroupMember,
				&membershipv1.RemoveGroupMemberRequest{OrganizationId: org, GroupId: args[0], AccountId: args[1]})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { p.line("%s is no longer in %s.", args[1], args[0]) })
		},
	}
}

func (a *app) groupBindCommand() *cobra.Command {
	var project string
	c := &cobra.Command{
		Use:   "bind GROUP ROLE",
		Short: "Make a group give a role to everybody in it",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Groups.BindGroupRole,
				&membershipv1.BindGroupRoleRequest{OrganizationId: org, GroupId: args[0], Role: args[1], ProjectId: project})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { groupFields(p, answer.GetGroup()) })
		},
	}
	c.Flags().StringVar(&project, "project", "", "the project in which it counts (default the whole organization)")
	return c
}

func (a *app) groupUnbindCommand() *cobra.Command {
	var project string
	c := &cobra.Command{
		Use:   "unbind GROUP ROLE",
		Short: "Make a group no longer give a role",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Groups.UnbindGroupRole,
				&membershipv1.UnbindGroupRoleRequest{OrganizationId: org, GroupId: args[0], Role: args[1], ProjectId: project})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { groupFields(p, answer.GetGroup()) })
		},
	}
	c.Flags().StringVar(&project, "project", "", "the project in which it counted (default the whole organization)")
	return c
}
