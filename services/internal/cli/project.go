package cli

import (
	"cmp"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

func (a *app) projectCommand() *cobra.Command {
	return groupOf("project", "Projects, and who has a role in them",
		a.projectCreateCommand(), a.projectListCommand(), a.projectGetCommand(), a.projectUpdateCommand(), a.projectDeleteCommand(),
		a.projectMembersCommand(), a.projectAddCommand(), a.projectRemoveCommand())
}

func projectFields(p *page, project *membershipv1.Project) {
	p.fields(
		"Project", project.GetId(),
		"Name", project.GetDisplayName(),
		"Description", project.GetDescription(),
		"Created", p.at(project.GetCreateTime()),
		"Etag", project.GetEtag(),
	)
}

func (a *app) projectCreateCommand() *cobra.Command {
	req := &membershipv1.CreateProjectRequest{}
	c := &cobra.Command{
		Use:   "create NAME",
		Short: "Create a project",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			req.OrganizationId, req.DisplayName = org, args[0]
			answer, err := call(cmd.Context(), a, c.Projects.CreateProject, req)
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { projectFields(p, answer.GetProject()) })
		},
	}
	c.Flags().StringVar(&req.Description, "description", "", "what it is for")
	return c
}

func (a *app) projectListCommand() *cobra.Command {
	var limit paging
	c := &cobra.Command{
		Use:   "list",
		Short: "List the projects",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer := &membershipv1.ListProjectsResponse{}
			err = limit.each(func(size int32, token string) (int, string, error) {
				page, err := call(cmd.Context(), a, c.Projects.ListProjects,
					&membershipv1.ListProjectsRequest{OrganizationId: org, PageSize: size, PageToken: token})
				answer.Projects = append(answer.Projects, page.GetProjects()...)
				answer.NextPageToken = page.GetNextPageToken()
				return len(page.GetProjects()), page.GetNextPageToken(), err
			})
			if err != nil {
				return err
			}
			defer a.noteMore(answer.GetNextPageToken())
			return a.show(answer, func(p *page) {
				var rows [][]string
				for _, project := range answer.GetProjects() {
					rows = append(rows, []string{project.GetDisplayName(), project.GetDescription(), p.ago(project.GetCreateTime()), project.GetId()})
				}
				p.table([]string{"NAME", "DESCRIPTION", "CREATED", "ID"}, rows)
			})
		},
	}
	limit.flags(c)
	return c
}

func (a *app) projectGetCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "get PROJECT",
		Short: "Show a project",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Projects.GetProject, &membershipv1.GetProjectRequest{OrganizationId: org, ProjectId: args[0]})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { projectFields(p, answer.GetProject()) })
		},
	}
}

func (a *app) projectUpdateCommand() *cobra.Command {
	req := &membershipv1.UpdateProjectRequest{}
	c := &cobra.Command{
		Use:   "update PROJECT",
		Short: "Change a project; a flag that is given empty empties the field",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			req.UpdateMask = &fieldmaskpb.FieldMask{}
			for flag, field := range map[string]string{"name": "display_name", "description": "description"} {
				if cmd.Flags().Changed(flag) {
					req.UpdateMask.Paths = append(req.UpdateMask.Paths, field)
				}
			}
			if len(req.GetUpdateMask().GetPaths()) == 0 {
				return usageError{"nothing to change: give --name or --description"}
			}
			org, c, err := a.within()
			if err != nil {
				return err
			}
			req.OrganizationId, req.ProjectId = org, args[0]
			answer, err := call(cmd.Context(), a, c.Projects.UpdateProject, req)
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { projectFields(p, answer.GetProject()) })
		},
	}
	c.Flags().StringVar(&req.DisplayName, "name", "", "name")
	c.Flags().StringVar(&req.Description, "description", "", "what it is for")
	etagFlag(c, &req.Etag)
	return c
}

func (a *app) projectDeleteCommand() *cobra.Command {
	var yes bool
	req := &membershipv1.DeleteProjectRequest{}
	c := &cobra.Command{
		Use:   "delete PROJECT",
		Short: "Delete a project, and all that was given in it",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			err = a.confirm(ctx, yes, func() (string, error) {
				answer, err := call(ctx, a, c.Projects.GetProject, &membershipv1.GetProjectRequest{OrganizationId: org, ProjectId: args[0]})
				return "Delete the project " + answer.GetProject().GetDisplayName() + "?", err
			})
			if err != nil {
				return err
			}
			req.OrganizationId, req.ProjectId = org, args[0]
			answer, err := call(ctx, a, c.Projects.DeleteProject, req)
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

func (a *app) projectMembersCommand() *cobra.Command {
	var limit paging
	c := &cobra.Command{
		Use:   "members PROJECT",
		Short: "List who has a role in a project of their own",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer := &membershipv1.ListProjectMembersResponse{}
			err = limit.each(func(size int32, token string) (int, string, error) {
				page, err := call(cmd.Context(), a, c.Projects.ListProjectMembers,
					&membershipv1.ListProjectMembersRequest{OrganizationId: org, ProjectId: args[0], PageSize: size, PageToken: token})
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
					rows = append(rows, []string{cmp.Or(m.GetDisplayName(), "-"), m.GetRole(), yesNo(m.GetGuest()), p.ago(m.GetJoinTime()), m.GetAccountId()})
				}
				p.table([]string{"NAME", "ROLE", "GUEST", "JOINED", "ACCOUNT"}, rows)
			})
		},
	}
	limit.flags(c)
	return c
}

func (a *app) projectAddCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "add PROJECT ACCOUNT ROLE",
		Short: "Give a member a role in a project",
		Args:  cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Projects.AddProjectMember,
				&membershipv1.AddProjectMemberRequest{OrganizationId: org, ProjectId: args[0], AccountId: args[1], Role: args[2]})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { p.line("%s is %s in %s.", args[1], answer.GetMember().GetRole(), args[0]) })
		},
	}
}

func (a *app) projectRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "remove PROJECT ACCOUNT",
		Short: "End a membership in a project, a guest's too",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Projects.RemoveProjectMember,
				&membershipv1.RemoveProjectMemberRequest{OrganizationId: org, ProjectId: args[0], AccountId: args[1]})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { p.line("%s is no longer in %s.", args[1], args[0]) })
		},
	}
}
