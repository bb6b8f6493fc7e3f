package cli

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/rosterhq/roster/pkg/client"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

func (a *app) roleCommand() *cobra.Command {
	c := groupOf("role", "Roles of an organization",
		a.roleListCommand(), a.roleCreateCommand(), a.roleUpdateCommand(), a.roleDeleteCommand())
	c.Aliases = []string{"roles"}
	return c
}

func (a *app) roleListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the roles, and which of them you may give",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Roles.ListRoles, &membershipv1.ListRolesRequest{OrganizationId: org})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				var rows [][]string
				for _, r := range answer.GetRoles() {
					rows = append(rows, []string{r.GetKey(), r.GetDisplayName(), yesNo(r.GetAssignable()), strconv.Itoa(len(r.GetPermissions())), r.GetDescription()})
				}
				p.table([]string{"ROLE", "NAME", "YOU MAY GIVE IT", "PERMISSIONS", "DESCRIPTION"}, rows)
			})
		},
	}
}

// shape are the flags that say what a role is.
type shape struct {
	description, color string
	permissions        []string
}

func (s *shape) flags(c *cobra.Command) {
	c.Flags().StringVar(&s.description, "description", "", "what it is for")
	c.Flags().StringVar(&s.color, "color", "", "colour of its badge, #rrggbb")
	c.Flags().StringSliceVar(&s.permissions, "allow", nil, "what it allows, by name, see 'roster permissions'; several with commas")
}

func (a *app) roleCreateCommand() *cobra.Command {
	var s shape
	var key string
	c := &cobra.Command{
		Use:   "create NAME --allow PERMISSION,...",
		Short: "Make a role of the organization's own",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Roles.CreateRole, &membershipv1.CreateRoleRequest{OrganizationId: org,
				DisplayName: args[0], Key: key, Description: s.description, Color: s.color, Permissions: s.permissions})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { roleFields(p, answer.GetRole()) })
		},
	}
	s.flags(c)
	c.Flags().StringVar(&key, "key", "", "key by which requests name it (default: from the name)")
	return c
}

func (a *app) roleUpdateCommand() *cobra.Command {
	var s shape
	var name string
	c := &cobra.Command{
		Use:   "update ROLE",
		Short: "Change a role of the organization's own, for all who have it",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			role, err := a.roleOf(cmd.Context(), c, org, args[0])
			if err != nil {
				return err
			}
			mask := &fieldmaskpb.FieldMask{}
			for flag, field := range map[string]string{"name": "display_name", "description": "description", "color": "color", "allow": "permissions"} {
				if cmd.Flags().Changed(flag) {
					mask.Paths = append(mask.Paths, field)
				}
			}
			if len(mask.GetPaths()) == 0 {
				return usageError{"say what to change: --name, --description, --color, --allow"}
			}
			slices.Sort(mask.Paths)
			answer, err := call(cmd.Context(), a, c.Roles.UpdateRole, &membershipv1.UpdateRoleRequest{OrganizationId: org, RoleId: role,
				DisplayName: name, Description: s.description, Color: s.color, Permissions: s.permissions, UpdateMask: mask})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				roleFields(p, answer.GetRole())
				p.line("Changed for %d members.", answer.GetMembers())
			})
		},
	}
	s.flags(c)
	c.Flags().StringVar(&name, "name", "", "another name")
	return c
}

func (a *app) roleDeleteCommand() *cobra.Command {
	request := &membershipv1.DeleteRoleRequest{}
	c := &cobra.Command{
		Use:   "delete ROLE [--replacement ROLE]",
		Short: "Delete a role of the organization's own; whoever has it gets the replacement",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			if request.RoleId, err = a.roleOf(cmd.Context(), c, org, args[0]); err != nil {
				return err
			}
			request.OrganizationId = org
			answer, err := call(cmd.Context(), a, c.Roles.DeleteRole, request)
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				p.fields("Members", strconv.FormatInt(answer.GetMembers(), 10), "Invitations", strconv.FormatInt(answer.GetInvitations(), 10))
			})
		},
	}
	c.Flags().StringVar(&request.Replacement, "replacement", "", "role for those who have it")
	c.Flags().BoolVar(&request.ValidateOnly, "dry-run", false, "only tell whom it would concern")
	return c
}

// roleOf finds the id of a role that is named by its key; an id is one.
func (a *app) roleOf(ctx context.Context, c *client.Client, org, role string) (string, error) {
	if strings.HasPrefix(role, "rol_") {
		return role, nil
	}
	answer, err := call(ctx, a, c.Roles.ListRoles, &membershipv1.ListRolesRequest{OrganizationId: org})
	if err != nil {
		return "", err
	}
	var keys []string
	for _, r := range answer.GetRoles() {
		if r.GetKey() == role {
			return r.GetId(), nil
		}
		keys = append(keys, r.GetKey())
	}
	return "", usageError{"there is no role " + role + ", there are: " + strings.Join(keys, ", ")}
}

func roleFields(p *page, r *membershipv1.Role) {
	p.fields("Role", r.GetKey(), "Name", r.GetDisplayName(), "Description", r.GetDescription(), "Color", r.GetColor(),
		"Allows", strings.Join(r.GetPermissions(), ", "))
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

func (a *app) permissionsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "permissions",
		Short: "List everything that a role may allow",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect(person)
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Roles.ListPermissions, &membershipv1.ListPermissionsRequest{})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				var rows [][]string
				for _, permission := range answer.GetPermissions() {
					note := ""
					switch {
					case permission.GetReserved():
						note = "owner only"
					case permission.GetDangerous():
						note = "widens power"
					}
					rows = append(rows, []string{permission.GetName(), note, permission.GetDescription()})
				}
				p.table([]string{"PERMISSION", "NOTE", "DESCRIPTION"}, rows)
			})
		},
	}
}
