package billing_test

import (
	"context"
	"encoding/json"
	"flag"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/rosterhq/roster/pkg/fault"
	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/billing"
	"github.com/rosterhq/roster/services/billing/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/chain"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/network"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/server"
	"github.com/rosterhq/roster/services/internal/testkit"
)

func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "40"); err != nil { // a flag on the command line wins
		panic(err)
	}
	testkit.Main(m)
}

var refused = testkit.Refused

// harness is billing on a database of its own, with its peers played by the test.
type harness struct {
	db      *postgres.DB
	rows    *pgxpool.Pool // the owner's, who sees all rows
	service *billing.Service

	seats  billingv1.SeatServiceClient // as membership
	usage  billingv1.SeatUsageServiceClient
	limits billingv1.SeatLimitServiceClient
	bare   *grpc.ClientConn // as nobody

	account  id.Account
	operator id.Operator

	access     *access
	invitation *owner
	membership *owner
}

func start(t testing.TB) *harness {
	t.Helper()
	dsns := testkit.Database(t, "billing", store.Migrations)
	rows, err := pgxpool.New(t.Context(), dsns.Owner)
	require.NoError(t, err)
	t.Cleanup(rows.Close)
	h := &harness{
		db: dsns.Open(t, postgres.Options{}), rows: rows,
		account: id.NewAccount(), operator: id.NewOperator(),
		access: &access{decision: membershipv1.CheckAccessResponse_DECISION_ALLOWED}, invitation: &owner{}, membership: &owner{},
	}
	log := slog.New(slog.DiscardHandler)
	h.service = billing.New(billing.Dependencies{
		DB:     h.db,
		Chain:  &chain.Server{DB: h.db},
		Access: h.access,
		Owners: map[billingv1.OwnerKind]billingv1.SeatOwnerServiceClient{
			billingv1.OwnerKind_OWNER_KIND_INVITATION: h.invitation,
			billingv1.OwnerKind_OWNER_KIND_MEMBER:     h.membership,
		},
		Log: log,
	})

	memory := network.Memory()
	testkit.Serve(t, memory, server.Config{Role: "billing", Log: log, Authenticate: func(_ context.Context, bearer string) (caller.Caller, error) {
		switch bearer {
		case "account":
			return caller.Caller{Account: h.account}, nil
		case "operator":
			return caller.Caller{Operator: h.operator}, nil
		}
		return caller.Caller{}, fault.New(errorv1.Reason_REASON_UNAUTHENTICATED, "Unknown.")
	}}, h.service)
	dial := func(from string) *grpc.ClientConn { return testkit.Dial(t, memory, from, "billing") }
	h.bare = dial("")
	h.seats = billingv1.NewSeatServiceClient(dial("membership"))
	h.usage, h.limits = billingv1.NewSeatUsageServiceClient(h.bare), billingv1.NewSeatLimitServiceClient(h.bare)
	return h
}

func as(ctx context.Context, bearer string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+bearer)
}

// access plays membership's AccessService.
type access struct {
	membershipv1.AccessServiceClient // of which billing uses one method

	mu       sync.Mutex
	decision membershipv1.CheckAccessResponse_Decision
	err      error
	asked    *membershipv1.CheckAccessRequest // last
}

func (a *access) CheckAccess(_ context.Context, req *membershipv1.CheckAccessRequest, _ ...grpc.CallOption) (*membershipv1.CheckAccessResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = req
	return &membershipv1.CheckAccessResponse{Allowed: a.decision == membershipv1.CheckAccessResponse_DECISION_ALLOWED, Decision: a.decision}, a.err
}

// owner plays a service that owns seats.
type owner struct {
	alive []bool
	err   error
	asked []*billingv1.CheckSeatOwnersRequest
}

func (o *owner) CheckSeatOwners(_ context.Context, req *billingv1.CheckSeatOwnersRequest, _ ...grpc.CallOption) (*billingv1.CheckSeatOwnersResponse, error) {
	o.asked = append(o.asked, req)
	return &billingv1.CheckSeatOwnersResponse{Alive: o.alive}, o.err
}

// invited asks for a seat for an invitation.
func invited(seatID id.Seat) *billingv1.ReserveSeatsRequest_Ask {
	return &billingv1.ReserveSeatsRequest_Ask{SeatId: seatID.String(), OwnerKind: billingv1.OwnerKind_OWNER_KIND_INVITATION,
		OwnerId: id.Invitation(seatID).String()}
}

// reserve asks for seats for invitations and returns the answer.
func (h *harness) reserve(t require.TestingT, org id.Organization, seats ...id.Seat) billingv1.SeatState {
	return h.exchange(t, org, nil, seats...).GetState()
}

// exchange frees seats and asks for others.
func (h *harness) exchange(t require.TestingT, org id.Organization, release []id.Seat, seats ...id.Seat) *billingv1.ReserveSeatsResponse {
	req := &billingv1.ReserveSeatsRequest{OrganizationId: org.String(), ReleaseSeatIds: texts(release)}
	for _, seatID := range seats {
		req.Seats = append(req.Seats, invited(seatID))
	}
	resp, err := h.seats.ReserveSeats(context.Background(), req)
	require.NoError(t, err)
	return resp
}

