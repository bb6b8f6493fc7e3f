package cli

import (
	"strings"

	"github.com/spf13/cobra"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

func (a *app) orgCommand() *cobra.Command {
	return groupOf("org", "Organizations",
		a.orgCreateCommand(), a.orgListCommand(), a.orgGetCommand(), a.orgUseCommand(),
		a.orgUpdateCommand(), a.orgDeleteCommand(), a.orgPolicyCommand(), a.transferCommand(), a.orgStepDownCommand())
}

func (a *app) orgCreateCommand() *cobra.Command {
	var preset string
	presets := words(membershipv1.Preset_name)
	c := &cobra.Command{
		Use:   "create NAME --preset PRESET",
		Short: "Create an organization; its first seat is yours",
		Long: `Create an organization; its first seat is yours. The preset is the policy to begin with:

  pipeline  owner, admin, developer, viewer; usernames; invitations by mail or by link
  portal    owner, admin, member; invitations by mail
  rbac      owner, admin, member, and roles of your own
  flat      one role, with full rights, for everybody`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if preset == "" {
				return usageError{"--preset is missing: one of " + strings.Join(presets, ", ")}
			}
			begin, err := value[membershipv1.Preset]("preset", preset, membershipv1.Preset_name)
			if err != nil {
				return err
			}
			c, err := a.connect(person)
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Organizations.CreateOrganization,
				&membershipv1.CreateOrganizationRequest{DisplayName: args[0], Preset: begin})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				org := answer.GetOrganization()
				organizationFields(p, org)
				p.line("\nWork with it by default: roster org use %s", org.GetId())
			})
		},
	}
	c.Flags().StringVar(&preset, "preset", "", "policy to begin with: "+strings.Join(presets, ", "))
	c.RegisterFlagCompletionFunc("preset", cobra.FixedCompletions(presets, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func organizationFields(p *page, org *membershipv1.Organization) {
	p.fields(
		"Organization", org.GetId(),
		"Name", org.GetDisplayName(),
		"Preset", word(org.GetPreset()),
		"Your role", org.GetMyRole(),
		"Created", p.at(org.GetCreateTime()),
		"Changed", p.at(org.GetUpdateTime()),
		"Etag", org.GetEtag(),
	)
}

// permissionFields shows what the caller may do, by what it is about.
func permissionFields(p *page, permissions []string) {
	var pairs []string
	for _, permission := range permissions { // sorted
		about, verb, _ := strings.Cut(permission, ".")
		if n := len(pairs); n > 0 && pairs[n-2] == "  "+about {
			pairs[n-1] += " " + verb
		} else {
			pairs = append(pairs, "  "+about, verb)
		}
	}
	p.line("You may:")
	p.fields(pairs...)
}

func (a *app) orgListCommand() *cobra.Command {
	var limit paging
	c := &cobra.Command{
		Use:   "list",
		Short: "List the organizations that you belong to, by name",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect(person)
			if err != nil {
				return err
			}
			answer := &membershipv1.ListOrganizationsResponse{}
			err = limit.each(func(size int32, token string) (int, string, error) {
				page, err := call(cmd.Context(), a, c.Organizations.ListOrganizations,
					&membershipv1.ListOrganizationsRequest{PageSize: size, PageToken: token})
				if err != nil {
					return 0, "", err
				}
				answer.Organizations = append(answer.Organizations, page.GetOrganizations()...)
				answer.NextPageToken = page.GetNextPageToken()
				return len(page.GetOrganizations()), page.GetNextPageToken(), nil
			})
			if err != nil {
				return err
			}
			byDefault, _ := a.organization() // none is fine here
			defer a.noteMore(answer.GetNextPageToken())
			return a.show(answer, func(p *page) {
				if len(answer.GetOrganizations()) == 0 {
					p.line("No organizations. Create one: roster org create NAME --preset PRESET")
					return
				}
				var rows [][]string
				for _, org := range answer.GetOrganizations() {
					mark := ""
					if org.GetId() == byDefault {
						mark = "yes"
					}
					rows = append(rows, []string{org.GetDisplayName(), word(org.GetPreset()), org.GetMyRole(), p.ago(org.GetCreateTime()), mark, org.GetId()})
				}
				p.table([]string{"NAME", "PRESET", "YOUR ROLE", "CREATED", "DEFAULT", "ID"}, rows)
			})
		},
	}
	limit.flags(c)
	return c
}

func (a *app) orgGetCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "get [ORGANIZATION]",
		Short: "Show an organization, and what you may do there",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within(args...)
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Organizations.GetOrganization, &membershipv1.GetOrganizationRequest{OrganizationId: org})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				organizationFields(p, answer.GetOrganization())
				permissionFields(p, answer.GetOrganization().GetMyPermissions())
			})
		},
	}
}

func (a *app) orgUseCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "use ORGANIZATION",
		Short: "Save the organization that other commands are about by default",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(person)
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Organizations.GetOrganization, &membershipv1.GetOrganizationRequest{OrganizationId: args[0]})
			if err != nil {
				return err
			}
			org := answer.GetOrganization()
			if err := a.keep(func(s *keptServer) { s.Organization = org.GetId() }); err != nil {
				return err
			}
			return a.show(answer, func(p *page) { p.line("Commands are now about %s (%s).", org.GetDisplayName(), org.GetId()) })
		},
	}
}

func (a *app) orgUpdateCommand() *cobra.Command {
	var name, etag string
	c := &cobra.Command{
		Use:   "update [ORGANIZATION] --name NAME",
		Short: "Rename an organization",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if name == "" {
				return usageError{"--name is missing"}
			}
			org, c, err := a.within(args...)
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Organizations.UpdateOrganization,
				&membershipv1.UpdateOrganizationRequest{OrganizationId: org, DisplayName: name, Etag: etag})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { organizationFields(p, answer.GetOrganization()) })
		},
	}
	c.Flags().StringVar(&name, "name", "", "the new name")
	etagFlag(c, &etag)
	return c
}

func etagFlag(c *cobra.Command, etag *string) {
	c.Flags().StringVar(etag, "etag", "", "the etag that you have read: refuse when it was changed since")
}

func (a *app) orgDeleteCommand() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "delete ORGANIZATION",
		Short: "Delete an organization: nobody has access any more, its invitations are void",
		Args:  cobra.ExactArgs(1), // never the default: that is too easy to forget
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, org := cmd.Context(), args[0]
			c, err := a.connect(person)
			if err != nil {
				return err
			}
			err = a.confirm(ctx, yes, func() (string, error) {
				answer, err := call(ctx, a, c.Organizations.GetOrganization, &membershipv1.GetOrganizationRequest{OrganizationId: org})
				return "Delete the organization " + answer.GetOrganization().GetDisplayName() + " (" + org + ") for everyone, for ever?", err
			})
			if err != nil {
				return err
			}
			answer, err := call(ctx, a, c.Organizations.DeleteOrganization, &membershipv1.DeleteOrganizationRequest{OrganizationId: org})
			if err != nil {
				return err
			}
			if saved, err := a.saved(); err == nil && saved.Organization == org {
				if err := a.keep(func(s *keptServer) { s.Organization = "" }); err != nil {
					return err
				}
			}
			return a.show(answer, func(p *page) { p.line("Organization %s is deleted.", org) })
		},
	}
	yesFlag(c, &yes)
	return c
}

func yesFlag(c *cobra.Command, yes *bool) {
	c.Flags().BoolVarP(yes, "yes", "y", false, "do not ask")
}
