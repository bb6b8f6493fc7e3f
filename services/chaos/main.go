// Command chaos breaks a running suite in every way that one machine allows, under load, and then asks whether Roster has
// kept what it promises.
//
//	go run ./services/chaos -minutes 10
//
// Two processes of every role run as in production, with PostgreSQL and NATS beside them and a proxy in each connection.
// Clients put a mixed load on them and remember what they were told. Meanwhile processes are killed, paused and
// restarted, PostgreSQL and NATS crash, NATS loses its data, disks fill up, connections are cut, slowed and reset, and mail is
// refused, several at once. The databases are checked during and after that, a consumer that hears through all of it
// must have heard everything once and in order, and what clients were told must be possible.
//
// It prints a page, leaves it with the histories in a folder, and ends with 1 if anything was wrong. Faults and load follow a
// seed; when what happens, the machine decides.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"time"

	"github.com/rosterhq/roster/services/chaos/linear"
	"github.com/rosterhq/roster/services/chaos/load"
	"github.com/rosterhq/roster/services/internal/verify"
)

// config is what the flags say.
type config struct {
	minutes float64
	seed    uint64
	rate    float64
	out     string
	only    *regexp.Regexp
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	var c config
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.Float64Var(&c.minutes, "minutes", 2, "how long things break")
	flags.Uint64Var(&c.seed, "seed", 0, "of faults and load; 0: another one each time")
	flags.Float64Var(&c.rate, "rate", 200, "operations a second at most")
	flags.StringVar(&c.out, "out", "", "folder for the report, the histories and the logs; by default a temporary one, which stays if something is wrong")
	only := flags.String("only", "", "break only in ways whose names match this regular expression")
	if err := flags.Parse(os.Args[1:]); err != nil {
		return err
	}
	var err error
	if c.only, err = regexp.Compile(*only); err != nil {
		return err
	}
	c.seed = cmp.Or(c.seed, rand.Uint64())
	passing := c.out == ""
	if passing {
		c.out, err = os.MkdirTemp("", "roster-chaos-*")
	} else {
		err = os.MkdirAll(c.out, 0o755)
	}
	if err != nil {
		return err
	}
	if err := os.Chmod(c.out, 0o711); err != nil { // PostgreSQL's user has to pass through
		return err
	}
	fmt.Printf("seed %d, %g minutes, in %s\n", c.seed, c.minutes, c.out)
	s, err := raise(ctx, filepath.Join(c.out, "suite"))
	if err != nil {
		return err
	}
	r, err := s.endure(ctx, c)
	if err := errors.Join(err, s.close()); err != nil {
		return err
	}
	page, err := os.Create(filepath.Join(c.out, "report.md"))
	if err != nil {
		return err
	}
	defer page.Close()
	r.print(io.MultiWriter(os.Stdout, page))
	if !r.right() {
		return fmt.Errorf("something is wrong; everything about it is in %s", c.out)
	}
	if passing {
		return os.RemoveAll(c.out)
	}
	return nil
}

// times of a run.
const (
	checkEvery   = 5 * time.Second
	settleTime   = 60 * time.Second // within which all that was begun has to be finished
	judgeTime    = 2 * time.Minute  // for one part of one organization's history
	checkTimeout = 2 * time.Minute
)

// endure puts the load on the suite and breaks it, for as long as it is told to.
func (s *stage) endure(ctx context.Context, c config) (*report, error) {
	r := &report{config: c, disks: s.disks}
	mutations, err := os.Create(filepath.Join(c.out, "history.jsonl"))
	if err != nil {
		return nil, err
	}
	defer mutations.Close()
	reads, err := os.Create(filepath.Join(c.out, "reads.jsonl"))
	if err != nil {
		return nil, err
	}
	defer reads.Close()
	history := load.NewHistory(mutations, reads)
	clients, err := load.Prepare(ctx, load.Config{
		URLs: s.fleet.URLs, Conn: s.fleet.Conn(), Inbox: s.fleet.Mail, Claim: s.fleet.Claim, History: history, Seed: c.seed, Rate: c.rate})
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	w, err := s.watch(history)
	if err != nil {
		return nil, err
	}
	defer w.close()

	r.begin = history.Now()
	during, over := context.WithTimeout(ctx, time.Duration(c.minutes*float64(time.Minute)))
	defer over()
	var busy sync.WaitGroup
	busy.Go(func() { clients.Run(during) })
	busy.Go(func() { w.check(during) })
	b := newBreaker(s, history, w, c)
	b.run(during)
	r.end = history.Now()
	busy.Wait()
	r.faults, r.revived = b.ended, b.revived
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if len(b.failed) > 0 {
		return nil, fmt.Errorf("a fault was not healed: %w", errors.Join(b.failed...))
	}
	fmt.Println("everything is whole again; waiting for what was begun, and looking at everything once more")
	clients.Settle()
	if r.operations, err = history.Operations(); err != nil {
		return nil, err
	}
	r.tries = clients.Tries()
	if err := w.conclude(ctx, r); err != nil {
		return nil, err
	}
	r.verdicts = linear.Judge(r.operations, judgeTime)
	for i, v := range r.wrong() {
		page, err := os.Create(filepath.Join(c.out, fmt.Sprintf("wrong-%d.html", i+1)))
		if err != nil {
			return nil, err
		}
		if err := errors.Join(v.Draw(page), page.Close()); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// told is the part of a history that the verifier judges.
func told(operations []load.Operation) (history []verify.Operation) {
	for _, o := range operations {
		if !load.Reads[o.Verb] {
			history = append(history, o.Operation)
		}
	}
	return history
}
