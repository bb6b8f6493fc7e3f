// Command failover loses the primary of a PostgreSQL pair under load, promotes its synchronous standby, and asks whether Roster
// has kept what it promises.
//
//	go run ./services/chaos/failover -seconds 20
//
// Two processes of every role run as in production; each knows both servers by one DSN. The primary is lost in two ways, one
// suite each. Killed, it is gone. Isolated, it runs on and believes that it is the primary: its standby hears nothing of it,
// nor do the services, but for one process of membership, which reaches the old primary alone. That one is asked all
// the time whether somebody has access who is removed on the new primary.
//
// The promotion is done here, by hand: electing a new primary is the business of what operates PostgreSQL.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rosterhq/roster/services/chaos/linear"
	"github.com/rosterhq/roster/services/chaos/load"
	"github.com/rosterhq/roster/services/internal/fleet"
	"github.com/rosterhq/roster/services/internal/verify"
)

// goal is how soon clients' changes are made again, an election included.
const goal = 35 * time.Second

// election is how long nobody has been promoted.
const election = time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "failover:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	flags := flag.NewFlagSet("failover", flag.ContinueOnError)
	seconds := flags.Float64("seconds", 20, "of load before the primary is lost, and again after")
	rate := flags.Float64("rate", 100, "operations a second at most")
	seed := flags.Uint64("seed", 0, "of the load; 0: another one each time")
	out := flags.String("out", "", "folder for the histories and the logs; a temporary one by default")
	if err := flags.Parse(os.Args[1:]); err != nil {
		return err
	}
	var err error
	if *out == "" {
		*out, err = os.MkdirTemp("", "roster-failover-*")
	} else {
		err = os.MkdirAll(*out, 0o755)
	}
	if err != nil {
		return err
	}
	if err := os.Chmod(*out, 0o711); err != nil { // PostgreSQL's user has to pass through
		return err
	}
	*seed = cmp.Or(*seed, rand.Uint64())
	fmt.Printf("seed %d, in %s\n", *seed, *out)
	rosterd, err := fleet.Build(ctx, *out)
	if err != nil {
		return err
	}
	wrong := false
	fmt.Print("\n| Primary | operations | refused | unknown | changes again after | goal | asked of the old one | stale | lost or wrong | not possible |\n" +
		"|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, way := range []string{"killed", "isolated"} {
		l := loss{way: way, dir: filepath.Join(*out, way), rosterd: rosterd, seed: *seed, rate: *rate, load: time.Duration(*seconds * float64(time.Second))}
		if err := l.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", way, err)
		}
		wrong = l.print() || wrong
	}
	if wrong {
		return fmt.Errorf("something is wrong; everything about it is in %s", *out)
	}
	return nil
}

// loss is one way to lose the primary, and what came of it.
type loss struct {
	way, dir, rosterd string
	seed              uint64
	rate              float64
	load              time.Duration

	operations []load.Operation
	gap        time.Duration // from the loss to the first change that was begun after it and acknowledged
	asked      int           // of the process at the old primary
	stale      []string
	settled    *verify.Report
	impossible []linear.Verdict
}

