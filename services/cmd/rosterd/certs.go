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

// certsCommand makes what the TLS settings of the roles and of NATS ask for.
func certsCommand() *cobra.Command {
	all := make([]string, 0, len(roles)+1)
	for _, r := range roles {
		all = append(all, r.name)
	}
	all = append(all, "nats")
	var dir string
	var chosen, clients, hosts []string
	cmd := &cobra.Command{
		Use:   "certs --out DIR",
		Short: "Make or renew the certificates by which the roles and NATS know one another",
		Long: `Make or renew the certificates by which the roles and NATS know one another: a private authority, and one
certificate each that it signs. For those who have no authority of their own.

A role is given ca.pem, <role>.pem and <role>.key, as --tls-ca, --tls-cert and --tls-key, and by them NATS knows it too.
The NATS server is given ca.pem, nats.pem and nats.key, with the names in --nats-host; another client of NATS, made
with --client, has the permissions that the server's configuration gives to the user roster://<client>. ca.key stays in
the folder and signs the next ones: keep it as you keep a password.

Certificates last a year. Run the command again now and then, once a month for example: it renews what has less than 90
days left and keeps the rest. Roles that run take the new files by themselves; tell the NATS server to reload.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, role := range chosen {
				if !slices.Contains(all, role) {
					return fmt.Errorf("there is no role %q: it is one of %s", role, strings.Join(all, ", "))
				}
			}
			for _, client := range clients {
				if slices.Contains(all, client) {
					return fmt.Errorf("a client cannot be called %q: that is a role", client)
				}
			}
			done, err := certs.Renew(dir, append(chosen, clients...), map[string][]string{"nats": hosts}, time.Now())
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
	cmd.Flags().StringSliceVar(&chosen, "role", all, "only these roles; nats is the NATS server")
	cmd.Flags().StringSliceVar(&clients, "client", nil, "also for these clients of NATS, which are no roles")
	cmd.Flags().StringSliceVar(&hosts, "nats-host", []string{"localhost", "127.0.0.1", "::1"}, "host names and IP addresses of the NATS server")
	if err := cmd.MarkFlagRequired("out"); err != nil {
		panic(err) // the flag is defined above
	}
	return cmd
}
