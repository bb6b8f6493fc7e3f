package billing_test

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

func TestSeats(t *testing.T) {
	t.Parallel()
	h := start(t)
	organization := func(t *testing.T, limit *int32, members int) (org id.Organization, seats []id.Seat) {
		t.Parallel()
		org = id.NewOrganization()
		if limit != nil {
			h.limit(t, org, limit)
		}
		if members > 0 {
			seats = h.members(t, org, members)
		}
		return org, seats
	}

	t.Run("T01 44 members and 1 invitation of 100 are 45, and 55 are left", func(t *testing.T) {
		org, _ := organization(t, of(100), 44)
		require.Equal(t, reserved, h.reserve(t, org, id.NewSeat()))
		usage := h.read(t, org)
		equal(t, &billingv1.SeatUsage{Used: 45, Occupied: 44, Reserved: 1, Total: of(100), Available: of(55), State: billingv1.SeatUsage_STATE_OK}, usage)
	})
	t.Run("T02 the last seat says so once, and the next one is denied for ever", func(t *testing.T) {
		org, seats := organization(t, of(3), 2)
		before := len(h.types(t, org))
		last, late := id.NewSeat(), id.NewSeat()
		resp := h.exchange(t, org, nil, last)
		require.Equal(t, reserved, resp.GetState())
		require.Equal(t, billingv1.SeatUsage_STATE_AT, resp.GetUsage().GetState())
		require.Equal(t, denied, h.reserve(t, org, late))
		require.Equal(t, []string{"seat.reserved", "seat.at_limit"}, h.types(t, org)[before:])

		h.release(t, org, seats...)
		require.Equal(t, denied, h.reserve(t, org, late), "a denial is stable, also when seats are free by now")
		require.Equal(t, denied, h.occupy(t, org, late))
		require.Equal(t, reserved, h.reserve(t, org, id.NewSeat()))
	})
	t.Run("T03 64 concurrent reserves, one seat left: one granted", func(t *testing.T) {
		org, _ := organization(t, of(10), 9)
		var granted atomic.Int32
		var all sync.WaitGroup
		for range 64 {
			all.Go(func() {
				if h.reserve(t, org, id.NewSeat()) == reserved {
					granted.Add(1)
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 1, granted.Load())
		require.EqualValues(t, 10, h.read(t, org).GetUsed())
	})
	t.Run("T04 an invitation is accepted at the limit, and above it", func(t *testing.T) {
		org, _ := organization(t, of(3), 1)
		seats := fresh(2)
		require.Equal(t, reserved, h.reserve(t, org, seats...))
		require.Equal(t, occupied, h.occupy(t, org, seats[0]))
		require.Equal(t, billingv1.SeatUsage_STATE_OVER, h.limit(t, org, of(1)).GetState())
		require.Equal(t, occupied, h.occupy(t, org, seats[1]))
		require.EqualValues(t, 3, h.read(t, org).GetOccupied())
	})
	t.Run("T05 a revoked invitation frees its seat at once, and the next one gets it", func(t *testing.T) {
		org, _ := organization(t, of(2), 1)
		pending := id.NewSeat()
		require.Equal(t, reserved, h.reserve(t, org, pending))
		require.Equal(t, denied, h.reserve(t, org, id.NewSeat()))
		require.EqualValues(t, 1, h.release(t, org, pending).GetUsed())
		require.Equal(t, reserved, h.reserve(t, org, id.NewSeat()))
	})
	t.Run("T06 the seat of an expired invitation is freed by the call that needs it", func(t *testing.T) {
		org, _ := organization(t, of(2), 1)
		expired, next := id.NewSeat(), id.NewSeat()
		require.Equal(t, reserved, h.reserve(t, org, expired))
		before := len(h.types(t, org))
		resp := h.exchange(t, org, []id.Seat{expired}, next)
		require.Equal(t, reserved, resp.GetState())
		require.EqualValues(t, 2, resp.GetUsage().GetUsed())
		require.Equal(t, []string{"seat.released", "seat.reserved", "seat.at_limit"}, h.types(t, org)[before:])
		require.Equal(t, released, h.occupy(t, org, expired), "the expired link opens nothing")
		require.Equal(t, reserved, h.exchange(t, org, []id.Seat{expired}, next).GetState(), "a repeated call gets the same answer")
		require.Len(t, h.types(t, org), before+3, "and makes no event")
	})
	t.Run("T07 sending a pending invitation again costs nothing, an expired one a new seat", func(t *testing.T) {
		org, _ := organization(t, of(2), 1)
		pending := id.NewSeat()
		require.Equal(t, reserved, h.reserve(t, org, pending))
		require.Equal(t, reserved, h.reserve(t, org, pending))
		require.EqualValues(t, 2, h.read(t, org).GetUsed())
		h.release(t, org, pending)
		require.Equal(t, reserved, h.reserve(t, org, id.NewSeat()), "somebody else was quicker")
		require.Equal(t, denied, h.reserve(t, org, id.NewSeat()))
		require.Equal(t, released, h.reserve(t, org, pending), "the old seat stays gone")
	})
	t.Run("T11 ten new ones and four seats: none", func(t *testing.T) {
		org, _ := organization(t, of(5), 1)
		resp := h.exchange(t, org, nil, fresh(10)...)
		require.Equal(t, denied, resp.GetState())
		require.EqualValues(t, 4, resp.GetUsage().GetAvailable())
		require.Equal(t, reserved, h.reserve(t, org, fresh(4)...))
	})
	t.Run("T15 a removed member's seat is free before the call returns", func(t *testing.T) {
		org, seats := organization(t, of(2), 2)
		require.EqualValues(t, 1, h.release(t, org, seats[0]).GetUsed())
		types := h.types(t, org)
		require.Equal(t, "seat.released", types[len(types)-1])
		require.Equal(t, reserved, h.reserve(t, org, id.NewSeat()))
		require.EqualValues(t, 2, h.release(t, org, seats[0]).GetUsed(), "releasing it again frees nobody else's")
		require.Len(t, h.types(t, org), len(types)+2)
	})
	t.Run("T16 disabling frees the seat, enabling takes one, which may be refused", func(t *testing.T) {
		org, seats := organization(t, of(2), 2)
		h.release(t, org, seats[0])
		require.Equal(t, reserved, h.reserve(t, org, id.NewSeat()), "somebody else was quicker")
		require.Equal(t, denied, h.reserve(t, org, id.NewSeat()))
		h.release(t, org, seats[1])
		enabled := id.NewSeat()
		require.Equal(t, reserved, h.reserve(t, org, enabled))
		require.Equal(t, occupied, h.occupy(t, org, enabled))
	})
	t.Run("T19 without a limit 500 at once are fine", func(t *testing.T) {
		org, _ := organization(t, nil, 0)
		resp := h.exchange(t, org, nil, fresh(500)...)
		require.Equal(t, reserved, resp.GetState())
		equal(t, &billingv1.SeatUsage{Used: 500, Reserved: 500, State: billingv1.SeatUsage_STATE_UNLIMITED}, resp.GetUsage())
	})
	t.Run("AReleaseThatComesFirstWins", func(t *testing.T) {
		org, _ := organization(t, nil, 0)
		early := id.NewSeat()
		require.Zero(t, h.release(t, org, early).GetUsed())
		require.Equal(t, released, h.reserve(t, org, early))
		require.Empty(t, h.types(t, org))
	})
	t.Run("AnOccupyOfAnUnknownSeatIsRefusedForEver", func(t *testing.T) {
		org, _ := organization(t, nil, 0)
		unknown := id.NewSeat()
		require.Equal(t, released, h.occupy(t, org, unknown))
		require.Equal(t, released, h.reserve(t, org, unknown))
		require.Empty(t, h.types(t, org))
	})
	t.Run("AnAccountMaySitOnTwoSeats", func(t *testing.T) {
		org, _ := organization(t, of(2), 0)
		first, second, account := id.NewSeat(), id.NewSeat(), id.NewAccount()
		require.Equal(t, reserved, h.reserve(t, org, first, second))
		for _, seatID := range []id.Seat{first, second} { // as after a removal whose release is still on its way
			resp, err := h.seats.OccupySeat(t.Context(), &billingv1.OccupySeatRequest{
				OrganizationId: org.String(), SeatId: seatID.String(), AccountId: account.String()})
			require.NoError(t, err)
			require.Equal(t, occupied, resp.GetState())
		}
		require.EqualValues(t, 2, h.read(t, org).GetOccupied())
		require.EqualValues(t, 1, h.release(t, org, first).GetUsed(), "the other seat stays the account's")
		require.Equal(t, occupied, h.reserve(t, org, second))
	})
	t.Run("AMixedCallTellsExactlyWhatChanged", func(t *testing.T) {
		org, seats := organization(t, nil, 2)
		gone, unknown, pending, next := id.NewSeat(), id.NewSeat(), id.NewSeat(), id.NewSeat()
		require.Equal(t, reserved, h.reserve(t, org, gone, pending))
		h.release(t, org, gone)
		before := len(h.types(t, org))
		resp := h.exchange(t, org, []id.Seat{gone, seats[0], unknown}, seats[1], next, pending)
		require.Equal(t, reserved, resp.GetState())
		require.EqualValues(t, 3, resp.GetUsage().GetUsed())
		events := h.history(t, org)[before:]
		require.Len(t, events, 2)
		var out eventv1.SeatReleased
		decode(t, events[0], &out)
		require.Len(t, out.GetSeats(), 1)
		require.Equal(t, seats[0].String(), out.GetSeats()[0].GetSeatId())
		var in eventv1.SeatReserved
		decode(t, events[1], &in)
		require.Len(t, in.GetSeats(), 1)
		require.Equal(t, next.String(), in.GetSeats()[0].GetSeatId())
	})
	t.Run("TheEventSaysWhoAndWhy", func(t *testing.T) {
		org, _ := organization(t, nil, 0)
		seatID, account, owner := id.NewSeat(), id.NewAccount(), id.NewAccount()
		origin := &billingv1.Origin{ActorAccountId: account.String(), Cause: "admin", CauseId: "inv_cause"}
		_, err := h.seats.ReserveSeats(t.Context(), &billingv1.ReserveSeatsRequest{OrganizationId: org.String(), Origin: origin,
			Seats: []*billingv1.ReserveSeatsRequest_Ask{{SeatId: seatID.String(), OwnerKind: billingv1.OwnerKind_OWNER_KIND_MEMBER, OwnerId: owner.String()}}})
		require.NoError(t, err)
		_, err = h.seats.OccupySeat(t.Context(), &billingv1.OccupySeatRequest{OrganizationId: org.String(), SeatId: seatID.String(), AccountId: owner.String()})
		require.NoError(t, err)
		events := h.history(t, org)
		var first eventv1.SeatReserved
		decode(t, events[0], &first)
		require.Equal(t, eventv1.Actor_KIND_ACCOUNT, first.GetContext().GetActor().GetKind())
		require.Equal(t, account.String(), first.GetContext().GetActor().GetId())
		require.Equal(t, eventv1.Cause_KIND_ADMIN, first.GetContext().GetCause().GetKind())
		require.Equal(t, "inv_cause", first.GetContext().GetCause().GetId())
		require.Equal(t, owner.String(), first.GetSeats()[0].GetOwnerId())
		var second eventv1.SeatOccupied
		decode(t, events[1], &second)
		require.Equal(t, eventv1.Actor_KIND_SYSTEM, second.GetContext().GetActor().GetKind())
		require.Equal(t, "billing", second.GetContext().GetActor().GetId())
		require.Equal(t, owner.String(), second.GetSeats()[0].GetAccountId())
		require.NotContains(t, string(events[1].Data), "used", "counters stand in the ledger")
	})
	t.Run("AReservedSeatIsReviewedWhenItsOwnerSays", func(t *testing.T) {
		org, _ := organization(t, nil, 0)
		seatID, at := id.NewSeat(), time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
		ask := invited(seatID)
		ask.ReviewTime = timestamppb.New(at)
		req := &billingv1.ReserveSeatsRequest{OrganizationId: org.String(), Seats: []*billingv1.ReserveSeatsRequest_Ask{ask}}
		_, err := h.seats.ReserveSeats(t.Context(), req)
		require.NoError(t, err)
		require.WithinDuration(t, at, h.due(t, org)[seatID], 0)
		h.occupy(t, org, seatID)
		require.Empty(t, h.due(t, org))
		_, err = h.seats.ReserveSeats(t.Context(), req)
		require.NoError(t, err)
		require.Empty(t, h.due(t, org), "a repeated reserve schedules nothing")
	})
	t.Cleanup(func() { h.consistent(t) })
}

func TestSeatsRefuse(t *testing.T) {
	t.Parallel()
	h := start(t)
	org, seatID, account := id.NewOrganization().String(), id.NewSeat().String(), id.NewAccount().String()
	ask := func(change func(*billingv1.ReserveSeatsRequest_Ask)) *billingv1.ReserveSeatsRequest {
		a := invited(id.NewSeat())
		change(a)
		return &billingv1.ReserveSeatsRequest{OrganizationId: org, Seats: []*billingv1.ReserveSeatsRequest_Ask{a}}
	}
	same := invited(id.NewSeat())
	for name, c := range map[string]struct {
		field string
		call  func(context.Context) error
	}{
		"ReserveInNoOrganization": {"organization_id", h.reserves(&billingv1.ReserveSeatsRequest{OrganizationId: account})},
		"ReserveNothing":          {"seats", h.reserves(&billingv1.ReserveSeatsRequest{OrganizationId: org})},
		"ReserveTooMany": {"seats", h.reserves(&billingv1.ReserveSeatsRequest{OrganizationId: org,
			Seats: make([]*billingv1.ReserveSeatsRequest_Ask, 501)})},
		"ReserveTheSameTwice": {"seats[1].seat_id", h.reserves(&billingv1.ReserveSeatsRequest{OrganizationId: org,
			Seats: []*billingv1.ReserveSeatsRequest_Ask{same, same}})},
		"ReserveWithAnotherId":    {"seats[0]", h.reserves(ask(func(a *billingv1.ReserveSeatsRequest_Ask) { a.SeatId = account }))},
		"ReserveForNobody":        {"seats[0].owner_kind", h.reserves(ask(func(a *billingv1.ReserveSeatsRequest_Ask) { a.OwnerKind = 0 }))},
		"ReserveForAnotherKind":   {"seats[0].owner_id", h.reserves(ask(func(a *billingv1.ReserveSeatsRequest_Ask) { a.OwnerId = account }))},
		"ReserveForNoMember":      {"seats[0].owner_id", h.reserves(ask(func(a *billingv1.ReserveSeatsRequest_Ask) { a.OwnerKind = 2 }))},
		"ReserveUntilNoTime":      {"seats[0].review_time", h.reserves(ask(func(a *billingv1.ReserveSeatsRequest_Ask) { a.ReviewTime = &timestamppb.Timestamp{Nanos: -1} }))},
		"ReserveReleasingNoSeat":  {"release_seat_ids[0]", h.reserves(&billingv1.ReserveSeatsRequest{OrganizationId: org, Seats: []*billingv1.ReserveSeatsRequest_Ask{invited(id.NewSeat())}, ReleaseSeatIds: []string{"x"}})},
		"ReserveForNoReason":      {"origin.cause", h.reserves(&billingv1.ReserveSeatsRequest{OrganizationId: org, Seats: []*billingv1.ReserveSeatsRequest_Ask{invited(id.NewSeat())}, Origin: &billingv1.Origin{Cause: "mood"}})},
		"ReserveAsNoAccount":      {"origin.actor_account_id", h.reserves(&billingv1.ReserveSeatsRequest{OrganizationId: org, Seats: []*billingv1.ReserveSeatsRequest_Ask{invited(id.NewSeat())}, Origin: &billingv1.Origin{ActorAccountId: org}})},
		"ReserveForALongCause":    {"origin.cause_id", h.reserves(&billingv1.ReserveSeatsRequest{OrganizationId: org, Seats: []*billingv1.ReserveSeatsRequest_Ask{invited(id.NewSeat())}, Origin: &billingv1.Origin{CauseId: strings.Repeat("x", 65)}})},
		"OccupyInNoOrganization":  {"organization_id", h.occupies(&billingv1.OccupySeatRequest{SeatId: seatID, AccountId: account})},
		"OccupyNoSeat":            {"seat_id", h.occupies(&billingv1.OccupySeatRequest{OrganizationId: org, SeatId: "", AccountId: account})},
		"OccupyByNobody":          {"account_id", h.occupies(&billingv1.OccupySeatRequest{OrganizationId: org, SeatId: seatID})},
		"ReleaseInNoOrganization": {"organization_id", h.releases(&billingv1.ReleaseSeatsRequest{SeatIds: []string{seatID}})},
		"ReleaseNothing":          {"seat_ids", h.releases(&billingv1.ReleaseSeatsRequest{OrganizationId: org})},
		"ReleaseNoSeat":           {"seat_ids[1]", h.releases(&billingv1.ReleaseSeatsRequest{OrganizationId: org, SeatIds: []string{seatID, "seat_"}})},
		"ReleaseTooMany":          {"seat_ids", h.releases(&billingv1.ReleaseSeatsRequest{OrganizationId: org, SeatIds: make([]string, 501)})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := refused(t, c.call(t.Context()), errorv1.Reason_REASON_VALIDATION_FAILED)
			require.Len(t, f.Fields, 1)
			require.Equal(t, c.field, f.Fields[0].Name)
		})
	}
	t.Run("ThoseWhoAreNoService", func(t *testing.T) {
		t.Parallel()
		_, err := billingv1.NewSeatServiceClient(h.bare).ReleaseSeats(as(t.Context(), "account"), &billingv1.ReleaseSeatsRequest{})
		refused(t, err, errorv1.Reason_REASON_CALLER_REFUSED)
	})
	t.Cleanup(func() {
		var rows int
		require.NoError(t, h.rows.QueryRow(context.Background(), `SELECT (SELECT count(*) FROM heads) + (SELECT count(*) FROM seats)`).Scan(&rows))
		require.Zero(t, rows, "a call that is refused leaves nothing behind")
	})
}

func (h *harness) reserves(req *billingv1.ReserveSeatsRequest) func(context.Context) error {
	return func(ctx context.Context) error { _, err := h.seats.ReserveSeats(ctx, req); return err }
}

func (h *harness) occupies(req *billingv1.OccupySeatRequest) func(context.Context) error {
	return func(ctx context.Context) error { _, err := h.seats.OccupySeat(ctx, req); return err }
}

func (h *harness) releases(req *billingv1.ReleaseSeatsRequest) func(context.Context) error {
	return func(ctx context.Context) error { _, err := h.seats.ReleaseSeats(ctx, req); return err }
}

// Seats are the busiest rows of an organization, so each of these is one round trip. Only the last free seat takes two, and
// not in an exchange: in between somebody else could get what was freed.
func TestSeatsAreOneFlight(t *testing.T) {
	t.Parallel()
	h := start(t)
	org := id.NewOrganization()
	seats := h.members(t, org, 2)
	var flights flights
	config := h.db.Pool.Config()
	config.ConnConfig.Tracer = &flights
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	h.db.Pool.Close()
	h.db.Pool = pool // closed with the database
	next := id.NewSeat()
	for name, call := range map[string]func(){
		"reserve": func() { h.exchange(t, org, seats[:1], next) },
		"occupy":  func() { h.occupy(t, org, next) },
		"release": func() { h.release(t, org, seats[1]) },
		"usage":   func() { h.read(t, org) },
	} {
		before := flights.count.Load()
		call()
		require.EqualValues(t, 1, flights.count.Load()-before, name)
	}

	full := id.NewOrganization()
	h.limit(t, full, of(2))
	last := id.NewSeat()
	for _, step := range []struct {
		name    string
		flights int
		call    func() billingv1.SeatState
	}{
		{"free seats are left", 1, func() billingv1.SeatState { return h.reserve(t, full, id.NewSeat()) }},
		{"the last free seat", 2, func() billingv1.SeatState { return h.reserve(t, full, last) }},
		{"an exchange at the limit", 1, func() billingv1.SeatState { return h.exchange(t, full, []id.Seat{last}, id.NewSeat()).GetState() }},
	} {
		before := flights.count.Load()
		require.Equal(t, reserved, step.call(), step.name)
		require.EqualValues(t, step.flights, flights.count.Load()-before, step.name)
	}
	require.Equal(t, denied, h.reserve(t, full, id.NewSeat()))
}

// What a change of seats reads does not depend on how many members the organization has.
func TestSeatsOfALargeOrganization(t *testing.T) {
	t.Parallel()
	h := start(t)
	large := id.NewOrganization()
	_, err := h.rows.Exec(t.Context(), `
		INSERT INTO seats (organization_id, seat_id, state, owner_kind, owner_id)
		SELECT $1::uuid, gen_random_uuid(), 'RESERVED', 'MEMBER', gen_random_uuid() FROM generate_series(1, 3000)
		UNION ALL
		SELECT o, gen_random_uuid(), 'RESERVED', 'MEMBER', gen_random_uuid() FROM (SELECT gen_random_uuid() AS o FROM generate_series(1, 2000)) s, generate_series(1, 3)`, large)
	require.NoError(t, err)
	_, err = h.rows.Exec(t.Context(), `ANALYZE seats`)
	require.NoError(t, err)
	read := func() (rows int) {
		require.NoError(t, h.rows.QueryRow(t.Context(), `
			SELECT t.seq_tup_read + i.idx_tup_read FROM pg_stat_user_tables t JOIN pg_stat_user_indexes i USING (relid) WHERE i.indexrelname = 'seats_pkey'`).Scan(&rows))
		return rows
	}
	before := read()
	const changes = 20 // more than PostgreSQL plans anew
	for range changes {
		seatID := id.NewSeat()
		require.Equal(t, reserved, h.reserve(t, large, seatID))
		require.Equal(t, occupied, h.occupy(t, large, seatID))
		h.release(t, large, seatID)
	}
	h.db.Close() // sessions that end tell what they have read
	require.Eventually(t, func() bool {
		var sessions int
		require.NoError(t, h.rows.QueryRow(t.Context(), `
			SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'roster-billing'`).Scan(&sessions))
		return sessions == 0
	}, 20*time.Second, 10*time.Millisecond)
	require.Less(t, read()-before, 50*changes)
}

type flights struct{ count atomic.Int64 }

func (f *flights) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	f.count.Add(1)
	return ctx
}
func (f *flights) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
func (f *flights) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	if !strings.Contains(data.Batch.QueuedQueries[0].SQL, "beats") { // the proof that this is the primary serves all calls of a second
		f.count.Add(1)
	}
	return ctx
}
func (f *flights) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (f *flights) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}

