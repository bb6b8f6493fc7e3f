package cli

import (
	"github.com/spf13/cobra"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

func (a *app) domainCommand() *cobra.Command {
	return groupOf("domain", "Mail domains of an organization, whose people join by themselves",
		a.domainAddCommand(), a.domainVerifyCommand(), a.domainGetCommand(), a.domainListCommand(), a.domainRemoveCommand(), a.domainWaitingCommand())
}

func domainFields(p *page, d *membershipv1.Domain) {
	p.fields(
		"Domain", d.GetName(),
		"Status", word(d.GetState()),
		"Record", d.GetRecordName(),
		"Type", "TXT",
		"Value", d.GetRecordValue(),
		"Added", p.at(d.GetCreateTime()),
		"Verified", p.at(d.GetVerifyTime()),
		"Checked", p.at(d.GetCheckTime()),
		"Missing since", p.at(d.GetMissingTime()),
		"Id", d.GetId(),
	)
}

func (a *app) domainAddCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "add DOMAIN",
		Short: "Add a domain, and show the DNS record that proves it is yours",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Domains.AddDomain, &membershipv1.AddDomainRequest{OrganizationId: org, Domain: args[0]})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				d := answer.GetDomain()
				p.line("Write this into the DNS of %s, and leave it there:", d.GetName())
				p.line("")
				p.line("  %s  TXT  %q", d.GetRecordName(), d.GetRecordValue())
				p.line("")
				p.line("Then: roster domain verify %s", d.GetName())
			})
		},
	}
}

func (a *app) domainVerifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "verify DOMAIN",
		Short: "Look for the domain's record in the DNS",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Domains.VerifyDomain, &membershipv1.VerifyDomainRequest{OrganizationId: org, Domain: args[0]})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				p.line("%s is %s.", answer.GetDomain().GetName(), word(answer.GetDomain().GetState()))
			})
		},
	}
}

func (a *app) domainGetCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "get DOMAIN",
		Short: "Show a domain and its DNS record",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Domains.GetDomain, &membershipv1.GetDomainRequest{OrganizationId: org, Domain: args[0]})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { domainFields(p, answer.GetDomain()) })
		},
	}
}

func (a *app) domainListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the domains",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Domains.ListDomains, &membershipv1.ListDomainsRequest{OrganizationId: org})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				var rows [][]string
				for _, d := range answer.GetDomains() {
					rows = append(rows, []string{d.GetName(), word(d.GetState()), p.at(d.GetVerifyTime()), p.at(d.GetMissingTime())})
				}
				p.table([]string{"DOMAIN", "STATUS", "VERIFIED", "MISSING SINCE"}, rows)
			})
		},
	}
}

func (a *app) domainRemoveCommand() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "remove DOMAIN",
		Short: "Forget a domain; who joined through it stays",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			org, c, err := a.within()
			if err != nil {
				return err
			}
			err = a.confirm(ctx, yes, func() (string, error) {
				answer, err := call(ctx, a, c.Domains.GetDomain, &membershipv1.GetDomainRequest{OrganizationId: org, Domain: args[0]})
				return "Remove " + answer.GetDomain().GetName() + " from " + org + "?", err
			})
			if err != nil {
				return err
			}
			answer, err := call(ctx, a, c.Domains.RemoveDomain, &membershipv1.RemoveDomainRequest{OrganizationId: org, Domain: args[0]})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { p.line("%s is removed. Its DNS record can go too.", args[0]) })
		},
	}
	yesFlag(c, &yes)
	return c
}

func (a *app) domainWaitingCommand() *cobra.Command {
	var limit paging
	c := &cobra.Command{
		Use:   "waiting",
		Short: "List who would have joined through a domain and waits for a seat",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer := &membershipv1.ListWaitingJoinsResponse{}
			err = limit.each(func(size int32, token string) (int, string, error) {
				page, err := call(cmd.Context(), a, c.Domains.ListWaitingJoins,
					&membershipv1.ListWaitingJoinsRequest{OrganizationId: org, PageSize: size, PageToken: token})
				if err != nil {
					return 0, "", err
				}
				answer.Joins = append(answer.Joins, page.GetJoins()...)
				answer.NextPageToken = page.GetNextPageToken()
				return len(page.GetJoins()), page.GetNextPageToken(), nil
			})
			if err != nil {
				return err
			}
			defer a.noteMore(answer.GetNextPageToken())
			return a.show(answer, func(p *page) {
				var rows [][]string
				for _, j := range answer.GetJoins() {
					rows = append(rows, []string{j.GetDisplayName(), j.GetEmail(), j.GetDomain(), p.at(j.GetCreateTime()), j.GetAccountId()})
				}
				p.table([]string{"NAME", "EMAIL", "DOMAIN", "SINCE", "ACCOUNT"}, rows)
			})
		},
	}
	limit.flags(c)
	return c
}
