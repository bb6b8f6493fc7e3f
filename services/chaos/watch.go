package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/rosterhq/roster/pkg/events"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

	"github.com/rosterhq/roster/services/chaos/load"
	"github.com/rosterhq/roster/services/internal/fleet"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/verify"
)

// watcher looks at the suite from outside while it breaks: at its databases, and as a consumer of its events.
type watcher struct {
	history *load.History
	checker *verify.Checker
	pools   map[string]*pgxpool.Pool
	nats    *nats.Conn
	stream  jetstream.JetStream
	stop    func()
	hearing sync.WaitGroup
	log     *os.File

	mu       sync.Mutex
	checks   int                   // during
	missed   int                   // checks that found no database to look at
	findings []verify.Finding      // during
	waiting  map[string]int        // most events that ever waited in an outbox, by service
	heard    map[aggregate]*record // what the consumer was told
	again    int                   // how often it was told what it knew
	last     time.Duration         // when it was told something
	members  map[[2]string]string
}

// aggregate is something with a history of its own at one service.
type aggregate struct{ service, id string }

// record is what was heard of an aggregate.
type record struct {
	revision int64    // the last
	wrong    []string // what was not the next
}

// watch begins to hear.
func (s *stage) watch(history *load.History) (w *watcher, err error) {
	w = &watcher{history: history, pools: make(map[string]*pgxpool.Pool), waiting: make(map[string]int),
		heard: make(map[aggregate]*record), members: make(map[[2]string]string), stop: func() {}}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	dsns := make(map[string]string)
	for _, service := range fleet.Services {
		dsns[service] = s.fleet.DSN(service, "postgres")
		if w.pools[service], err = pgxpool.New(ctx, dsns[service]); err != nil {
			return nil, err
		}
	}
	if w.checker, err = verify.Open(ctx, dsns); err != nil {
		return nil, err
	}
	if w.nats, err = s.fleet.ConnectNATS(); err != nil {
		return nil, err
	}
	if w.stream, err = jetstream.New(w.nats); err != nil {
		return nil, err
	}
	if w.log, err = os.Create(filepath.Join(filepath.Dir(s.fleet.Broker.LogFile()), "consumer.log")); err != nil {
		return nil, err
	}
	consumer, err := events.New(w.stream, events.Config{Log: slog.New(slog.NewTextHandler(w.log, nil))}, w.hear)
	if err != nil {
		return nil, err
	}
	w.hearing.Go(func() {
		if err := consumer.Run(ctx); err != nil {
			slog.Error("the consumer ended", "error", err)
		}
	})
	w.hearing.Go(func() { w.sample(ctx) })
	return w, nil
}

func (w *watcher) close() {
	if w.nats != nil { // first, so that the consumer does not say good-bye, which an operator may not
		w.nats.Close()
	}
	w.stop()
	w.hearing.Wait()
	if w.checker != nil {
		w.checker.Close()
	}
	for _, pool := range w.pools {
		if pool != nil {
			pool.Close()
		}
	}
	if w.log != nil {
		w.log.Close()
	}
}

// hear is told every event, those of an aggregate in order, and some again, which it recognizes by the revision; so it is
// promised.
func (w *watcher) hear(_ context.Context, e events.Event) error {
	message, err := e.Message()
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = w.history.Now()
	of := aggregate{e.Service, e.Aggregate}
	if w.heard[of] == nil {
		w.heard[of] = &record{}
	}
	l := w.heard[of]
	if e.Revision <= l.revision {
		w.again++
		return nil
	}
	if e.Revision != l.revision+1 {
		l.wrong = append(l.wrong, fmt.Sprintf("revision %d of %s at %s was told after %d", e.Revision, e.Aggregate, e.Service, l.revision))
	}
	l.revision = e.Revision
	w.project(e.Aggregate, message)
	return nil
}

// project keeps the members of every organization, as a program would that needs them at hand.
func (w *watcher) project(organization string, message proto.Message) {
	set := func(m *eventv1.Member) {
		w.members[[2]string{organization, m.GetAccountId()}] = m.GetRole() + " " + strings.TrimPrefix(m.GetState().String(), "STATE_")
	}
	switch m := message.(type) {
	case *eventv1.MemberAdded:
		set(m.GetMember())
	case *eventv1.MemberRoleChanged:
		set(m.GetAfter())
	case *eventv1.MemberDisabled:
		set(m.GetAfter())
	case *eventv1.MemberEnabled:
		set(m.GetAfter())
	case *eventv1.MemberRemoved:
		set(m.GetAfter())
	case *eventv1.MemberLeft:
		set(m.GetAfter())
	}
}

