// Package verify checks the data of a whole suite: that what the four services promise together holds in their databases and
// in the stream. Invariants lists what is checked.
//
// It reads. Every database is read in snapshots, one for a range of organizations at a time, so that nothing is held
// open for long and memory is bounded by the largest organization. Statements that span databases are judged on a live system
// only where the order of the protocol makes them hold for snapshots taken one after the other: invitation's first, then
// membership's, then billing's. What looks wrong then is looked at once more, rows first that may only have ended since.
package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rosterhq/roster/services/internal/id"
)

// Services are the services that have a database, in the order in which the checker reads them.
var Services = []string{"invitation", "membership", "billing", "identity"}

// Checker checks one suite.
type Checker struct {
	pools map[string]*pgxpool.Pool // by service
}

// Open connects to the databases, given by service. It refuses a role that row-level security would show nothing, and so find
// nothing wrong.
func Open(ctx context.Context, dsns map[string]string) (*Checker, error) {
	c := &Checker{pools: make(map[string]*pgxpool.Pool)}
	for _, service := range Services {
		pool, err := open(ctx, dsns[service])
		if err != nil {
			c.Close()
			return nil, fmt.Errorf("%s database: %w", service, err)
		}
		c.pools[service] = pool
	}
	return c, nil
}

func open(ctx context.Context, dsn string) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, errors.New("the DSN is not valid") // the parser's error may hold the password
	}
	config.MaxConns = 2
	config.ConnConfig.ConnectTimeout = 5 * time.Second
	for name, value := range map[string]string{
		"application_name": "roster-verify",
		"timezone":         "UTC",
		"row_security":     "off", // an error where rows would be left out
	} {
		config.ConnConfig.RuntimeParams[name] = value
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	var refused *pgconn.PgError
	if _, err = pool.Exec(ctx, `SELECT FROM heads, events, due, idempotency, mails, outbox LIMIT 0`); errors.As(err, &refused) && refused.Code == "42501" {
		err = fmt.Errorf("this role does not see every row (%s): use the owner's DSN, as for `rosterd migrate`, or a role that may read all "+
			"tables and has BYPASSRLS", refused.Message)
	}
	if err != nil {
		pool.Close()
		return nil, err
	}
	return pool, nil
}

// Close ends all connections.
func (c *Checker) Close() {
	for _, pool := range c.pools {
		pool.Close()
	}
}

// Options say what to check. The zero value checks what always holds.
type Options struct {
	Settled bool                // also what holds when nothing is under way
	Stream  jetstream.JetStream // where the events are published; nil: not looked at
	History []Operation         // what clients saw; nil: not looked at
	Wait    time.Duration       // how long anything may last that is wrong; zero: it is wrong at once
	Only    id.Organization     // look at this one, without streams, accounts and histories; zero: at everything
}

// Finding is something wrong.
type Finding struct {
	ID           string `json:"id"`                     // of the invariant: A1
	Service      string `json:"service,omitempty"`      // whose rows
	Organization string `json:"organization,omitempty"` // or the account, in identity
	Subject      string `json:"subject,omitempty"`      // the ids of the rows
	Detail       string `json:"detail"`                 // what is wrong
	Repair       string `json:"repair,omitempty"`       // what Repair would do
	Advice       string `json:"advice,omitempty"`       // what to do where there is no repair

	repair func(context.Context) error
}

// key tells findings of two rounds apart: rows that changed make another one.
func (f Finding) key() [5]string {
	return [5]string{f.ID, f.Service, f.Organization, f.Subject, f.Detail}
}

// Report is what a check found.
type Report struct {
	Time          time.Time      `json:"time"`
	Organizations int            `json:"organizations"`
	Members       int            `json:"members"`
	Events        int            `json:"events"`
	Messages      int            `json:"messages"`   // in the streams
	Operations    int            `json:"operations"` // of the history
	Counts        map[string]int `json:"counts"`     // of findings, by invariant
	Findings      []Finding      `json:"findings"`   // at most 100 of each invariant
}

// OK tells whether nothing is wrong.
func (r *Report) OK() bool { return len(r.Findings) == 0 }

// shown is how many findings of one invariant a report keeps.
const shown = 100

func (r *Report) add(findings ...Finding) {
	for _, f := range findings {
		if r.Counts[f.ID]++; r.Counts[f.ID] <= shown {
			r.Findings = append(r.Findings, f)
		}
	}
}

// Check checks once, or again until nothing is wrong or something has been wrong for the whole wait.
func (c *Checker) Check(ctx context.Context, o Options) (*Report, error) {
	const pause = time.Second
	begin := time.Now()
	since := make(map[[5]string]time.Time)
	for {
		round := time.Now()
		report, err := c.round(ctx, o)
		if err != nil {
			return nil, err
		}
		still := make(map[[5]string]time.Time)
		for _, f := range report.Findings {
			still[f.key()] = round
			if first, seen := since[f.key()]; seen {
				still[f.key()] = first
			}
		}
		since = still
		lasting := func(f Finding) bool { return time.Since(since[f.key()]) >= o.Wait }
		switch {
		case report.OK(), o.Wait == 0:
			return report, nil
		case slices.ContainsFunc(report.Findings, lasting) || time.Since(begin) > 2*o.Wait:
			report.keep(lasting)
			return report, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(min(pause, o.Wait)):
		}
	}
}

