package cli

import (
	"cmp"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

func (a *app) peopleCommand() *cobra.Command {
	var (
		limit          paging
		view, show     string
		sort, inactive string
		states         []string
		stateNames     = words(membershipv1.Person_State_name)
		viewNames      = words(membershipv1.ListPeopleRequest_View_name)
		showNames      = words(membershipv1.ListPeopleRequest_Show_name)
		orderNames     = words(membershipv1.ListPeopleRequest_Order_name)
		noFile         = cobra.ShellCompDirectiveNoFileComp
		request        = &membershipv1.ListPeopleRequest{}
		completeStates = cobra.FixedCompletions(stateNames, noFile)
		completeViews  = cobra.FixedCompletions(viewNames, noFile)
		completeShows  = cobra.FixedCompletions(showNames, noFile)
		completeOrders = cobra.FixedCompletions(orderNames, noFile)
	)
	c := &cobra.Command{
		Use:   "people",
		Short: "List members and pending invitations",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if request.OrganizationId, err = a.organization(); err != nil {
				return err
			}
			if request.States, err = values[membershipv1.Person_State]("status", states, membershipv1.Person_State_name); err != nil {
				return err
			}
			if view != "" {
				if request.View, err = value[membershipv1.ListPeopleRequest_View]("view", view, membershipv1.ListPeopleRequest_View_name); err != nil {
					return err
				}
			}
			if show != "" {
				if request.Availability, err = value[membershipv1.ListPeopleRequest_Show]("availability", show, membershipv1.ListPeopleRequest_Show_name); err != nil {
					return err
				}
			}
			if sort != "" {
				if request.OrderBy, err = value[membershipv1.ListPeopleRequest_Order]("sort", sort, membershipv1.ListPeopleRequest_Order_name); err != nil {
					return err
				}
			}
			if inactive != "" {
				since, err := a.time("inactive-since", inactive)
				if err != nil {
					return err
				}
				request.InactiveSince = timestamppb.New(since)
			}
			c, err := a.connect(person)
			if err != nil {
				return err
			}
			answer := &membershipv1.ListPeopleResponse{}
			err = limit.each(func(size int32, token string) (int, string, error) {
				request.PageSize, request.PageToken = size, token
				page, err := call(cmd.Context(), a, c.Members.ListPeople, request)
				if err != nil {
					return 0, "", err
				}
				answer.People = append(answer.People, page.GetPeople()...)
				answer.NextPageToken, answer.TotalSize, answer.Token = page.GetNextPageToken(), page.GetTotalSize(), page.GetToken()
				return len(page.GetPeople()), page.GetNextPageToken(), nil
			})
			if err != nil {
				return err
			}
			defer a.noteMore(answer.GetNextPageToken())
			return a.show(answer, func(p *page) { peopleTable(p, request, answer) })
		},
	}
	c.Flags().StringVar(&request.Query, "query", "", "part of a name, address or username")
	c.Flags().StringSliceVar(&states, "status", nil, "only these: "+strings.Join(stateNames, ", "))
	c.Flags().StringSliceVar(&request.Roles, "role", nil, "only these roles")
	c.Flags().StringVar(&request.GroupId, "group", "", "only members of this group and of groups inside of it, by id")
	c.Flags().StringVar(&request.ProjectId, "project", "", "only direct members of this project, by id")
	c.Flags().StringVar(&show, "availability", "", "which members, by availability: "+strings.Join(showNames, ", "))
	c.Flags().StringVar(&view, "view", "", "which rows: "+strings.Join(viewNames, ", "))
	c.RegisterFlagCompletionFunc("status", completeStates)
	c.RegisterFlagCompletionFunc("view", completeViews)
	c.RegisterFlagCompletionFunc("availability", completeShows)
	c.Flags().StringVar(&sort, "sort", "", "in which order: "+strings.Join(orderNames, ", ")+" (default name)")
	c.Flags().StringVar(&inactive, "inactive-since", "", "only members who have not been active since: 720h, or a time such as 2026-03-01T12:00:00Z")
	c.RegisterFlagCompletionFunc("sort", completeOrders)
	limit.flags(c)
	return c
}

func peopleTable(p *page, asked *membershipv1.ListPeopleRequest, answer *membershipv1.ListPeopleResponse) {
	if len(answer.GetPeople()) == 0 {
		everybody := &membershipv1.ListPeopleRequest{OrganizationId: asked.GetOrganizationId(), View: asked.GetView(), OrderBy: asked.GetOrderBy(),
			PageSize: asked.GetPageSize(), PageToken: asked.GetPageToken()}
		switch {
		case !proto.Equal(asked, everybody):
			p.line("Nobody matches. With --view and --sort alone everybody is listed.")
		case asked.GetView() == membershipv1.ListPeopleRequest_VIEW_INVITATIONS:
			p.line("No pending invitations. Invite somebody: roster invite create EMAIL --role ROLE")
		default:
			p.line("Nobody is here. Invite somebody: roster invite create EMAIL --role ROLE")
		}
		return
	}
	var rows [][]string
	for _, person := range answer.GetPeople() {
		since := p.ago(person.GetJoinTime())
		if person.GetState() == membershipv1.Person_STATE_PENDING && person.GetExpireTime() != nil {
			since += ", ends " + p.ago(person.GetExpireTime())
		}
		rows = append(rows, []string{
			person.GetDisplayName(), person.GetEmail(), person.GetPhone(), person.GetUsername(), person.GetRole(), word(person.GetState()),
			since, p.ago(person.GetLastActivityTime()), cmp.Or(person.GetAccountId(), person.GetInvitationId()),
		})
	}
	p.table([]string{"NAME", "EMAIL", "PHONE", "USERNAME", "ROLE", "STATUS", "SINCE", "LAST ACTIVE", "ID"}, rows)
}
