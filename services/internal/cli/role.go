package cli

import (
	"strconv"

	"github.com/spf13/cobra"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

func (a *app) rolesCommand() *cobra.Command {
	return groupOf("roles", "Roles of an organization", a.rolesListCommand())
}

func (a *app) rolesListCommand() *cobra.Command {
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