// keep drops findings that do not count: on a system that is at work something is always under way.
func (r *Report) keep(counts func(Finding) bool) {
	kept := slices.DeleteFunc(slices.Clone(r.Findings), func(f Finding) bool { return !counts(f) })
	dropped := len(r.Findings) - len(kept)
	if dropped == 0 {
		return
	}
	r.Findings, r.Counts = nil, make(map[string]int)
	r.add(kept...)
}

// round checks everything once.
func (c *Checker) round(ctx context.Context, o Options) (*Report, error) {
	r := &Report{Time: time.Now().UTC(), Counts: make(map[string]int)}
	if !o.Only.IsZero() {
		only := id.Any(o.Only)
		return r, c.checkOrganizations(ctx, span{before(only), only}, o, newEffects(nil), r)
	}
	history := newEffects(o.History)
	if err := c.checkStreams(ctx, o, r); err != nil {
		return nil, err
	}
	for _, walk := range []struct {
		services []string
		check    func(context.Context, span, Options, *effects, *Report) error
	}{
		{Services[:3], c.checkOrganizations},
		{Services[3:], c.checkAccounts},
	} {
		for after, more := (id.Any{}), true; more; {
			var s span
			var err error
			if s, more, err = c.next(ctx, walk.services, after); err != nil {
				return nil, err
			}
			if err := walk.check(ctx, s, o, history, r); err != nil {
				return nil, err
			}
			after = s.to
		}
	}
	if err := c.checkCreations(ctx, r); err != nil {
		return nil, err
	}
	history.judge(o, r)
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.ID[:1], b.ID[:1]), cmp.Compare(number(a.ID), number(b.ID)), cmp.Compare(a.Organization, b.Organization), cmp.Compare(a.Subject, b.Subject))
	})
	return r, nil
}

// span is a range of aggregates: behind after, up to and with to.
type span struct{ after, to id.Any }

// A span ends with the aggregate that brings it to so many aggregates or events. One aggregate always fits.
const (
	spanAggregates = 2000
	spanEvents     = 50_000
)

// next returns the span that follows, and whether there is more behind it. The spans cover all ids there can be, so that
// rows of an aggregate that has no history are found too.
func (c *Checker) next(ctx context.Context, services []string, after id.Any) (s span, more bool, err error) {
	type head struct {
		AggregateID id.Any
		Revision    int64
	}
	var all []head
	last := id.Any(bytesOf(0xff))
	for _, service := range services {
		rows, _ := c.pools[service].Query(ctx, `
			SELECT aggregate_id, revision FROM heads WHERE aggregate_id > $1 ORDER BY aggregate_id LIMIT $2`, uuid(after), spanAggregates)
		heads, err := pgx.CollectRows(rows, pgx.RowToStructByName[head])
		if err != nil {
			return s, false, fmt.Errorf("%s: read heads: %w", service, err)
		}
		if len(heads) == spanAggregates && compare(heads[len(heads)-1].AggregateID, last) < 0 {
			last, more = heads[len(heads)-1].AggregateID, true // what other services have behind it is not known yet
		}
		all = append(all, heads...)
	}
	slices.SortFunc(all, func(a, b head) int { return compare(a.AggregateID, b.AggregateID) })
	var events int64
	for i, h := range all {
		if compare(h.AggregateID, last) >= 0 {
			break
		}
		if events += h.Revision; events > spanEvents && i+1 < len(all) && all[i+1].AggregateID != h.AggregateID {
			return span{after, h.AggregateID}, true, nil
		}
	}
	return span{after, last}, more, nil
}

func bytesOf(b byte) (all [16]byte) {
	for i := range all {
		all[i] = b
	}
	return all
}

// before is the id that comes right before another.
func before(i id.Any) id.Any {
	for at := len(i) - 1; at >= 0; at-- {
		if i[at]--; i[at] != 0xff {
			break
		}
	}
	return i
}

func compare(a, b id.Any) int { return slices.Compare(a[:], b[:]) }

// uuid is an id that may be zero, which pgx would write as NULL.
func uuid(i id.Any) [16]byte { return i }

// snapshot runs fn on one state of a service's database, in which everything that was committed before is whole.
func (c *Checker) snapshot(ctx context.Context, service string, fn func(pgx.Tx) error) error {
	err := pgx.BeginTxFunc(ctx, c.pools[service], pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, fn)
	if err != nil {
		return fmt.Errorf("%s: %w", service, err)
	}
	return nil
}

// collect reads rows into structs.
func collect[T any](ctx context.Context, tx pgx.Tx, sql string, args ...any) ([]T, error) {
	rows, _ := tx.Query(ctx, sql, args...) // collecting reports the error
	return pgx.CollectRows(rows, pgx.RowToStructByName[T])
}
