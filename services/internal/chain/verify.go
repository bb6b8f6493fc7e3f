package chain

import (
	"bytes"
	"context"
	"fmt"
	"math"

	"github.com/jackc/pgx/v5"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// log is the history of one organization in the database of a service.
type log struct {
	db  *postgres.DB
	key id.Organization
}

// part is what was found in a part of a history.
type part struct {
	end      outbox.Chain // behind the last event that is as it was written
	complete bool         // nothing follows
	finding  *membershipv1.AuditFinding
	intact   []outbox.Entry
}

// head is where the history ends, as its head says and as its events do.
type head struct {
	Revision *int64 // nil: there is no head
	Hash     []byte
	Last     int64 // the highest revision there is; 0: none
}

const columns = `aggregate_id, revision, epoch, id, type, time, data, personal, personal_salt, personal_hash, trace_id, prev_hash, hash`

// mostBytes is about how much one part may hold.
const mostBytes = 2 << 20

// verify verifies what follows a place in the history, as far as it fits into a part. What is written meanwhile is no
// part of it.
func (l log) verify(ctx context.Context, from outbox.Chain, limit int) (part, error) {
	p := part{end: from}
	end, entries, err := l.read(ctx, from.Revision, limit)
	if err != nil {
		return p, err
	}
	if end.Revision == nil && end.Last > 0 {
		p.finding = found(membershipv1.AuditFinding_KIND_MISSING, 1, id.Event{}, "There are %d revisions, and the head of the history is gone.", end.Last)
		return p, nil
	}
	last := int64(0)
	if end.Revision != nil {
		last = *end.Revision
	}
	for _, e := range entries {
		if e.Revision > last {
			break // written since, or put behind the end
		}
		if broken := p.end.Follow(e); broken != nil {
			p.finding, err = l.diagnose(ctx, p.end, broken)
			return p, err
		}
		p.intact = append(p.intact, e)
	}
	switch {
	case p.end.Revision < last && len(p.intact) > 0: // more follows
	case p.end.Revision != last:
		p.finding = found(membershipv1.AuditFinding_KIND_CUT, min(p.end.Revision, last)+1, id.Event{}, "The history ends with revision %d and had %d.",
			min(p.end.Revision, last), max(p.end.Revision, last))
	case end.Last > last:
		p.finding = found(membershipv1.AuditFinding_KIND_INSERTED, last+1, id.Event{}, "There are events behind revision %d, the last that was written.", last)
	case last > 0 && !bytes.Equal(end.Hash, p.end.Hash):
		p.finding = found(membershipv1.AuditFinding_KIND_EDITED, last, p.end.Event, "The head of the history has another hash than its last event.")
	default:
		p.complete = true
	}
	return p, nil
}

func (l log) read(ctx context.Context, after int64, limit int) (end head, entries []outbox.Entry, err error) {
	if after == 0 {
		after = math.MinInt64 // what stands before the first was put there
	}
	err = l.db.View(ctx, postgres.In(l.key), func(tx *postgres.Tx) error {
		var one bool
		tx.Read(`
			SELECT h.revision, h.hash, (SELECT coalesce(max(revision), 0) FROM events WHERE aggregate_id = $1) AS last
			FROM (SELECT) one LEFT JOIN heads h ON h.aggregate_id = $1`, []any{l.key}, postgres.One(&end, &one))
		tx.Read(`
			SELECT `+columns+` FROM (
				SELECT `+columns+`, coalesce(sum(octet_length(data) + coalesce(octet_length(personal), 0))
					OVER (ORDER BY revision ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
				FROM (SELECT `+columns+` FROM events WHERE aggregate_id = $1 AND revision > $2 ORDER BY revision LIMIT $3) e
			) e WHERE before < $4 ORDER BY revision`, []any{l.key, after, limit, mostBytes}, postgres.All(&entries))
		return tx.Fetch(ctx)
	})
	if err != nil {
		err = fmt.Errorf("read the history of %s: %w", l.key, err)
	}
	return end, entries, err
}

// epoch is that of the history's newest event; 1 before the first.
func (l log) epoch(ctx context.Context) (epoch int64, err error) {
	err = l.db.View(ctx, postgres.In(l.key), func(tx *postgres.Tx) error {
		tx.Read(`SELECT coalesce((SELECT epoch FROM heads WHERE aggregate_id = $1), 1)`, []any{l.key}, func(rows pgx.Rows) (err error) {
			epoch, err = pgx.CollectExactlyOneRow(rows, pgx.RowTo[int64])
			return err
		})
		return tx.Fetch(ctx)
	})
	if err != nil {
		err = fmt.Errorf("read the history of %s: %w", l.key, err)
	}
	return epoch, err
}

// diagnose says what was done to a history that breaks behind a place.
func (l log) diagnose(ctx context.Context, at outbox.Chain, broken *outbox.Break) (*membershipv1.AuditFinding, error) {
	e, next := broken.Entry, at.Revision+1
	switch {
	case broken.Reason == outbox.Misplaced && e.Revision > next:
		return found(membershipv1.AuditFinding_KIND_MISSING, next, id.Event{}, "Revision %d is followed by %d.", at.Revision, e.Revision), nil
	case broken.Reason == outbox.Misplaced:
		return found(membershipv1.AuditFinding_KIND_INSERTED, e.Revision, e.ID, "There is an event before the first."), nil
	case broken.Reason == outbox.Exposed:
		return found(membershipv1.AuditFinding_KIND_EDITED, e.Revision, e.ID, "Names or addresses in the event are not those that were written."), nil
	case broken.Reason == outbox.Unlinked && at.Revision == 0:
		return found(membershipv1.AuditFinding_KIND_MISSING, 1, id.Event{}, "The first event names one before it."), nil
	case broken.Reason == outbox.Unlinked:
		return found(membershipv1.AuditFinding_KIND_EDITED, at.Revision, at.Event, "Revision %d, which follows it, names an event with another hash.", e.Revision), nil
	}
	if place := placeOf(e); place != 0 {
		return l.diagnoseMoved(ctx, at, e, place)
	}
	// The event was never written like this. When the one that followed the place is still there, somewhere behind, this is
	// between them.
	follower, err := l.find(ctx, `prev_hash = $2 AND revision > $3 ORDER BY revision`, at.Hash, e.Revision)
	if err != nil {
		return nil, err
	}
	if follower != nil && follower.At(e.Revision).Authentic() {
		return found(membershipv1.AuditFinding_KIND_INSERTED, e.Revision, e.ID, "The event that was written as revision %d is %d now.", e.Revision, follower.Revision), nil
	}
	return found(membershipv1.AuditFinding_KIND_EDITED, e.Revision, e.ID, "The event does not have the hash that it was written with."), nil
}

// diagnoseMoved says why an event is not at the place where it was written.
func (l log) diagnoseMoved(ctx context.Context, at outbox.Chain, e outbox.Entry, place int64) (*membershipv1.AuditFinding, error) {
	predecessor, err := l.find(ctx, `hash = $2 AND revision <> $3`, e.PrevHash, e.Revision)
	if err != nil {
		return nil, err
	}
	switch {
	case place > 1 && predecessor == nil:
		return found(membershipv1.AuditFinding_KIND_MISSING, at.Revision+1, id.Event{}, "The event that was written as revision %d is %d now, and the one before it is gone.",
			place, e.Revision), nil
	case place < e.Revision && (place == 1 || predecessor.Revision == place-1):
		event := id.Event{}
		if place == at.Revision {
			event = at.Event
		}
		return found(membershipv1.AuditFinding_KIND_INSERTED, place, event, "The event that was written as revision %d is %d now.", place, e.Revision), nil
	}
	return found(membershipv1.AuditFinding_KIND_REORDERED, e.Revision, e.ID, "The event was written as revision %d.", place), nil
}

// near is how far from its place an event is looked for.
const near = 10_000

// placeOf returns the revision that an event was written as, if its hash tells one; 0: it was never written like this.
func placeOf(e outbox.Entry) int64 {
	for distance := int64(0); distance <= near; distance++ {
		for _, place := range []int64{e.Revision - distance, e.Revision + distance} {
			if place > 0 && e.At(place).Authentic() {
				return place
			}
		}
	}
	return 0
}

// find returns an event of the history, nil if there is none.
func (l log) find(ctx context.Context, where string, args ...any) (*outbox.Entry, error) {
	var e outbox.Entry
	var is bool
	err := l.db.View(ctx, postgres.In(l.key), func(tx *postgres.Tx) error {
		tx.Read(`SELECT `+columns+` FROM events WHERE aggregate_id = $1 AND `+where+` LIMIT 1`, append([]any{l.key}, args...), postgres.One(&e, &is))
		return tx.Fetch(ctx)
	})
	if err != nil || !is {
		return nil, err
	}
	return &e, nil
}

func found(kind membershipv1.AuditFinding_Kind, revision int64, event id.Event, detail string, args ...any) *membershipv1.AuditFinding {
	f := &membershipv1.AuditFinding{Kind: kind, Revision: revision, Detail: fmt.Sprintf(detail, args...)}
	if !event.IsZero() {
		f.EventId = event.String()
	}
	return f
}
