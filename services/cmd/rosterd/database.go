package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/rosterhq/roster/services/dev"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// databaseServices are the services that have a database.
var databaseServices = []string{"billing", "identity", "invitation", "membership"}

// provisionCommand makes what a database administrator makes for a service.
func provisionCommand() *cobra.Command {
	var dsn, passwordFile string
	cmd := &cobra.Command{
		Use:   "provision SERVICE",
		Short: "Make the database of a service, its owner and its runtime role",
		Long: `Make the database of a service, its owner SERVICE_owner, which migrates, and its login role SERVICE, which runs and owns
nothing. SERVICE is one of ` + strings.Join(databaseServices, ", ") + `. Doing it again changes nothing but the password.`,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: databaseServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			var password []byte
			if passwordFile != "" {
				var err error
				if password, err = os.ReadFile(passwordFile); err != nil {
					return err
				}
			}
			admin, err := pgx.Connect(cmd.Context(), dsn)
			if err != nil {
				return fmt.Errorf("connect to PostgreSQL: %w", err)
			}
			defer admin.Close(cmd.Context())
			return postgres.Provision(cmd.Context(), admin, args[0], strings.TrimSpace(string(password)))
		},
	}
	cmd.Flags().StringVar(&dsn, "admin-database-url", "", "DSN of an administrator, who may create databases and roles")
	cmd.Flags().StringVar(&passwordFile, "password-file", "", "file with the password that both roles get; none by default")
	must(cmd.MarkFlagRequired("admin-database-url"))
	return cmd
}

// migrateCommand brings one service's database to the newest version.
func migrateCommand() *cobra.Command {
	var dsn string
	cmd := &cobra.Command{
		Use:       "migrate SERVICE",
		Short:     "Bring the database of a service to the newest version",
		Long:      "Bring the database of a service to the newest version. SERVICE is one of " + strings.Join(databaseServices, ", ") + ".",
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: databaseServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			return postgres.Migrate(cmd.Context(), dsn, dev.Migrations[args[0]])
		},
	}
	cmd.Flags().StringVar(&dsn, "owner-database-url", "", "DSN of the database, as its owner")
	must(cmd.MarkFlagRequired("owner-database-url"))
	return cmd
}

// must stops a program that is put together wrongly.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
