// Command rosterd runs Roster: one role of the suite, or with `rosterd dev` all of them.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C does not wait
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "rosterd:", err)
		os.Exit(1)
	}
}

// command is the whole command line.
func command() *cobra.Command {
	root := &cobra.Command{
		Use:           "rosterd",
		Short:         "Organizations, members, invitations, seats: one role of the suite, or all of them",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	logs := root.PersistentFlags().String("log", "info", "what is logged: debug, info, warn or error")
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		var level slog.Level
		if err := level.UnmarshalText([]byte(*logs)); err != nil {
			return fmt.Errorf("--log: %w", err)
		}
		slog.SetDefault(slog.New(handler(level)))
		return nil
	}
	root.AddCommand(devCommand(), provisionCommand(), migrateCommand(), verifyCommand(), certsCommand(), configCommand(), rotateKeysCommand())
	for _, r := range roles {
		root.AddCommand(r.command())
	}
	return root
}

// handler writes lines for people on a terminal, and JSON for machines elsewhere.
func handler(level slog.Level) slog.Handler {
	options := &slog.HandlerOptions{Level: level}
	if info, err := os.Stderr.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		return slog.NewTextHandler(os.Stderr, options)
	}
	return slog.NewJSONHandler(os.Stderr, options)
}
