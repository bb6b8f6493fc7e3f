package store

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rosterhq/roster/services/billing/internal/seat"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// KindReview is the kind of the tasks that ask a reserved seat's owner whether it lives.
const KindReview = "review"

// lockHead makes the organization's head if there is none, and holds it until the flight ends. All that follows sees
// what was committed before. Without the condition the insert would wait for each transaction that holds the head, and all
// who wait would be woken at every commit; the lock queues them.
func lockHead(batch *pgx.Batch, org id.Organization) {
	batch.Queue(`
		INSERT INTO heads (aggregate_id, part)
		SELECT $1, $2 WHERE NOT EXISTS (SELECT FROM heads WHERE aggregate_id = $1)
		ON CONFLICT (aggregate_id) DO NOTHING`,
		org, outbox.PartOf(id.Any(org)))
	batch.Queue(`SELECT 1 FROM heads WHERE aggregate_id = $1 FOR UPDATE`, org)
}

// recorded guards an event: it exists exactly when its line in the ledger does. A flight that is sent again finds the line
// of the first time, whose event has been written.
const recorded = `EXISTS (
	SELECT FROM seat_ledger l JOIN heads h ON h.aggregate_id = l.organization_id
	WHERE l.organization_id = $1 AND l.event_id = $2 AND l.revision > h.revision)`

// Change frees seats and then takes others, together or none.
//
// An event is encoded before SQL decides, so it names all seats of its list. Each list is therefore changed as a
// whole: only if all of Release are live, and only if none of Asks was heard of. Otherwise nothing of the list changes,
// and Outcome tells what is left to send again. Nothing is taken before all of Release is free.
type Change struct {
	Organization id.Organization
	Release      []id.Seat
	Asks         []seat.Ask
	Together     []id.Seat // all that was asked for at first; one of them gone denies the rest

	Released, Reserved outbox.Event
	AtLimit            *outbox.Event // nil: Asks are not decided when they would take the last free seat
}

// Outcome is what a change came to.
type Outcome struct {
	Usage   seat.Usage
	States  []seat.State // of Change.Together, in its order
	Live    []id.Seat    // of Change.Release, not freed because the list was mixed
	Unheard []id.Seat    // of Change.Asks, not decided because a list was mixed, or for want of AtLimit
}

// Whole tells whether nothing is left to do.
func (o Outcome) Whole() bool { return len(o.Live) == 0 && len(o.Unheard) == 0 }

// Change makes the change in one flight.
func (s Store) Change(ctx context.Context, c Change) (Outcome, error) {
	var usage seat.Usage
	var found []seat.Seat
	err := s.DB.Flight(ctx, postgres.In(c.Organization), func(batch *pgx.Batch) {
		lockHead(batch, c.Organization)
		if len(c.Release) > 0 {
			release(batch, c.Organization, c.Release, c.Released)
		}
		if len(c.Asks) > 0 {
			reserve(batch, c)
		}
		readUsage(batch, c.Organization, &usage)
		readSeats(batch, c.Organization, slices.Concat(c.Together, c.Release), &found)
	})
	if err != nil {
		return Outcome{}, err
	}
	states := make(map[id.Seat]seat.State, len(found))
	for _, s := range found {
		states[s.SeatID] = s.State
	}
	o := Outcome{Usage: usage, States: make([]seat.State, len(c.Together))}
	for i, seatID := range c.Together {
		o.States[i] = states[seatID]
	}
	for _, seatID := range c.Release {
		if states[seatID].Live() {
			o.Live = append(o.Live, seatID)
		}
	}
	for _, ask := range c.Asks {
		if states[ask.SeatID] == seat.Unknown {
			o.Unheard = append(o.Unheard, ask.SeatID)
		}
	}
	return o, nil
}

// release frees the seats if all of them are live. Those that were never heard of are marked in any case.
func release(batch *pgx.Batch, org id.Organization, seats []id.Seat, event outbox.Event) {
	batch.Queue(`
		WITH live AS (
			SELECT count(*) FILTER (WHERE state = 'OCCUPIED')::int AS occupied,
			       count(*) FILTER (WHERE state = 'RESERVED')::int AS reserved
			FROM seats
			WHERE organization_id = $1 AND seat_id = ANY($2::uuid[])
		), whole AS (
			SELECT occupied, reserved FROM live WHERE occupied + reserved = cardinality($2::uuid[])
		), tombstones AS (
			INSERT INTO seats (organization_id, seat_id, state)
			SELECT $1, seat_id, 'RELEASED' FROM unnest($2::uuid[]) AS seat_id
			ON CONFLICT (organization_id, seat_id) DO NOTHING
		), released AS (
			UPDATE seats SET state = 'RELEASED' FROM whole
			WHERE organization_id = $1 AND seat_id = ANY($2::uuid[])
		), reviews AS (
			DELETE FROM due USING whole
			WHERE aggregate_id = $1 AND kind = '`+KindReview+`' AND id = ANY($2::uuid[])
		), head AS (
			UPDATE heads h
			SET occupied = h.occupied - w.occupied,
			    reserved = h.reserved - w.reserved,
			    used = h.used - w.occupied - w.reserved,
			    ceiling = CASE WHEN h.cap IS NOT NULL THEN greatest(h.cap, h.used - w.occupied - w.reserved) END
			FROM whole w
			WHERE h.aggregate_id = $1
			RETURNING h.revision, h.used, h.cap, w.occupied, w.reserved
		)
		INSERT INTO seat_ledger (organization_id, event_id, revision, op, occupied_delta, reserved_delta, used_after, cap_at, at)
		SELECT $1, $3, revision + 1, 'RELEASE', -occupied, -reserved, used, cap, now() FROM head`,
		org, seats, event.ID)
	event.Queue(batch, recorded)
}

