package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rosterhq/roster/services/identity"
	"github.com/rosterhq/roster/services/internal/config"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/seal"
)

// keySettings say where identity keeps its keys.
type keySettings struct {
	DatabaseURL string `env:"DATABASE_URL" usage:"DSN of identity's database, as its runtime role"`
	KeyFile     string `env:"KEY_FILE" usage:"file with identity's keys"`
}

// rotateKeysCommand replaces the key that internal tokens are signed with.
func rotateKeysCommand() *cobra.Command {
	var settings keySettings
	var compromised bool
	cmd := &cobra.Command{
		Use:   "rotate-keys",
		Short: "Replace the key that identity signs internal tokens with",
		Long: `Replace the key that identity signs internal tokens with. Identity does so by itself every 30 days. The next key has been published for a while then,
and the old one stays published until nothing is left that it has signed: nobody is signed out.

With --compromised the old key is believed for one more minute at most.`,
		Args: cobra.NoArgs,
	}
	loader := config.Bind(cmd.Flags(), &settings)
	cmd.Flags().BoolVar(&compromised, "compromised", false, "somebody else knows the key that signs")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := loader.Load(); err != nil {
			return err
		}
		if settings.DatabaseURL == "" || settings.KeyFile == "" {
			return errors.New("--database-url and --key-file must be given, as identity has them")
		}
		key, err := seal.Load(settings.KeyFile)
		if err != nil {
			return err
		}
		db, err := postgres.Open(cmd.Context(), "identity", settings.DatabaseURL, key, postgres.Options{Conns: 1})
		if err != nil {
			return err
		}
		defer db.Close()
		if err := identity.New(identity.Dependencies{DB: db, Key: key}).RotateKeys(cmd.Context(), compromised); err != nil {
			return err
		}
		fmt.Fprintln(cmd.OutOrStdout(), "The next key signs, within five seconds everywhere.")
		return nil
	}
	return cmd
}
