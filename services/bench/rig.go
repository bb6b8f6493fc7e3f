package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rosterhq/roster/pkg/events"
	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

	"github.com/rosterhq/roster/services/billing"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/certs"
	"github.com/rosterhq/roster/services/internal/chain"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/network"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/server"
)

const (
	rigDatabase = "bench"
	rigService  = "billing"
	rigSpread   = 2000   // organizations that reservations are spread over
	steadyRate  = 300    // events per second, when it is the latency that counts
	backlog     = 50_000 // events that wait when a drain begins
	inFlight    = 100    // events of one organization in a transaction while the backlog is made
)

// rig is billing as it runs in production, with its relay and a consumer, but in this process, so that what happens inside
// can be timed: a database of its own in the suite's cluster, and a NATS server that syncs every message.
type rig struct {
	broker  *broker
	db      *postgres.DB
	relayed *postgres.DB
	all     *pgxpool.Pool // sees every row
	service *billing.Service
	remote  billingv1.SeatServiceClient // the same over TCP and mutual TLS
	relay   atomic.Pointer[outbox.Relay]
	spread  []id.Organization
	hot     id.Organization
	closers []func()
}

func newRig(ctx context.Context, s *suite, b *broker, folder string, callers int) (*rig, error) {
	r := &rig{broker: b, hot: id.NewOrganization()}
	for range rigSpread {
		r.spread = append(r.spread, id.NewOrganization())
	}
	for _, step := range []func() error{
		func() error { return r.openDatabase(ctx, s, callers) },
		func() error { return r.serve(filepath.Join(folder, "certs")) },
		func() error { return r.fill(ctx) },
	} {
		if err := step(); err != nil {
			r.close()
			return nil, err
		}
	}
	return r, nil
}

func (r *rig) close() {
	for i := len(r.closers) - 1; i >= 0; i-- {
		r.closers[i]()
	}
}

func (r *rig) openDatabase(ctx context.Context, s *suite, callers int) error {
	config, err := superuser(s)
	if err != nil {
		return err
	}
	admin, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer admin.Close(ctx)
	if err := postgres.Provision(ctx, admin, rigDatabase, ""); err != nil {
		return err
	}
	dsn := func(user string) string { return s.Owner + " user=" + user + " dbname=" + rigDatabase } // the last word counts
	if err := postgres.Migrate(ctx, dsn(rigDatabase+"_owner"), billing.Migrations); err != nil {
		return err
	}
	if r.all, err = pgxpool.New(ctx, dsn("postgres")); err != nil {
		return err
	}
	r.closers = append(r.closers, r.all.Close)
	if r.db, err = postgres.Open(ctx, rigService, dsn(rigDatabase), nil, postgres.Options{Conns: int32(callers)}); err != nil {
		return err
	}
	r.closers = append(r.closers, r.db.Close)
	if r.relayed, err = postgres.Open(ctx, rigService, dsn(rigDatabase), nil, postgres.Options{Role: postgres.RelayRole, Conns: 2}); err != nil {
		return err
	}
	r.closers = append(r.closers, r.relayed.Close)
	r.db.Committed = func(waiting postgres.Waiting) {
		if relay := r.relay.Load(); relay != nil && waiting&postgres.Relay != 0 {
			relay.Wake()
		}
	}
	return nil
}

// serve lets another service reach billing, with all that stands between the two.
func (r *rig) serve(folder string) error {
	const client = "membership"
	if _, err := certs.Renew(folder, []string{rigService, client}, nil, time.Now()); err != nil {
		return err
	}
	open := func(role string) (network.Network, error) {
		return network.TLS(network.TLSFiles{
			Cert: filepath.Join(folder, role+".pem"), Key: filepath.Join(folder, role+".key"), CA: filepath.Join(folder, "ca.pem")})
	}
	near, err := open(rigService)
	if err != nil {
		return err
	}
	lis, creds, err := near.Listen(rigService, "127.0.0.1:0")
	if err != nil {
		return err
	}
	log := slog.New(slog.DiscardHandler)
	r.service = billing.New(billing.Dependencies{DB: r.db, Chain: &chain.Server{DB: r.db}, Log: log})
	built := server.New(creds, server.Config{Role: rigService, Log: log, Authenticate: func(context.Context, string) (caller.Caller, error) {
		return caller.Caller{}, errors.New("nobody signs in here")
	}})
	r.service.RegisterInternal(built)
	ctx, stop := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() { _ = built.Serve(ctx, lis) })
	r.closers = append(r.closers, serving.Wait, stop)
	far, err := open(client)
	if err != nil {
		return err
	}
	conn, err := far.Dial(client, rigService, lis.Addr().String())
	if err != nil {
		return err
	}
	r.closers = append(r.closers, func() { conn.Close() })
	r.remote = billingv1.NewSeatServiceClient(conn)
	return nil
}

