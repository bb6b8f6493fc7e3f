package main

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
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
	before := used(s.cmd.Process.Pid, y.postmaster)
	var group errgroup.Group
	if r.profile != "" && last && f.call != nil {
		group.Go(func() error {
			name := strings.ReplaceAll(strings.ReplaceAll(f.name, ",", ""), " ", "-") + ".pprof"
			return s.record(ctx, filepath.Join(r.profile, name), r.dur)
		})
	}
	if took, err = run(ctx, r.dur); err != nil {
		return took, err
	}
	now := used(s.cmd.Process.Pid, y.postmaster).since(before)
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

func line(f figure, s sample) string {
	per := func(d time.Duration) int64 { return d.Microseconds() / int64(max(s.calls, 1)) }
	p99 := fmt.Sprintf("%7.2f ms", ms(s.p99))
	if s.p99 == 0 { // pgbench does not tell
		p99 = "         -"
	}
	return fmt.Sprintf("%-36s %8.0f/s   p50 %7.2f ms   p99 %s   CPU us: client %4d  server %5d  PostgreSQL %5d   xacts %.1f",
		f.name, s.rate, ms(s.p50), p99, per(s.cpu.client), per(s.cpu.server), per(s.cpu.postgres), s.xacts)
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// ratio is one line of the last block: of / to, times factor.
type ratio struct {
	what   string
	of, to string
	factor float64
}

// print ends with what goes into services/README.md.
func (r *report) print() {
	fmt.Printf("\nmedians of %d rounds of %s, %d callers\n\n", r.rounds, r.dur, r.callers)
	cost := make(map[string]cost)
	for _, f := range r.figures {
		fmt.Println(line(f, r.median(f.name)))
		cost[f.name] = f.cost
	}
	ratios := []ratio{
		{"CheckAccess, of an empty call", check, empty, 1},
		{"an empty call with a session, of one without", emptySigned, empty, 1},
		{"REST CheckAccess, of the same over gRPC", restCheck, check, 1},
		{"REST ListPermissions, which asks no database, of the same over gRPC", restList, catalogue, 1},
		{"REST, a path that the gateway refuses by itself, of an empty call", restNowhere, empty, 1},
	}
	for _, name := range []string{change, inviteLink, inviteMail, accept, remove} {
		k := cost[name].commits
		what := fmt.Sprintf("%s, per commit, of pgbench (%d %s, %d trips, %d calls between services)",
			name, k, plural(k, "commit"), cost[name].trips, cost[name].calls)
		ratios = append(ratios, ratio{what, name, pgbench, float64(k)})
	}
	ratios = append(ratios,
		ratio{"ChangeMemberRole in one organization by several admins, of spread", changeHot, change, 1},
		ratio{"ChangeMemberRole in one organization by one admin, of spread", changeOne, change, 1},
		ratio{"CreateInvitation by link in one organization, of spread", inviteHot, inviteLink, 1},
		ratio{"pgbench in one organization, of spread", pgbenchHot, pgbench, 1},
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
	for i := range min(len(of), len(to)) {
		rounds = append(rounds, q.factor*of[i].rate/to[i].rate)
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