// heardAfter tells when the consumer was told something after a moment; zero: not yet.
func (w *watcher) heardAfter(moment time.Duration) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last <= moment {
		return 0
	}
	return w.last
}

// sample looks how many events wait to be published.
func (w *watcher) sample(ctx context.Context) {
	ticks := time.NewTicker(time.Second)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		for service, pool := range w.pools {
			var n int
			within, cancel := context.WithTimeout(ctx, 5*time.Second)
			err := pool.QueryRow(within, `SELECT count(*) FROM outbox`).Scan(&n)
			cancel()
			if err == nil {
				w.mu.Lock()
				w.waiting[service] = max(w.waiting[service], n)
				w.mu.Unlock()
			}
		}
	}
}

// check looks again and again for what must never be, until ctx ends.
func (w *watcher) check(ctx context.Context) {
	ticks := time.NewTicker(checkEvery)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		within, cancel := context.WithTimeout(ctx, checkTimeout)
		found, err := w.checker.Check(within, verify.Options{})
		cancel()
		w.mu.Lock()
		if err != nil { // PostgreSQL is away
			w.missed++
		} else {
			w.checks++
			w.findings = append(w.findings, found.Findings...)
		}
		w.mu.Unlock()
	}
}

// conclude looks at everything when nothing breaks any more.
func (w *watcher) conclude(ctx context.Context, r *report) (err error) {
	if r.settled, err = w.checker.Check(ctx, verify.Options{
		Settled: true, Wait: settleTime, Stream: w.stream, History: told(r.operations)}); err != nil {
		return err
	}
	deadline := time.Now().Add(settleTime)
	for {
		missing, err := w.missing(ctx)
		if err != nil {
			return err
		}
		if r.unheard = missing; len(missing) == 0 || time.Now().After(deadline) {
			break
		}
		time.Sleep(250 * time.Millisecond)
	}
	if r.projection, err = w.compare(ctx); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	r.checks, r.missed, r.during, r.waiting, r.again = w.checks, w.missed, w.findings, w.waiting, w.again
	for _, l := range w.heard {
		r.heard += l.revision
		r.unheard = append(r.unheard, l.wrong...)
	}
	return nil
}

// missing tells of which aggregates the consumer has not heard all.
func (w *watcher) missing(ctx context.Context) (missing []string, err error) {
	for _, service := range fleet.Services {
		rows, err := w.pools[service].Query(ctx, `SELECT aggregate_id, revision FROM heads WHERE revision > 0 ORDER BY aggregate_id`)
		if err != nil {
			return nil, err
		}
		var key id.Any
		var revision int64
		_, err = pgx.ForEachRow(rows, []any{&key, &revision}, func() error {
			name := id.Organization(key).String()
			if service == "identity" {
				name = id.Account(key).String()
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			var heard int64
			if l := w.heard[aggregate{service, name}]; l != nil {
				heard = l.revision
			}
			if heard != revision {
				missing = append(missing, fmt.Sprintf("%s of %s: %d revisions, %d were heard", name, service, revision, heard))
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return missing, nil
}

// compare compares what the consumer made of the events with the members that there are.
func (w *watcher) compare(ctx context.Context) (different []string, err error) {
	rows, err := w.pools["membership"].Query(ctx, `
		SELECT m.organization_id, m.account_id, r.key || ' ' || m.state
		FROM members m JOIN roles r ON r.organization_id = m.organization_id AND r.role_id = m.role_id`)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := make(map[[2]string]bool)
	var organization, account id.Any
	var is string
	_, err = pgx.ForEachRow(rows, []any{&organization, &account, &is}, func() error {
		key := [2]string{id.Organization(organization).String(), id.Account(account).String()}
		seen[key] = true
		if w.members[key] != is {
			different = append(different, fmt.Sprintf("%s in %s is %q, and was told to be %q", key[1], key[0], is, w.members[key]))
		}
		return nil
	})
	for key, told := range w.members {
		if !seen[key] {
			different = append(different, fmt.Sprintf("%s in %s is nobody, and was told to be %q", key[1], key[0], told))
		}
	}
	slices.Sort(different)
	return different, err
}