// fill gives every organization seats, so that the planner can tell a table of many from an empty one, and then writes the
// history that drains publish again and again: many events of some organizations.
func (r *rig) fill(ctx context.Context) error {
	err := each(ctx, len(r.spread), func(ctx context.Context, i int) error {
		req := r.reserve(r.spread[i])
		for range 9 {
			req.Seats = append(req.Seats, ask())
		}
		return granted(r.service.ReserveSeats(ctx, req))
	})
	if err != nil {
		return err
	}
	return each(ctx, backlog/inFlight, func(ctx context.Context, _ int) error {
		organization := id.NewOrganization()
		var queued []outbox.Event
		for range inFlight {
			event, err := outbox.NewEvent(organization, time.Now(), &eventv1.SeatReserved{Context: new(eventv1.Context), Seats: []*eventv1.Seat{
				{SeatId: id.NewSeat().String(), State: eventv1.Seat_STATE_RESERVED, OwnerId: id.NewInvitation().String()}}})
			if err != nil {
				return err
			}
			queued = append(queued, event)
		}
		return r.db.Flight(ctx, postgres.In(organization), func(batch *pgx.Batch) {
			for _, event := range queued {
				event.Queue(batch, "true")
			}
		})
	})
}

// reserve asks for a seat in an organization.
func (r *rig) reserve(organization id.Organization) *billingv1.ReserveSeatsRequest {
	return &billingv1.ReserveSeatsRequest{
		OrganizationId: organization.String(),
		Origin:         &billingv1.Origin{Cause: "invite"},
		Seats:          []*billingv1.ReserveSeatsRequest_Ask{ask()},
	}
}

func ask() *billingv1.ReserveSeatsRequest_Ask {
	seat := id.NewSeat()
	return &billingv1.ReserveSeatsRequest_Ask{
		SeatId: seat.String(), OwnerKind: billingv1.OwnerKind_OWNER_KIND_INVITATION, OwnerId: id.Invitation(seat).String()}
}

// any returns one of the organizations that reservations are spread over, or the hot one.
func (r *rig) any(hot bool) id.Organization {
	if hot {
		return r.hot
	}
	return r.spread[rand.IntN(len(r.spread))]
}

var errDeniedSeat = errors.New("ReserveSeats denied a seat where there is no limit")

func granted(answer *billingv1.ReserveSeatsResponse, err error) error {
	if err == nil && answer.GetState() != billingv1.SeatState_SEAT_STATE_RESERVED {
		return errDeniedSeat
	}
	return err
}

// inService reserves seats by a call of the method, remotely by gRPC.
func (r *rig) inService(hot bool) call {
	return func(ctx context.Context, _ int) error {
		return granted(r.service.ReserveSeats(ctx, r.reserve(r.any(hot))))
	}
}

func (r *rig) remotely(hot bool) call {
	return func(ctx context.Context, _ int) error {
		return granted(r.remote.ReserveSeats(ctx, r.reserve(r.any(hot))))
	}
}

// with runs something while the relay works and a consumer hears, on a stream that was empty before. The consumer is told
// every event, and it is an error when one of them is not the next of its organization.
func (r *rig) with(ctx context.Context, told func(events.Event), do func(context.Context) (sample, error)) (s sample, err error) {
	if err := r.broker.js.DeleteStream(ctx, events.Stream(rigService)); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return s, err
	}
	if err := outbox.EnsureStream(ctx, r.broker.js, rigService, 1); err != nil {
		return s, err
	}
	var mu sync.Mutex
	last := make(map[string]int64)
	var disorder error
	log := slog.New(slog.DiscardHandler)
	consumer, err := events.New(r.broker.js, events.Config{Services: []string{rigService}, Log: log}, func(_ context.Context, e events.Event) error {
		told(e)
		mu.Lock()
		defer mu.Unlock()
		if before := last[e.Aggregate]; before > 0 && e.Revision != before+1 {
			disorder = fmt.Errorf("revision %d of %s came after %d", e.Revision, e.Aggregate, before)
		}
		last[e.Aggregate] = e.Revision
		return nil
	})
	if err != nil {
		return s, err
	}
	relay := outbox.NewRelay(r.relayed, r.broker.js, 1, log)
	ctx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	r.relay.Store(relay)
	running.Go(func() { _ = consumer.Run(ctx) })
	running.Go(func() { _ = relay.Run(ctx) })
	s, err = do(ctx)
	stop()
	running.Wait()
	r.relay.Store(nil)
	mu.Lock()
	defer mu.Unlock()
	return s, errors.Join(err, disorder)
}

