package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/rosterhq/roster/services/dev"
)

// devCommand runs the whole suite in this process.
func devCommand() *cobra.Command {
	var c dev.Config
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run the whole suite in one process, for development",
		Long: `Run the whole suite in one process, for development.

Everything lives in one folder: a private PostgreSQL, JetStream, the mails. It survives a restart; delete the folder to
begin anew. Mail goes nowhere but to the page /dev/mail.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			running := false
			c.Started = func(a dev.Addresses) {
				running = true
				greet(cmd.OutOrStdout(), a)
			}
			err := dev.Run(cmd.Context(), c)
			if !running && cmd.Context().Err() != nil {
				return nil // interrupted while it started: what broke off is no news
			}
			return err
		},
	}
	cmd.Flags().StringVar(&c.Data, "data", ".roster", "folder of all data")
	cmd.Flags().StringVar(&c.HTTP, "http", "localhost:8080", "address of REST and pages")
	cmd.Flags().StringSliceVar(&c.AppOrigins, "app-origins", nil, "origins of your own apps, whose pages may call the API, such as http://localhost:3000")
	cmd.Flags().StringVar(&c.GRPC, "grpc", "localhost:9090", "address of gRPC")
	cmd.Flags().StringVar(&c.NATS, "nats", "localhost:4222", "address of NATS")
	cmd.Flags().StringVar(&c.Admin, "admin", "", "address of metrics and health; none by default")
	cmd.Flags().StringVar(&c.Postgres, "postgres", "", "use this PostgreSQL instead of a private one: a postgres:// URL that may create databases and roles")
	return cmd
}

// greet says where everything is.
func greet(out io.Writer, a dev.Addresses) {
	fmt.Fprintf(out, `
Roster is running.

  REST and pages  %s
  API reference   %s/docs
  mail            %s/dev/mail
  gRPC            %s (with reflection)
  events          %s
`, a.URL, a.URL, a.URL, a.GRPC, a.NATS)
	if a.Claim != "" {
		fmt.Fprintf(out, `
  No operator yet. Become one, once, within a day of the first start:

    roster operator claim %s
`, a.Claim)
	}
	fmt.Fprintf(out, "\nCtrl-C stops everything; the data stays.\n\n")
}
