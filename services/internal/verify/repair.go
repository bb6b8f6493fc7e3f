package verify

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// Repair carries out the repairs of a report's findings, each in a transaction that looks again whether it is still needed. It tells
// done of each. None writes what only a service may: what has an event is begun here and done by the service, with its event.
func (c *Checker) Repair(ctx context.Context, r *Report, done func(Finding, error)) error {
	for _, f := range r.Findings {
		if f.repair == nil {
			continue
		}
		err := errSeatsUnsure
		if f.ID != "A1" || !r.has("A8", f.Service, f.Organization) {
			err = f.repair(ctx)
		}
		done(f, err)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

var errSeatsUnsure = errors.New("not done: the seats themselves are not what the events tell (A8), so counting them proves nothing")

func (r *Report) has(invariant, service, organization string) bool {
	for _, f := range r.Findings {
		if f.ID == invariant && f.Service == service && f.Organization == organization {
			return true
		}
	}
	return false
}

// What the repairs do, in words.
const (
	schedules = "schedule it now: the service's sweeper finishes it"
	recounts  = "set the counters to the seats; they are no part of any event"
	reviews   = "schedule its review now: billing asks its owners once more, and frees it when both say that it is nobody's"
	releases  = "begin a RELEASE operation: membership gives the seat back, as for a member who was removed"

	appendOnly = "The ledger is never rewritten. Keep the finding with the books; the seats are right when A1 says nothing of counters."
)

// How the sweeper is made to look at something that is under way. The row is locked, so that whoever ends it meanwhile takes the
// task away.
const (
	scheduleOperation = `
		INSERT INTO due (aggregate_id, kind, id, next_time)
		SELECT organization_id, CASE kind WHEN 'CREATE' THEN 'organization' WHEN 'ENABLE' THEN 'enable' WHEN 'JOIN' THEN 'join_seat' WHEN 'DIRECT' THEN 'direct' WHEN 'RESET_MFA' THEN 'reset_mfa' WHEN 'RESET' THEN 'reset_password' WHEN 'REVOKE_SESSIONS' THEN 'revoke_sessions' WHEN 'CHANGE_EMAIL' THEN 'change_email' ELSE 'release' END, seat_id, now()
		FROM member_operations WHERE organization_id = $1 AND seat_id = $2 AND state = 'PENDING' FOR UPDATE
		ON CONFLICT (aggregate_id, kind, id) DO NOTHING`
	scheduleInvitation = `
		INSERT INTO due (aggregate_id, kind, id, next_time)
		SELECT organization_id, 'invitation', invitation_id, now()
		FROM invitations
		WHERE organization_id = $1 AND invitation_id = $2 AND (releasing OR state IN ('RESERVING', 'PENDING', 'ACCEPTING')) FOR UPDATE
		ON CONFLICT (aggregate_id, kind, id) DO NOTHING`
	scheduleReview = `
		INSERT INTO due (aggregate_id, kind, id, next_time)
		SELECT organization_id, 'review', seat_id, now()
		FROM seats WHERE organization_id = $1 AND seat_id = $2 AND state = 'RESERVED' FOR UPDATE
		ON CONFLICT (aggregate_id, kind, id) DO UPDATE SET next_time = excluded.next_time, attempts = 0`
	scheduleMail = `
		INSERT INTO due (aggregate_id, kind, id, next_time)
		SELECT aggregate_id, 'mail', id, now()
		FROM mails WHERE aggregate_id = $1 AND id = $2 AND state = 'QUEUED' FOR UPDATE
		ON CONFLICT (aggregate_id, kind, id) DO NOTHING`
)

// recount follows lockHead, behind which nobody changes seats.
const recount = `
	UPDATE heads h
	SET occupied = s.occupied, reserved = s.reserved, used = s.occupied + s.reserved,
	    ceiling = CASE WHEN h.cap IS NOT NULL THEN greatest(h.cap, s.occupied + s.reserved) END
	FROM (
		SELECT count(*) FILTER (WHERE state = 'OCCUPIED')::int AS occupied, count(*) FILTER (WHERE state = 'RESERVED')::int AS reserved
		FROM seats WHERE organization_id = $1
	) s
	WHERE h.aggregate_id = $1 AND $2::uuid IS NULL`

const lockHead = `SELECT 1 FROM heads WHERE aggregate_id = $1 FOR UPDATE`

// inTx runs fn in a transaction behind the lock of a history's head.
func (c *Checker) inTx(ctx context.Context, service string, key id.Any, fn func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, c.pools[service], func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockHead, key); err != nil {
			return err
		}
		return fn(tx)
	})
}

// mend runs a rule's repair for every id that the finding names; once without, if it names none.
func (c *Checker) mend(service, statement string, key id.Any, ids []id.Any) func(context.Context) error {
	if len(ids) == 0 {
		ids = []id.Any{{}}
	}
	return func(ctx context.Context) error {
		return c.inTx(ctx, service, key, func(tx pgx.Tx) error {
			for _, one := range ids {
				if _, err := tx.Exec(ctx, statement, key, one); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// freeSeat is the repair of a seat that is nobody's. A reserved one is reviewed, as after its review time; an occupied one is given
// back by membership, which owns what sits on it.
func (c *Checker) freeSeat(seat seatRow) (what string, do func(context.Context) error) {
	if seat.State == "RESERVED" {
		return reviews, c.mend("billing", scheduleReview, id.Any(seat.OrganizationID), []id.Any{id.Any(seat.SeatID)})
	}
	return releases, func(ctx context.Context) error {
		invited, err := c.still(ctx, "invitation", liveInvitations, []seatKey{seat.seatKey})
		if err != nil {
			return err
		}
		if invited[seat.seatKey] {
			return errors.New("not done: an invitation has the seat by now")
		}
		return c.inTx(ctx, "membership", id.Any(seat.OrganizationID), func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `
				WITH begun AS (
					INSERT INTO member_operations (organization_id, seat_id, kind, state, account_id, cause, request_id, display_name, email, username, create_time)
					SELECT $1::uuid, $2::uuid, 'RELEASE', 'PENDING', $3, 'admin', '', '', '', '', now()
					WHERE NOT EXISTS (SELECT FROM members WHERE organization_id = $1 AND seat_id = $2)
					  AND NOT EXISTS (SELECT FROM member_operations WHERE organization_id = $1 AND seat_id = $2 AND state = 'PENDING')
					ON CONFLICT (organization_id, seat_id, kind) DO UPDATE SET state = 'PENDING'
					RETURNING organization_id, seat_id
				)
				INSERT INTO due (aggregate_id, kind, id, next_time)
				SELECT organization_id, 'release', seat_id, now() FROM begun
				ON CONFLICT (aggregate_id, kind, id) DO UPDATE SET next_time = excluded.next_time, attempts = 0`,
				seat.OrganizationID, seat.SeatID, seat.AccountID)
			return err
		})
	}
}

// republish is the repair of a stream that lacks events: they wait to be published once more, from the first that is missing on, so that
// whoever consumes them finds them in order.
func (c *Checker) republish(service string, key id.Any, from int64) (what string, do func(context.Context) error) {
	return "publish it again, and all that follow", func(ctx context.Context) error {
		db := &postgres.DB{Pool: c.pools[service], Name: service}
		_, err := outbox.Republish(ctx, db, outbox.Again{Aggregate: key, From: from})
		return err
	}
}
