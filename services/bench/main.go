// Command bench measures the suite against what the machine can do at most, side by side in one run: CheckAccess against
// an empty call, the gateway against the service behind it, changes of members against pgbench, which runs a transaction of
// five rows on the same PostgreSQL, and the way of an event against the least that JetStream and a relay need.
//
//	go run ./services/bench -dur 3s -rounds 3
//	go run ./services/bench flood -dur 30s -networks 500
//
// The suite runs as `rosterd dev` runs it, in a process of its own: fsync on, the relay and the sweepers at work. What is
// timed on its inside runs in this process, with a NATS server beside it that syncs every message. What counts are ratios: each is made inside a round and the median of the rounds is printed. Rates are those of the
// machine and of its other users.
//
// The second measures what a flood of bad sign-ins does to everybody else, with a process for every role (flood.go).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
	"time"
)

// config is what the flags say.
type config struct {
	dur           time.Duration
	rounds        int
	callers       int
	organizations int
	people        int
	only          *regexp.Regexp
	profile       string
	statements    bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	if len(os.Args) > 1 && os.Args[1] == floodCommand {
		return runFlood(ctx, os.Args[2:])
	}
	if len(os.Args) == 3 {
		switch os.Args[1] {
		case serveCommand:
			return serve(ctx, os.Args[2])
		case natsCommand:
			return serveNATS(ctx, os.Args[2])
		}
	}
	var c config
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.DurationVar(&c.dur, "dur", 3*time.Second, "length of one measurement")
	flags.IntVar(&c.rounds, "rounds", 3, "how often everything is measured; medians are printed")
	flags.IntVar(&c.callers, "callers", 16, "callers, each with one call under way")
	flags.IntVar(&c.organizations, "organizations", 200, "organizations that calls are spread over")
	flags.IntVar(&c.people, "people", 32, "people who own them and join them")
	only := flags.String("only", "", "measure only figures whose name matches this regular expression")
	flags.StringVar(&c.profile, "profile", "", "folder for a CPU profile of the server per figure, from the last round")
	flags.BoolVar(&c.statements, "statements", false, "tell which statements a call costs; rates suffer")
	if err := flags.Parse(os.Args[1:]); err != nil {
		return err
	}
	var err error
	if c.only, err = regexp.Compile(*only); err != nil {
		return err
	}
	if c.rounds < 1 || c.callers < 1 || c.people <= c.callers+max(1, c.callers/2) || c.organizations < 1 {
		return errors.New("needs at least one round, one caller, one organization, and twice as many people as callers")
	}
	data, err := os.MkdirTemp("", "roster-bench-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(data)
	if err := os.Chmod(data, 0o711); err != nil { // PostgreSQL's user has to pass through
		return err
	}
	begin := start
	if c.statements {
		begin = startCounting
	}
	suite, err := begin(ctx, filepath.Join(data, "suite"))
	if err != nil {
		return err
	}
	defer suite.stop()

	prepared := time.Now()
	yardstick, err := newYardstick(ctx, suite, data, c.callers)
	if err != nil {
		return err
	}
	defer yardstick.close()
	world, err := settle(ctx, suite, c)
	if err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	broker, err := startBroker(ctx, filepath.Join(data, "nats"))
	if err != nil {
		return err
	}
	defer broker.stop()
	rig, err := newRig(ctx, suite, broker, data, c.callers)
	if err != nil {
		return fmt.Errorf("prepare billing: %w", err)
	}
	defer rig.close()
	if err := yardstick.tidy(ctx); err != nil {
		return fmt.Errorf("tidy: %w", err)
	}
	fmt.Printf("prepared in %s: %d people in %d organizations and a hot one\n\n", time.Since(prepared).Round(time.Second), c.people, c.organizations)
	r := report{config: c}
	if err := r.measure(ctx, suite, yardstick, slices.Concat(figures(world, yardstick), eventFigures(rig, yardstick, c.callers))); err != nil {
		return err
	}
	r.print()
	return nil
}