func (l *loss) run(ctx context.Context) (err error) {
	s, err := raise(ctx, l.dir, l.rosterd)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	mutations, err := os.Create(filepath.Join(l.dir, "history.jsonl"))
	if err != nil {
		return err
	}
	defer mutations.Close()
	reads, err := os.Create(filepath.Join(l.dir, "reads.jsonl"))
	if err != nil {
		return err
	}
	defer reads.Close()
	history := load.NewHistory(mutations, reads)
	clients, err := load.Prepare(ctx, load.Config{
		URLs: s.fleet.URLs, Conn: s.fleet.Conn(), Inbox: s.fleet.Mail, Claim: s.fleet.Claim, History: history, Seed: l.seed, Rate: l.rate})
	if err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	w, err := s.watch(ctx)
	if err != nil {
		return fmt.Errorf("prepare: %w", err)
	}

	during, over := context.WithCancel(ctx)
	defer over()
	var acting sync.WaitGroup
	acting.Go(func() { clients.Run(during) })
	if err := pause(ctx, l.load); err != nil {
		return err
	}
	lost := history.Now()
	switch l.way {
	case "killed":
		if err := errors.Join(s.fleet.Postgres.Crash(), s.join()); err != nil {
			return err
		}
	case "isolated":
		acting.Go(func() { w.ask(during) })
		s.isolate()
	}
	if err := pause(ctx, election); err != nil {
		return err
	}
	if err := s.standby.Promote(ctx); err != nil {
		return err
	}
	if l.way == "isolated" {
		if err := w.removeAll(ctx); err != nil {
			return err
		}
	}
	if err := pause(ctx, l.load); err != nil {
		return err
	}
	over()
	if l.way == "isolated" { // it is found and shut down, and all go to the new one
		if err := s.fleet.Postgres.Crash(); err != nil {
			return err
		}
		if err := s.join(); err != nil {
			return err
		}
	}
	acting.Wait()
	clients.Settle()
	if l.operations, err = history.Operations(); err != nil {
		return err
	}
	l.gap = gap(l.operations, lost)
	l.asked, l.stale = w.judge()
	return l.check(ctx, s)
}

// check asks the new primary, the stream and the history.
func (l *loss) check(ctx context.Context, s *stage) error {
	dsns := make(map[string]string)
	for _, service := range fleet.Services {
		dsns[service] = s.standby.DSN(service, "postgres")
	}
	checker, err := verify.Open(ctx, dsns)
	if err != nil {
		return err
	}
	defer checker.Close()
	conn, err := s.fleet.ConnectNATS()
	if err != nil {
		return err
	}
	defer conn.Close()
	stream, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	var told []verify.Operation
	for _, o := range l.operations {
		if !isRead[o.Verb] {
			told = append(told, o.Operation)
		}
	}
	if l.settled, err = checker.Check(ctx, verify.Options{Settled: true, Stream: stream, History: told, Wait: time.Minute}); err != nil {
		return err
	}
	for _, v := range linear.Judge(l.operations, 2*time.Minute) {
		if !v.Right() {
			l.impossible = append(l.impossible, v)
		}
	}
	return nil
}

var isRead = map[verify.Verb]bool{load.CheckAccess: true, load.GetMember: true, load.ListPeople: true, load.GetSeatUsage: true}

// gap is how long after the loss the first change was acknowledged that was asked for after it.
func gap(operations []load.Operation, lost time.Duration) time.Duration {
	var first time.Duration
	for _, o := range operations {
		if o.Call >= lost && o.Outcome == verify.OK && !isRead[o.Verb] && (first == 0 || o.Back < first) {
			first = o.Back
		}
	}
	if first == 0 {
		return time.Hour // never
	}
	return first - lost
}

// print prints a line of the table, and what is wrong below it.
func (l *loss) print() (wrong bool) {
	outcomes := make(map[verify.Outcome]int)
	for _, o := range l.operations {
		outcomes[o.Outcome]++
	}
	fmt.Printf("| %s | %d | %d | %d | %.1f s | %.0f s | %d | %d | %d | %d |\n", l.way, len(l.operations), outcomes[verify.Refused], outcomes[verify.Unknown],
		l.gap.Seconds(), goal.Seconds(), l.asked, len(l.stale), len(l.settled.Findings), len(l.impossible))
	var lines []string
	lines = append(lines, l.stale...)
	for _, f := range l.settled.Findings {
		lines = append(lines, strings.Join([]string{f.ID, f.Service, f.Organization, f.Subject, f.Detail}, " "))
	}
	for _, v := range l.impossible {
		lines = append(append(lines, v.String()), v.Excerpt()...)
	}
	for _, line := range lines[:min(40, len(lines))] {
		fmt.Println("-", line)
	}
	return len(lines) > 0 || l.gap > goal
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