// reserve takes the seats if none of them was heard of, or denies them.
func reserve(batch *pgx.Batch, c Change) {
	n := len(c.Asks)
	seats, kinds, owners, reviews := make([]id.Seat, n), make([]string, n), make([]id.Any, n), make([]time.Time, n)
	for i, ask := range c.Asks {
		seats[i], kinds[i], owners[i], reviews[i] = ask.SeatID, string(ask.OwnerKind), ask.OwnerID, ask.ReviewTime
	}
	var atLimit *id.Event
	if c.AtLimit != nil {
		atLimit = &c.AtLimit.ID
	}
	batch.Queue(`
		WITH named AS (
			SELECT count(*) FILTER (WHERE seat_id = ANY($2::uuid[]) AND state IN ('RESERVED', 'OCCUPIED')) AS live,
			       count(*) FILTER (WHERE state IN ('RELEASED', 'DENIED')) AS gone
			FROM seats
			WHERE organization_id = $1 AND seat_id = ANY($6::uuid[])
		), decision AS (
			SELECT cardinality($2::uuid[]) AS n,
			       named.gone = 0 AND (h.cap IS NULL OR h.used + cardinality($2::uuid[]) <= h.cap) AS granted
			FROM named, heads h
			WHERE h.aggregate_id = $1 AND (named.live = 0 OR named.gone > 0)
			  AND ($9::uuid IS NOT NULL OR named.gone > 0 OR h.cap IS NULL OR h.used + cardinality($2::uuid[]) <> h.cap)
			  AND NOT EXISTS (
			      SELECT FROM seats
			      WHERE organization_id = $1 AND seat_id = ANY($7::uuid[]) AND state IN ('RESERVED', 'OCCUPIED'))
		), written AS (
			INSERT INTO seats (organization_id, seat_id, state, owner_kind, owner_id, review_time)
			SELECT $1, a.seat_id, CASE WHEN d.granted THEN 'RESERVED' ELSE 'DENIED' END, a.owner_kind, a.owner_id, a.review_time
			FROM decision d, unnest($2::uuid[], $3::text[], $4::uuid[], $5::timestamptz[]) AS a (seat_id, owner_kind, owner_id, review_time)
			ON CONFLICT (organization_id, seat_id) DO NOTHING
			RETURNING seat_id, state, review_time
		), reviews AS (
			INSERT INTO due (aggregate_id, kind, id, next_time)
			SELECT $1, '`+KindReview+`', seat_id, review_time FROM written WHERE state = 'RESERVED'
			ON CONFLICT (aggregate_id, kind, id) DO NOTHING
		), head AS (
			UPDATE heads h
			SET reserved = h.reserved + d.n, used = h.used + d.n
			FROM decision d
			WHERE h.aggregate_id = $1 AND d.granted
			RETURNING h.revision, h.used, h.cap, d.n
		)
		INSERT INTO seat_ledger (organization_id, event_id, revision, op, occupied_delta, reserved_delta, used_after, cap_at, at)
		SELECT $1, $8::uuid, revision + 1, 'RESERVE', 0, n, used, cap, now() FROM head
		UNION ALL
		SELECT $1, $9::uuid, revision + 2, 'AT_LIMIT', 0, 0, used, cap, now() FROM head WHERE used = cap`,
		c.Organization, seats, kinds, owners, reviews, c.Together, c.Release, c.Reserved.ID, atLimit)
	c.Reserved.Queue(batch, recorded)
	if c.AtLimit != nil {
		c.AtLimit.Queue(batch, recorded)
	}
}

// Occupy seats an account on a reserved seat, in one flight. Any other seat stays what it is; one that was never heard
// of is released for ever.
func (s Store) Occupy(ctx context.Context, org id.Organization, seatID id.Seat, account id.Account, event outbox.Event) (seat.State, error) {
	var found []seat.Seat
	err := s.DB.Flight(ctx, postgres.In(org), func(batch *pgx.Batch) {
		lockHead(batch, org)
		batch.Queue(`
			WITH tombstone AS (
				INSERT INTO seats (organization_id, seat_id, state) VALUES ($1, $2, 'RELEASED')
				ON CONFLICT (organization_id, seat_id) DO NOTHING
			), occupied AS (
				UPDATE seats SET state = 'OCCUPIED', account_id = $3
				WHERE organization_id = $1 AND seat_id = $2 AND state = 'RESERVED'
				RETURNING seat_id
			), reviews AS (
				DELETE FROM due USING occupied
				WHERE aggregate_id = $1 AND kind = '`+KindReview+`' AND id = occupied.seat_id
			), head AS (
				UPDATE heads h
				SET occupied = h.occupied + 1, reserved = h.reserved - 1
				FROM occupied
				WHERE h.aggregate_id = $1
				RETURNING h.revision, h.used, h.cap
			)
			INSERT INTO seat_ledger (organization_id, event_id, revision, op, occupied_delta, reserved_delta, used_after, cap_at, at)
			SELECT $1, $4, revision + 1, 'OCCUPY', 1, -1, used, cap, now() FROM head`,
			org, seatID, account, event.ID)
		event.Queue(batch, recorded)
		readSeats(batch, org, []id.Seat{seatID}, &found)
	})
	if err != nil {
		return seat.Unknown, err
	}
	return found[0].State, nil // the tombstone is there if nothing else is
}