// relaying measures a call while the relay works beside it.
func (r *rig) relaying(callers int, do call) func(context.Context, time.Duration) (sample, error) {
	return func(ctx context.Context, dur time.Duration) (sample, error) {
		if err := r.empty(ctx); err != nil {
			return sample{}, err
		}
		return r.with(ctx, func(events.Event) {}, func(ctx context.Context) (sample, error) { return load(ctx, callers, dur, do) })
	}
}

// latency is how long an event takes from the moment when its commit has returned to the handler of a consumer.
func (r *rig) latency(ctx context.Context, dur time.Duration) (sample, error) {
	if err := r.empty(ctx); err != nil {
		return sample{}, err
	}
	w := newStopwatch()
	return r.with(ctx, func(e events.Event) { w.end(seatOf(e)) }, func(ctx context.Context) (sample, error) {
		made, err := pace(ctx, steadyRate, dur, func(ctx context.Context, _ int) error {
			req := r.reserve(r.any(false))
			err := granted(r.service.ReserveSeats(ctx, req))
			w.begin(req.GetSeats()[0].GetSeatId())
			return err
		})
		if err != nil {
			return sample{}, err
		}
		return w.wait(ctx, made)
	})
}

// seatOf is the seat that an event tells of.
func seatOf(e events.Event) string {
	message, err := e.Message()
	reserved, ok := message.(*eventv1.SeatReserved)
	if err != nil || !ok {
		return e.ID
	}
	return reserved.GetSeats()[0].GetSeatId()
}

// empty takes away what waits for the relay.
func (r *rig) empty(ctx context.Context) error {
	_, err := r.all.Exec(ctx, `TRUNCATE outbox`)
	return err
}

// drain queues a backlog, and measures how fast the outbox is empty and, in heard, how fast a consumer knows it all.
func (r *rig) drain(heard *sample) func(context.Context, time.Duration) (sample, error) {
	return func(ctx context.Context, _ time.Duration) (s sample, err error) {
		for _, command := range []string{
			`TRUNCATE outbox`,
			`INSERT INTO outbox (part, aggregate_id, revision)
			 SELECT h.part, e.aggregate_id, e.revision FROM events e JOIN heads h USING (aggregate_id)
			 WHERE h.revision = ` + fmt.Sprint(inFlight) + ` AND h.used = 0 ORDER BY e.revision, e.aggregate_id`,
			`VACUUM ANALYZE outbox`,
		} {
			if _, err := r.all.Exec(ctx, command); err != nil {
				return s, err
			}
		}
		begin := time.Now()
		w := newStopwatch()
		return r.with(ctx, func(e events.Event) { w.end(e.ID) }, func(ctx context.Context) (sample, error) {
			s, err := r.emptied(ctx, begin)
			if err != nil {
				return s, err
			}
			if _, err = w.wait(ctx, backlog); err == nil {
				*heard = sample{calls: backlog, rate: backlog / time.Since(begin).Seconds()}
			}
			return s, err
		})
	}
}

// emptied waits until nothing waits for the relay.
func (r *rig) emptied(ctx context.Context, begin time.Time) (sample, error) {
	for time.Since(begin) < patience {
		var waits bool
		if err := r.all.QueryRow(ctx, `SELECT EXISTS (SELECT FROM outbox)`).Scan(&waits); err != nil {
			return sample{}, err
		}
		if !waits {
			return sample{calls: backlog, rate: backlog / time.Since(begin).Seconds()}, nil
		}
		select {
		case <-ctx.Done():
			return sample{}, ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	return sample{}, fmt.Errorf("the relay does not finish in %s", patience)
}
