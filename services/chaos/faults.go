package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rosterhq/roster/services/chaos/load"
	"github.com/rosterhq/roster/services/internal/fleet"
	"github.com/rosterhq/roster/services/internal/verify"
)

// fault is a way to break something.
type fault struct {
	name   string
	weight int
	// inflict breaks something and makes it whole again, unless what it needs is broken already: then it is nil. It runs
	// long enough to do harm, and returns how long what was broken took to work again, if that can be told.
	choose func(*breaker) (target string, inflict func(context.Context) (recovery time.Duration, err error))
}

// faults are all the ways.
var faults = []fault{
	{"kill -9 of a process", 20, (*breaker).kill},
	{"pause of a process", 14, (*breaker).pause},
	{"restart of a process", 6, (*breaker).restart},
	{"crash of PostgreSQL", 4, (*breaker).crashPostgres},
	{"kill -9 of NATS", 5, (*breaker).killNATS},
	{"NATS loses its data", 2, (*breaker).wipeNATS},
	{"cut between services", 8, cut((*stage).between)},
	{"cut to PostgreSQL", 6, cut(to("postgres"))},
	{"cut to NATS", 5, cut(to("nats"))},
	{"cut one way", 6, oneWay},
	{"latency", 8, slow},
	{"reset of connections", 8, reset},
	{"mail is refused", 3, (*breaker).refuseMail},
	{"disk full", 4, (*breaker).fillDisk},
}

// inflicted is a fault that is over.
type inflicted struct {
	name, target string
	begin, end   time.Duration // of the history's clock
	recovery     time.Duration // zero: cannot be told
}

// breaker breaks a suite. What is broken already, or needed whole, is not broken a second time.
type breaker struct {
	*stage
	history *load.History
	watcher *watcher
	rand    *rand.Rand
	only    *regexp.Regexp

	mu      sync.Mutex
	held    map[string]bool // what is broken
	ended   []inflicted
	revived []string // processes that ended by themselves
	failed  []error
}

func newBreaker(s *stage, history *load.History, w *watcher, c config) *breaker {
	return &breaker{stage: s, history: history, watcher: w, only: c.only, held: make(map[string]bool), rand: rand.New(rand.NewPCG(c.seed, 0xc4a05))}
}

// atOnce is how many faults overlap at most.
const atOnce = 3

// run breaks something every few seconds until ctx ends, and waits until everything is whole again.
func (b *breaker) run(ctx context.Context) {
	var breaking sync.WaitGroup
	defer breaking.Wait()
	slots := make(chan struct{}, atOnce)
	for {
		pause := 500*time.Millisecond + time.Duration(b.rand.Int64N(int64(3*time.Second)))
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		select {
		case <-ctx.Done():
			return
		case slots <- struct{}{}:
		}
		b.revive(ctx)
		f, target, inflict := b.draw()
		if inflict == nil {
			<-slots
			continue
		}
		breaking.Go(func() {
			defer func() { <-slots }()
			done := inflicted{name: f.name, target: target, begin: b.history.Now()}
			recovery, err := inflict(context.WithoutCancel(ctx))
			done.end, done.recovery = b.history.Now(), recovery
			b.mu.Lock()
			defer b.mu.Unlock()
			b.ended = append(b.ended, done)
			if err != nil {
				b.failed = append(b.failed, fmt.Errorf("%s, %s: %w", f.name, target, err))
			}
			fmt.Printf("%8s  %s: %s, whole after %s\n", done.begin.Round(time.Millisecond), f.name, target, (done.end - done.begin).Round(time.Millisecond))
		})
	}
}

// draw chooses a fault and its target.
func (b *breaker) draw() (f fault, target string, inflict func(context.Context) (time.Duration, error)) {
	possible := slices.DeleteFunc(slices.Clone(faults), func(f fault) bool { return !b.only.MatchString(f.name) })
	total := 0
	for _, f := range possible {
		total += f.weight
	}
	if total == 0 {
		return f, "", nil
	}
	n := b.rand.IntN(total)
	for _, f = range possible {
		if n -= f.weight; n < 0 {
			break
		}
	}
	target, inflict = f.choose(b)
	return f, target, inflict
}

// hold keeps others from something. False: somebody has it.
func (b *breaker) hold(what string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held[what] {
		return false
	}
	b.held[what] = true
	return true
}

func (b *breaker) release(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.held, what)
}

// between is a random time.
func (b *breaker) time(least, most time.Duration) time.Duration {
	return least + time.Duration(b.rand.Int64N(int64(most-least)))
}

// readyTime is how long anything may take to work again before the run fails.
const readyTime = 2 * time.Minute

