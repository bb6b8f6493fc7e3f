package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rosterhq/roster/services/billing/internal/seat"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
)

const (
	selectUsage = `SELECT occupied, reserved, cap FROM heads WHERE aggregate_id = $1`
	selectSeats = `SELECT seat_id, state, coalesce(owner_kind, '') AS owner_kind, owner_id, account_id FROM seats
		WHERE organization_id = $1 AND `
)

func readUsage(batch *pgx.Batch, org id.Organization, usage *seat.Usage) {
	var found bool
	batch.Queue(selectUsage, org).Query(postgres.One(usage, &found))
}

func readSeats(batch *pgx.Batch, org id.Organization, seats []id.Seat, found *[]seat.Seat) {
	// Behind a SELECT the planner does not see how many there are, so it does not plan anew for every number.
	batch.Queue(selectSeats+`seat_id = ANY((SELECT $2::uuid[])::uuid[])`, org, seats).Query(postgres.All(found))
}

// Usage reads the organization's counters: one row, whatever its size. An organization that nobody has heard of uses
// nothing.
func (s Store) Usage(ctx context.Context, org id.Organization) (usage seat.Usage, err error) {
	err = s.DB.View(ctx, postgres.In(org), func(tx *postgres.Tx) error {
		var found bool
		tx.Read(selectUsage, []any{org}, postgres.One(&usage, &found))
		return tx.Fetch(ctx)
	})
	return usage, err
}

// Get returns a seat; its state is seat.Unknown when nobody has heard of it.
func (s Store) Get(ctx context.Context, org id.Organization, seatID id.Seat) (held seat.Seat, err error) {
	err = s.DB.View(ctx, postgres.In(org), func(tx *postgres.Tx) error {
		var found bool
		tx.Read(selectSeats+`seat_id = $2`, []any{org, seatID}, postgres.One(&held, &found))
		return tx.Fetch(ctx)
	})
	return held, err
}

// ListLive returns some of the organization's seats that count.
func (s Store) ListLive(ctx context.Context, org id.Organization, limit int) (live []seat.Seat, err error) {
	err = s.DB.View(ctx, postgres.In(org), func(tx *postgres.Tx) error {
		tx.Read(selectSeats+`state IN ('RESERVED', 'OCCUPIED') LIMIT $2`, []any{org, limit}, postgres.All(&live))
		return tx.Fetch(ctx)
	})
	return live, err
}

// Postpone moves the review of a seat, if it still has one.
func (s Store) Postpone(ctx context.Context, org id.Organization, seatID id.Seat, pause time.Duration) error {
	return s.DB.Flight(ctx, postgres.In(org), func(batch *pgx.Batch) {
		batch.Queue(`UPDATE due SET next_time = now() + $3, attempts = 0
			WHERE aggregate_id = $1 AND kind = '`+KindReview+`' AND id = $2`, org, seatID, pause)
	})
}

// Settle takes the review of a seat away.
func (s Store) Settle(ctx context.Context, org id.Organization, seatID id.Seat) error {
	return s.DB.Flight(ctx, postgres.In(org), func(batch *pgx.Batch) {
		batch.Queue(`DELETE FROM due WHERE aggregate_id = $1 AND kind = '`+KindReview+`' AND id = $2`, org, seatID)
	})
}

// LockUsage reads the organization's counters and holds them until the transaction ends. A head that does not exist yet
// begins here, so that two who set the first limit wait for each other.
func (q Queries) LockUsage(ctx context.Context, org id.Organization) (usage seat.Usage, err error) {
	var found bool
	q.Read(`INSERT INTO heads (aggregate_id, part) VALUES ($1, $2) ON CONFLICT (aggregate_id) DO NOTHING`,
		[]any{org, outbox.PartOf(id.Any(org))}, func(pgx.Rows) error { return nil })
	q.Read(selectUsage+` FOR UPDATE`, []any{org}, postgres.One(&usage, &found))
	return usage, q.Fetch(ctx)
}

// SaveCap sets the limit and what usage may not pass.
func (q Queries) SaveCap(org id.Organization, limit *int32) {
	q.Write(`
		UPDATE heads
		SET cap = $2::int, ceiling = CASE WHEN $2::int IS NOT NULL THEN greatest($2::int, used) END
		WHERE aggregate_id = $1`, org, limit)
}