func (h *harness) occupy(t require.TestingT, org id.Organization, seatID id.Seat) billingv1.SeatState {
	resp, err := h.seats.OccupySeat(context.Background(), &billingv1.OccupySeatRequest{
		OrganizationId: org.String(), SeatId: seatID.String(), AccountId: id.Account(seatID).String()})
	require.NoError(t, err)
	return resp.GetState()
}

func (h *harness) release(t require.TestingT, org id.Organization, seats ...id.Seat) *billingv1.SeatUsage {
	resp, err := h.seats.ReleaseSeats(context.Background(), &billingv1.ReleaseSeatsRequest{OrganizationId: org.String(), SeatIds: texts(seats)})
	require.NoError(t, err)
	return resp.GetUsage()
}

// limit sets the limit; nil lifts it.
func (h *harness) limit(t require.TestingT, org id.Organization, limit *int32) *billingv1.SeatUsage {
	resp, err := h.limits.SetSeatLimit(as(context.Background(), "operator"), &billingv1.SetSeatLimitRequest{
		OrganizationId: org.String(), Limit: limit, Reason: "test"})
	require.NoError(t, err)
	return resp.GetUsage()
}

// read returns the usage as a member sees it.
func (h *harness) read(t require.TestingT, org id.Organization) *billingv1.SeatUsage {
	resp, err := h.usage.GetSeatUsage(as(context.Background(), "account"), &billingv1.GetSeatUsageRequest{OrganizationId: org.String()})
	require.NoError(t, err)
	return resp.GetUsage()
}

// members fills the organization with n members, and returns their seats.
func (h *harness) members(t require.TestingT, org id.Organization, n int) []id.Seat {
	seats := fresh(n)
	require.Equal(t, reserved, h.reserve(t, org, seats...))
	for _, seatID := range seats {
		require.Equal(t, occupied, h.occupy(t, org, seatID))
	}
	return seats
}

const (
	reserved = billingv1.SeatState_SEAT_STATE_RESERVED
	occupied = billingv1.SeatState_SEAT_STATE_OCCUPIED
	released = billingv1.SeatState_SEAT_STATE_RELEASED
	denied   = billingv1.SeatState_SEAT_STATE_DENIED
)

func fresh(n int) []id.Seat {
	seats := make([]id.Seat, n)
	for i := range seats {
		seats[i] = id.NewSeat()
	}
	return seats
}

func texts(seats []id.Seat) (out []string) {
	for _, seatID := range seats {
		out = append(out, seatID.String())
	}
	return out
}

// decode reads the data of an event into its message.
func decode(t require.TestingT, e outbox.Entry, message proto.Message) {
	require.NoError(t, protojson.Unmarshal(e.Data, message))
}

// history returns the organization's events, verified: no gap, and every hash follows from the one before.
func (h *harness) history(t require.TestingT, org id.Organization) []outbox.Entry {
	rows, _ := h.rows.Query(context.Background(), `
		SELECT aggregate_id, revision, epoch, id, type, time, data, personal, personal_salt, personal_hash, trace_id, prev_hash, hash
		FROM events WHERE aggregate_id = $1 ORDER BY revision`, org)
	events, err := pgx.CollectRows(rows, pgx.RowToStructByName[outbox.Entry])
	require.NoError(t, err)
	require.NoError(t, outbox.Verify(events))
	if len(events) > 0 {
		require.EqualValues(t, 1, events[0].Revision)
	}
	var revision int
	var hash []byte
	require.NoError(t, h.rows.QueryRow(context.Background(), `SELECT revision, hash FROM heads WHERE aggregate_id = $1`, org).Scan(&revision, &hash))
	require.Equal(t, len(events), revision)
	if revision > 0 {
		require.Equal(t, events[revision-1].Hash, hash)
	}
	return events
}

// types returns the types of the organization's events, in order.
func (h *harness) types(t require.TestingT, org id.Organization) (types []string) {
	for _, e := range h.history(t, org) {
		types = append(types, e.Type)
	}
	return types
}

// due returns the seats that wait for a review.
func (h *harness) due(t require.TestingT, org id.Organization) map[id.Seat]time.Time {
	rows, _ := h.rows.Query(context.Background(), `SELECT id, next_time FROM due WHERE aggregate_id = $1 AND kind = 'review'`, org)
	due := make(map[id.Seat]time.Time)
	var seatID id.Seat
	var at time.Time
	_, err := pgx.ForEachRow(rows, []any{&seatID, &at}, func() error { due[seatID] = at; return nil })
	require.NoError(t, err)
	return due
}