// process takes a random process of a role.
func (b *breaker) process() *fleet.Process {
	p := b.fleet.Processes[b.rand.IntN(len(b.fleet.Processes))]
	if !b.hold(p.Name) {
		return nil
	}
	return p
}

// start starts a process again, as often as it takes, as whatever runs processes in production does.
func (b *breaker) start(ctx context.Context, p *fleet.Process) (time.Duration, error) {
	begin := time.Now()
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	for {
		if err := p.Start(ctx); err != nil {
			return 0, err
		}
		err := p.Ready(ctx)
		if err == nil || ctx.Err() != nil {
			return time.Since(begin), err
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// revive starts processes again that have ended by themselves.
func (b *breaker) revive(ctx context.Context) {
	for _, p := range b.fleet.Processes {
		if !b.hold(p.Name) {
			continue
		}
		select {
		case <-p.Done():
			b.mu.Lock()
			b.revived = append(b.revived, p.Name)
			b.mu.Unlock()
			go func() {
				defer b.release(p.Name)
				if _, err := b.start(context.WithoutCancel(ctx), p); err != nil {
					b.mu.Lock()
					defer b.mu.Unlock()
					b.failed = append(b.failed, fmt.Errorf("start %s, which had ended by itself: %w", p.Name, err))
				}
			}()
		default:
			b.release(p.Name)
		}
	}
}

func (b *breaker) kill() (string, func(context.Context) (time.Duration, error)) {
	p := b.process()
	if p == nil {
		return "", nil
	}
	away := b.time(0, 3*time.Second)
	return p.Name, func(ctx context.Context) (time.Duration, error) {
		defer b.release(p.Name)
		p.Kill()
		time.Sleep(away)
		return b.start(ctx, p)
	}
}

func (b *breaker) restart() (string, func(context.Context) (time.Duration, error)) {
	p := b.process()
	if p == nil {
		return "", nil
	}
	return p.Name, func(ctx context.Context) (time.Duration, error) {
		defer b.release(p.Name)
		within, cancel := context.WithTimeout(ctx, readyTime)
		defer cancel()
		if err := p.Stop(within); err != nil {
			return 0, err
		}
		return b.start(ctx, p)
	}
}

func (b *breaker) pause() (string, func(context.Context) (time.Duration, error)) {
	p := b.process()
	if p == nil {
		return "", nil
	}
	paused := b.time(100*time.Millisecond, 10*time.Second)
	return p.Name, func(context.Context) (time.Duration, error) {
		defer b.release(p.Name)
		p.Pause()
		time.Sleep(paused)
		p.Resume()
		return 0, nil
	}
}

func (b *breaker) crashPostgres() (string, func(context.Context) (time.Duration, error)) {
	if !b.hold("postgres") {
		return "", nil
	}
	away := b.time(0, 2*time.Second)
	return "PostgreSQL", func(ctx context.Context) (time.Duration, error) {
		defer b.release("postgres")
		if err := b.fleet.Postgres.Crash(); err != nil {
			return 0, err
		}
		time.Sleep(away)
		return b.restartPostgres(ctx)
	}
}

// restartPostgres starts PostgreSQL, and tells how long clients then waited for the first change that was made.
func (b *breaker) restartPostgres(ctx context.Context) (time.Duration, error) {
	begin := b.history.Now()
	within, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	if err := b.fleet.Postgres.Restart(within); err != nil {
		return 0, err
	}
	return b.until(within, begin, func() time.Duration {
		operations, _ := b.history.Operations()
		for i := len(operations) - 1; i >= 0 && operations[i].Back > begin; i-- {
			if o := operations[i]; !load.Reads[o.Verb] && o.Outcome == verify.OK {
				return o.Back
			}
		}
		return 0
	})
}

// until waits for something that clients see.
func (b *breaker) until(ctx context.Context, begin time.Duration, seen func() time.Duration) (time.Duration, error) {
	for {
		if at := seen(); at > begin {
			return at - begin, nil
		}
		select {
		case <-ctx.Done():
			return 0, nil // nobody asked for anything; the checks at the end say whether it works
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (b *breaker) killNATS() (string, func(context.Context) (time.Duration, error)) {
	return b.breakNATS(func() error { return nil })
}

func (b *breaker) wipeNATS() (string, func(context.Context) (time.Duration, error)) {
	return b.breakNATS(b.fleet.Wipe)
}

func (b *breaker) breakNATS(meanwhile func() error) (string, func(context.Context) (time.Duration, error)) {
	if !b.hold("nats") {
		return "", nil
	}
	away := b.time(0, 3*time.Second)
	return "NATS", func(ctx context.Context) (time.Duration, error) {
		defer b.release("nats")
		b.fleet.Broker.Kill()
		if err := meanwhile(); err != nil {
			return 0, err
		}
		time.Sleep(away)
		return b.restartNATS(ctx)
	}
}

// restartNATS starts NATS, and tells how long the consumer then waited for the first event.
func (b *breaker) restartNATS(ctx context.Context) (time.Duration, error) {
	begin := b.history.Now()
	if _, err := b.start(ctx, b.fleet.Broker); err != nil {
		return 0, err
	}
	within, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	return b.until(within, begin, func() time.Duration { return b.watcher.heardAfter(begin) })
}

// toxic is what a proxy does to a connection, as toxiproxy reads it.
type toxic struct{ kind, stream, attributes string }

func (t toxic) String() string {
	return fmt.Sprintf(`{"name": "%s_%s", "type": "%s", "stream": "%s", "attributes": {%s}}`, t.kind, t.stream, t.kind, t.stream, t.attributes)
}

// poison does something to a random connection for a while.
func (b *breaker) poison(links []*link, lasts time.Duration, toxics ...toxic) (string, func(context.Context) (time.Duration, error)) {
	l := links[b.rand.IntN(len(links))]
	if !b.hold(l.Name) {
		return "", nil
	}
	return l.Name, func(ctx context.Context) (time.Duration, error) {
		defer b.release(l.Name)
		for _, t := range toxics {
			if _, err := l.Toxics.AddToxicJson(strings.NewReader(t.String())); err != nil {
				return 0, err
			}
		}
		time.Sleep(lasts)
		l.Toxics.ResetToxics(ctx)
		return 0, nil
	}
}

// to finds the connections to a server.
func to(name string) func(*stage) []*link {
	return func(s *stage) []*link { return s.linksTo(name) }
}

func (b *breaker) anywhere() []*link {
	return slices.Concat(b.between(), b.linksTo("postgres", "nats"))
}

const longestCut = 15 * time.Second

// hole is a connection that is open and carries nothing.
func hole(stream string) toxic { return toxic{"timeout", stream, `"timeout": 0`} }

func cut(links func(*stage) []*link) func(*breaker) (string, func(context.Context) (time.Duration, error)) {
	return func(b *breaker) (string, func(context.Context) (time.Duration, error)) {
		return b.poison(links(b.stage), b.time(time.Second, longestCut), hole("upstream"), hole("downstream"))
	}
}

func oneWay(b *breaker) (string, func(context.Context) (time.Duration, error)) {
	return b.poison(b.anywhere(), b.time(time.Second, longestCut), hole([]string{"upstream", "downstream"}[b.rand.IntN(2)]))
}

func slow(b *breaker) (string, func(context.Context) (time.Duration, error)) {
	late := fmt.Sprintf(`"latency": %d, "jitter": %d`, 50+b.rand.IntN(400), b.rand.IntN(50))
	return b.poison(b.anywhere(), b.time(2*time.Second, longestCut), toxic{"latency", "upstream", late}, toxic{"latency", "downstream", late})
}

func reset(b *breaker) (string, func(context.Context) (time.Duration, error)) {
	return b.poison(b.anywhere(), b.time(100*time.Millisecond, 2*time.Second), toxic{"reset_peer", "downstream", `"timeout": 0`})
}

func (b *breaker) refuseMail() (string, func(context.Context) (time.Duration, error)) {
	if !b.hold("mail") {
		return "", nil
	}
	lasts := b.time(2*time.Second, 15*time.Second)
	return "the mail server", func(context.Context) (_ time.Duration, err error) {
		defer b.release("mail")
		links := b.linksTo("mail")
		for _, l := range links {
			l.Stop()
		}
		time.Sleep(lasts)
		for _, l := range links {
			if err = l.Start(); err != nil {
				return 0, err
			}
		}
		return 0, nil
	}
}

// fillDisk fills a disk. When there is room again PostgreSQL and NATS are started again, as people do: they may have ended, or
// given up writing.
func (b *breaker) fillDisk() (string, func(context.Context) (time.Duration, error)) {
	if len(b.disks) == 0 {
		return "", nil
	}
	d := b.disks[b.rand.IntN(len(b.disks))]
	on := "nats"
	if strings.Contains(d.name, "PostgreSQL") {
		on = "postgres"
	}
	if !b.hold(on) {
		return "", nil
	}
	lasts := b.time(time.Second, 5*time.Second)
	return d.name, func(ctx context.Context) (time.Duration, error) {
		defer b.release(on)
		err := d.fill()
		if err == nil {
			time.Sleep(lasts)
		}
		if err := os.Remove(d.ballast()); err != nil {
			return 0, err
		}
		if err != nil {
			return 0, err
		}
		if on == "postgres" {
			return b.restartPostgres(ctx)
		}
		b.fleet.Broker.Kill()
		return b.restartNATS(ctx)
	}
}
