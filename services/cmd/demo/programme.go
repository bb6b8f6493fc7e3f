package main

import (
	"fmt"
	"text/tabwriter"
)

// programme prints who to sign in as, and what to open.
func (d *demo) programme() {
	d.say("\nSign in with the password  %s\n", password)
	table := tabwriter.NewWriter(d.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ORGANIZATION\tSIGN IN AS\tNAME\tROLE\t")
	for _, o := range cast {
		founders := "owner"
		if o.parts[0].role == "member" { // flat: all are the same
			founders = "member"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t\n", o.name, o.founder.email, o.founder.name, founders)
		for _, p := range o.parts {
			switch p.end {
			case joins:
				fmt.Fprintf(table, "\t%s\t%s\t%s\t\n", p.login(), p.name, p.role)
			case disabled:
				fmt.Fprintf(table, "\t%s\t%s\t%s\tdisabled\n", p.login(), p.name, p.role)
			}
		}
	}
	table.Flush()

	d.say("\nOpen\n")
	table = tabwriter.NewWriter(d.out, 0, 0, 2, ' ', 0)
	page := func(path, shows string, args ...any) {
		fmt.Fprintf(table, "  %s%s\t%s\n", d.url, path, fmt.Sprintf(shows, args...))
	}
	page("/sign-in", "sign in")
	page("/docs", "the API")
	page("/dev/mail", "all mail")
	for _, o := range cast {
		for _, p := range o.parts {
			if p.end == pending && p.email != "" {
				page("/dev/mail?q="+p.email, "accept or decline as %s, who is invited to %s", p.name, o.name)
			}
		}
	}
	table.Flush()

	d.say("\nHow they differ\n")
	for _, o := range cast {
		fmt.Fprintf(table, "  %s\t%s\n", o.name, o.about)
	}
	table.Flush()
}

func (p person) login() string {
	if p.email != "" {
		return p.email
	}
	return p.username
}
