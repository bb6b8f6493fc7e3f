package main

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/rosterhq/roster/services/internal/certs"
)

// certsCommand makes what the TLS settings of the roles ask for.
func certsCommand() *cobra.Command {
	all := make([]string, 0, len(roles))
	for _, r := range roles {
		all = append(all, r.name)
	}
	var dir string
	var chosen []string
	cmd := &cobra.Command{
		Use:   "certs --out DIR",
		Short: "Make or renew the certificates by which the roles know one another",
		Long: `Make or renew the certificates by which the roles know one another: a private authority, and one certificate per
role that it signs. For those who have no authority of their own.

A role is given ca.pem, <role>.pem and <role>.key, as --tls-ca, --tls-cert and --tls-key. ca.key stays in the folder and
signs the next ones: keep it as you keep a password. Certificates last a year. Run the command again now and then, once
a month for example: it renews what has less than 90 days left and keeps the rest. Roles that run take the new files
by themselves.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, role := range chosen {
				if !slices.Contains(all, role) {
					return fmt.Errorf("there is no role %q: it is one of %s", role, strings.Join(all, ", "))
				}
			}
			done, err := certs.Renew(dir, chosen, time.Now())
			table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, c := range done {
				what := "kept"
				if c.Made {
					what = "made"
				}
				fmt.Fprintf(table, "%s\t%s, good until %s\n", c.File, what, c.Until.UTC().Format(time.DateOnly))
			}
			if flushed := table.Flush(); err == nil {
				err = flushed
			}
			return err
		},
	}
	cmd.Flags().StringVar(&dir, "out", "", "folder of the certificates; made when absent")
	cmd.Flags().StringSliceVar(&chosen, "role", all, "only these roles")
	if err := cmd.MarkFlagRequired("out"); err != nil {
		panic(err) // the flag is defined above
	}
	return cmd
}