// Whatever comes at once, and however often, the numbers hold and every call gets a stable answer.
func TestSeatsUnderLoad(t *testing.T) {
	t.Parallel()
	h := start(t)
	organizations := []id.Organization{id.NewOrganization(), id.NewOrganization()}
	var all sync.WaitGroup
	for worker := range 48 {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(worker), 1))
			org := organizations[worker%len(organizations)]
			var mine []id.Seat
			pick := func() id.Seat {
				if len(mine) == 0 || random.IntN(20) == 0 {
					return id.NewSeat() // nobody has heard of it
				}
				return mine[random.IntN(len(mine))]
			}
			for range 25 {
				switch random.IntN(10) {
				case 0, 1, 2, 3:
					asks := fresh(1 + random.IntN(3))
					if random.IntN(3) == 0 {
						asks[0] = pick()
					}
					first := h.exchange(t, org, []id.Seat{pick()}, asks...).GetState()
					if again := h.reserve(t, org, asks...); again != first && again != occupied {
						t.Errorf("the first answer was %v, the second %v", first, again) // nobody else knows these seats
					}
					mine = append(mine, asks...)
				case 4, 5, 6:
					seatID := pick()
					if first, again := h.occupy(t, org, seatID), h.occupy(t, org, seatID); first != again {
						t.Errorf("the first answer was %v, the second %v", first, again)
					}
				case 7, 8:
					h.release(t, org, pick(), pick())
				case 9:
					if limit := random.Int32N(40); limit > 0 {
						h.limit(t, org, &limit)
					} else {
						h.limit(t, org, nil)
					}
				}
			}
		})
	}
	all.Wait()
	h.consistent(t)
}