// consistent holds the whole database against the invariants: each query returns the rows that break one.
func (h *harness) consistent(t require.TestingT) {
	for name, query := range map[string]string{
		"A1: the counters are the live seats": `
			SELECT h.aggregate_id FROM heads h
			LEFT JOIN (SELECT organization_id, count(*) FILTER (WHERE state = 'OCCUPIED') AS occupied, count(*) FILTER (WHERE state = 'RESERVED') AS reserved
			           FROM seats GROUP BY 1) s ON s.organization_id = h.aggregate_id
			WHERE h.occupied <> coalesce(s.occupied, 0) OR h.reserved <> coalesce(s.reserved, 0) OR h.used <> h.occupied + h.reserved`,
		"A1: the counters are the sum of the ledger": `
			SELECT h.aggregate_id FROM heads h
			LEFT JOIN (SELECT organization_id, sum(occupied_delta) AS occupied, sum(reserved_delta) AS reserved FROM seat_ledger GROUP BY 1) l
			  ON l.organization_id = h.aggregate_id
			WHERE h.occupied <> coalesce(l.occupied, 0) OR h.reserved <> coalesce(l.reserved, 0)`,
		"A1: each line of the ledger follows from the one before": `
			SELECT organization_id, revision FROM (
				SELECT *, coalesce(lag(used_after) OVER (PARTITION BY organization_id ORDER BY revision), 0) AS used_before FROM seat_ledger) l
			WHERE used_before + occupied_delta + reserved_delta <> used_after`,
		"the ceiling follows the cap and what is used": `
			SELECT aggregate_id FROM heads WHERE ceiling IS DISTINCT FROM CASE WHEN cap IS NOT NULL THEN greatest(cap, used) END`,
		"A2: nothing grows over the cap": `
			SELECT organization_id, revision FROM seat_ledger
			WHERE occupied_delta + reserved_delta > 0 AND cap_at IS NOT NULL AND used_after > cap_at`,
		"every event about seats has its line in the ledger, and every line its event": `
			SELECT e.aggregate_id, l.organization_id FROM (SELECT * FROM events WHERE type <> 'seat.limit_changed') e
			FULL JOIN seat_ledger l ON l.organization_id = e.aggregate_id AND l.revision = e.revision
			WHERE e.id IS DISTINCT FROM l.event_id OR e.type <> CASE l.op
			  WHEN 'RESERVE' THEN 'seat.reserved' WHEN 'OCCUPY' THEN 'seat.occupied' WHEN 'RELEASE' THEN 'seat.released' ELSE 'seat.at_limit' END`,
		"reserved seats are reviewed, and no others": `
			SELECT s.organization_id, d.id FROM (SELECT * FROM seats WHERE state = 'RESERVED') s
			FULL JOIN due d ON d.aggregate_id = s.organization_id AND d.id = s.seat_id AND d.kind = 'review'
			WHERE s.seat_id IS NULL OR d.id IS NULL`,
		"every event waits for the relay": `
			SELECT e.aggregate_id FROM events e FULL JOIN outbox o ON o.aggregate_id = e.aggregate_id AND o.revision = e.revision
			WHERE e.id IS NULL OR o.id IS NULL`,
	} {
		var broken int
		require.NoError(t, h.rows.QueryRow(context.Background(), `SELECT count(*) FROM (`+query+`) broken`).Scan(&broken), name)
		require.Zero(t, broken, name)
	}
	rows, _ := h.rows.Query(context.Background(), `SELECT aggregate_id FROM heads`)
	organizations, err := pgx.CollectRows(rows, pgx.RowTo[id.Organization])
	require.NoError(t, err)
	for _, org := range organizations {
		h.history(t, org)
	}
	h.folds(t)
}

// folds holds the seats against what the events say of them, which is all that the world knows.
func (h *harness) folds(t require.TestingT) {
	rows, _ := h.rows.Query(context.Background(), `SELECT data FROM events WHERE type IN ('seat.reserved', 'seat.occupied', 'seat.released') ORDER BY aggregate_id, revision`)
	all, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	require.NoError(t, err)
	type told struct{ SeatID, State string } // JSON's seatId, whatever the case
	seats := make(map[string]string)
	for _, data := range all {
		var e struct{ Seats []told }
		require.NoError(t, json.Unmarshal(data, &e))
		for _, s := range e.Seats {
			before := map[string]string{"STATE_RESERVED": "", "STATE_OCCUPIED": "STATE_RESERVED", "STATE_RELEASED": "live"}[s.State]
			if now := seats[s.SeatID]; before == "live" {
				require.Contains(t, []string{"STATE_RESERVED", "STATE_OCCUPIED"}, now, "an event releases a seat that was not live")
			} else {
				require.Equal(t, before, now, "an event tells of a change that was none")
			}
			seats[s.SeatID] = s.State
		}
	}
	rows, _ = h.rows.Query(context.Background(), `SELECT seat_id, state FROM seats WHERE owner_id IS NOT NULL AND state <> 'DENIED'`)
	stored := make(map[string]string)
	var seatID id.Seat
	var state string
	_, err = pgx.ForEachRow(rows, []any{&seatID, &state}, func() error { stored[seatID.String()] = "STATE_" + state; return nil })
	require.NoError(t, err)
	require.Equal(t, stored, seats)
}

func of(n int32) *int32 { return &n }

// equal compares messages.
func equal(t require.TestingT, want, got proto.Message) {
	require.True(t, proto.Equal(want, got), "want %v\n got %v", want, got)
}
