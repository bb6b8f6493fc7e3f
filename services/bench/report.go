package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// report is what was measured: one sample per round and figure.
type report struct {
	config
	figures []figure
	samples map[string][]sample
}

// measure runs the rounds. Every round measures everything, so that a ratio compares what was measured close together.
func (r *report) measure(ctx context.Context, s *suite, y *yardstick, all []figure) error {
	r.samples = make(map[string][]sample)
	for _, f := range all {
		if r.only.MatchString(f.name) {
			r.figures = append(r.figures, f)
		}
	}
	for round := 1; round <= r.rounds; round++ {
		for _, f := range r.figures {
			took, err := r.one(ctx, s, y, f, round == r.rounds)
			if err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
			r.samples[f.name] = append(r.samples[f.name], took)
			fmt.Printf("round %d  %s\n", round, line(f, took))
			if r.statements {
				if err := y.statements(ctx, took.calls); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (r *report) one(ctx context.Context, s *suite, y *yardstick, f figure, last bool) (took sample, err error) {
	run := f.run
	if run == nil {
		run = func(ctx context.Context, dur time.Duration) (sample, error) { return load(ctx, r.callers, dur, f.call) }
	}
	written, err := y.written(ctx)
	if err != nil {
		return took, err
	}
	if r.statements {
		if err := y.forget(ctx); err != nil {
			return took, err
		}
	}
	server := cmp.Or(f.server, s.pid())
	before := used(server, y.postmaster)
	var group errgroup.Group
	if r.profile != "" && last {
		file := filepath.Join(r.profile, strings.ReplaceAll(strings.ReplaceAll(f.name, ",", ""), " ", "-")+".pprof")
		if f.server != 0 {
			ended, err := profileHere(file)
			if err != nil {
				return took, err
			}
			defer ended()
		} else if f.call != nil {
			group.Go(func() error { return s.record(ctx, file, r.dur) })
		}
	}
	if took, err = run(ctx, r.dur); err != nil {
		return took, err
	}
	now := used(server, y.postmaster).since(before)
	now.client += took.cpu.client // of pgbench
	took.cpu = now
	after, err := y.written(ctx)
	if err != nil {
		return took, err
	}
	took.xacts = float64(after-written) / float64(max(took.calls, 1))
	if f.then != nil {
		f.then()
	}
	if err := group.Wait(); err != nil {
		return took, err
	}
	time.Sleep(r.dur / 10) // the relay and the sweepers finish what this figure left to them
	return took, nil
}

// profileHere records a CPU profile of this process.
func profileHere(file string) (ended func(), err error) {
	out, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(out); err != nil {
		out.Close()
		return nil, err
	}
	return func() {
		pprof.StopCPUProfile()
		out.Close()
	}, nil
}

func line(f figure, s sample) string {
	per := func(d time.Duration) int64 { return d.Microseconds() / int64(max(s.calls, 1)) }
	tell := func(d time.Duration) string {
		if d == 0 { // pgbench does not tell, and a drain has none
			return "         -"
		}
		return fmt.Sprintf("%7.2f ms", ms(d))
	}
	return fmt.Sprintf("%-36s %8.0f/s   p50 %s   p99 %s   CPU us: client %4d  server %5d  PostgreSQL %5d   xacts %.1f",
		f.name, s.rate, tell(s.p50), tell(s.p99), per(s.cpu.client), per(s.cpu.server), per(s.cpu.postgres), s.xacts)
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// ratio is one line of the last block: of / to, times factor, in what is compared.
type ratio struct {
	what   string
	of, to string
	factor float64
	in     func(sample) float64 // nil: rates
}

func rate(s sample) float64 { return s.rate }
func p50(s sample) float64  { return ms(s.p50) }
func p99(s sample) float64  { return ms(s.p99) }

// print ends with what goes into services/README.md.
func (r *report) print() {
	fmt.Printf("\nmedians of %d rounds of %s, %d callers\n\n", r.rounds, r.dur, r.callers)
	cost := make(map[string]cost)
	for _, f := range r.figures {
		fmt.Println(line(f, r.median(f.name)))
		cost[f.name] = f.cost
	}
	ratios := []ratio{
		{what: "CheckAccess, of an empty call", of: check, to: empty, factor: 1},
		{what: "BatchCheckAccess of 1, of an empty call", of: checkOne, to: empty, factor: 1},
		{what: "BatchCheckAccess of 100, of an empty call", of: checkMany, to: empty, factor: 1},
		{what: "BatchCheckAccess of 1,000, of an empty call", of: checkMost, to: empty, factor: 1},
		{what: "questions of BatchCheckAccess of 100, times those of CheckAccess", of: checkMany, to: check, factor: 100},
		{what: "questions of BatchCheckAccess of 1,000, the same", of: checkMost, to: check, factor: 1000},
		{what: "an empty call with a session, of one without", of: emptySigned, to: empty, factor: 1},
		{what: "REST CheckAccess, of the same over gRPC", of: restCheck, to: check, factor: 1},
		{what: "REST ListPermissions, which asks no database, of the same over gRPC", of: restList, to: catalogue, factor: 1},
		{what: "REST, a path that the gateway refuses by itself, of an empty call", of: restNowhere, to: empty, factor: 1},
	}
	for _, name := range []string{change, inviteLink, inviteMail, accept, remove} {
		k := cost[name].commits
		what := fmt.Sprintf("%s, per commit, of pgbench (%d %s, %d trips, %d calls between services)",
			name, k, plural(k, "commit"), cost[name].trips, cost[name].calls)
		ratios = append(ratios, ratio{what: what, of: name, to: pgbench, factor: float64(k)})
	}
	ratios = append(ratios,
		ratio{what: "ChangeMemberRole in one organization by several admins, of spread", of: changeHot, to: change, factor: 1},
		ratio{what: "ChangeMemberRole in one organization by one admin, of spread", of: changeOne, to: change, factor: 1},
		ratio{what: "CreateInvitation by link in one organization, of spread", of: inviteHot, to: inviteLink, factor: 1},
		ratio{what: "pgbench in one organization, of spread", of: pgbenchHot, to: pgbench, factor: 1},
		ratio{what: "commit to consumer, times that of a bare relay, p50", of: eventOne, to: bareOne, factor: 1, in: p50},
		ratio{what: "the same, p99", of: eventOne, to: bareOne, factor: 1, in: p99},
		ratio{what: "commit to consumer, times publish to consumer, p50", of: eventOne, to: publishOne, factor: 1, in: p50},
		ratio{what: "drain of 50,000 events, of a bare relay", of: eventMany, to: bareMany, factor: 1},
		ratio{what: "the same until a consumer knows them", of: eventHeard, to: bareMany, factor: 1},
		ratio{what: "drain of 50,000 events, of asynchronous publishes", of: eventMany, to: publishMany, factor: 1},
		ratio{what: "ReserveSeats in the service, of five rows in one flight", of: reserve, to: flight, factor: 1},
		ratio{what: "ReserveSeats in the service, hot, the same", of: reserveHot, to: flightHot, factor: 1},
		ratio{what: "ReserveSeats in the service, with the relay at work, of without", of: reserveBusy, to: reserve, factor: 1},
		ratio{what: "ReserveSeats over gRPC, of in the service", of: reserveRPC, to: reserve, factor: 1},
		ratio{what: "ReserveSeats over gRPC, hot, the same", of: reserveRPCHot, to: reserveHot, factor: 1},
	)
	fmt.Printf("\n`make bench` on %s, %d CPUs; %d rounds of %s, %d callers:\n\n", time.Now().Format(time.DateOnly), runtime.NumCPU(), r.rounds, r.dur, r.callers)
	fmt.Println("| What | Ratio | Rounds |\n|---|---|---|")
	for _, q := range ratios {
		if rounds := r.ratios(q); len(rounds) > 0 {
			fmt.Printf("| %s | %.2f | %.2f to %.2f |\n", q.what, middle(rounds), rounds[0], rounds[len(rounds)-1])
		}
	}
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

// ratios returns a ratio of each round, sorted.
func (r *report) ratios(q ratio) (rounds []float64) {
	of, to := r.samples[q.of], r.samples[q.to]
	in := q.in
	if in == nil {
		in = rate
	}
	for i := range min(len(of), len(to)) {
		rounds = append(rounds, q.factor*in(of[i])/in(to[i]))
	}
	slices.Sort(rounds)
	return rounds
}

// median returns the sample in the middle by rate.
func (r *report) median(name string) sample {
	sorted := slices.SortedFunc(slices.Values(r.samples[name]), func(a, b sample) int { return int(a.rate) - int(b.rate) })
	return middle(sorted)
}

func middle[T any](sorted []T) T { return sorted[len(sorted)/2] }
