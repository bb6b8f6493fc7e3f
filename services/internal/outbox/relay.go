package outbox

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rosterhq/roster/pkg/events"

	"github.com/rosterhq/roster/services/internal/failpoint"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

const (
	page       = 1000                  // rows read at once
	window     = 256                   // publishes under way at once
	backlog    = 100                   // from so many rows on, they go as a batch
	ackTime    = 2 * time.Second       // for one publish
	leaseTime  = 5 * time.Second       // after which another takes over from a relay that is gone
	leastPause = 5 * time.Millisecond  // between two looks at a busy outbox
	mostPause  = 50 * time.Millisecond // between two looks at an idle one, and after a problem
	fullScan   = 15 * time.Second      // between two scans from the beginning
	beatTime   = time.Second           // between two beats
)

// The way of events to JetStream: read, stored there one by one, all stored, taken out of the outbox.
var (
	afterRead    = failpoint.New("relay.after_read")
	afterEvent   = failpoint.New("relay.after_event")
	afterPublish = failpoint.New("relay.after_publish")
	afterDelete  = failpoint.New("relay.after_delete")
)

// Relay brings the outbox of one service to JetStream. Any number may run; one holds the lease and works. It
// deletes a row when JetStream has confirmed the event, never before, so nothing is lost whatever stops. Events of
// one aggregate appear in the order of their revisions: one that is not confirmed holds up those behind it.
type Relay struct {
	db       *postgres.DB // as RelayRole
	js       jetstream.JetStream
	replicas int
	log      *slog.Logger
	wake     chan struct{}
	standby  atomic.Bool // another relay works; it is in another process

	holder string    // who we are to the others
	fence  int64     // number of the lease
	until  time.Time // when the lease ends, by our clock and rather too early; zero: others work, or nobody

	ensured    bool      // the stream has the configuration that this version wants
	checked    time.Time // when it was last seen to be the one that we feed
	connection uint64    // on which of NATS's connections, counted from 0
	behind     bool      // it had fewer messages than it has confirmed
	rebuilding bool      // it is new, and not all of the log is queued for it
	portion    portion   // of the log, that is queued next
	short      bool      // the last page was not full

	held    map[id.Any]time.Time // aggregates whose publish failed while others went through, and until when they wait
	scanned time.Time            // the last scan from the beginning
	highest int64                // highest id seen
	settled int64                // highest id seen by the scan before: whoever drew a lower one has long committed
	lowest  int64                // what is below is gone; where scans begin
	problem bool                 // something failed, and was logged
	beaten  time.Time            // the last beat
}

// NewRelay makes a relay. db is a pool of its own, opened as postgres.RelayRole; replicas is for the stream.
func NewRelay(db *postgres.DB, js jetstream.JetStream, replicas int, log *slog.Logger) *Relay {
	host, _ := os.Hostname()
	return &Relay{
		db: db, js: js, replicas: replicas, log: cmp.Or(log, slog.Default()).With("service", db.Name),
		wake:    make(chan struct{}, 1),
		portion: piece,
		holder:  fmt.Sprintf("%s/%d/%s", host, os.Getpid(), rand.Text()),
		held:    make(map[id.Any]time.Time),
	}
}

// Wake tells the relay that works that something was committed, wherever it is. It does not block. A message that is lost
// costs mostPause.
func (r *Relay) Wake() {
	if r.standby.Load() {
		_ = r.js.Conn().Publish(wakeSubject(r.db.Name), nil)
		return
	}
	r.signal()
}

// wakeSubject is where the relays of a service's processes wake one another.
func wakeSubject(service string) string { return "roster.wake." + service }

// BeatSubject is where the relay of a service says, every second, that all that was committed before has been published.
// Whoever hears both on one connection hears the events first. What is not repeated: who missed some asks the service.
func BeatSubject(service string) string { return "roster.beat." + service }

// beat says so, after a round that left nothing.
func (r *Relay) beat() {
	if time.Until(r.until) <= 0 || !r.short || len(r.held) > 0 || r.rebuilding || time.Since(r.beaten) < beatTime {
		return
	}
	if err := r.js.Conn().Publish(BeatSubject(r.db.Name), nil); err == nil {
		r.beaten = time.Now()
	}
}

func (r *Relay) signal() {
	select {
	case r.wake <- struct{}{}:
	default: // it is awake already
	}
}

// Run relays until the context ends. It goes on through failures of PostgreSQL and NATS.
func (r *Relay) Run(ctx context.Context) error {
	others, err := r.js.Conn().Subscribe(wakeSubject(r.db.Name), func(*nats.Msg) { r.signal() })
	if err != nil {
		return fmt.Errorf("listen for commits of other processes: %w", err)
	}
	defer others.Unsubscribe()
	idle := leastPause
	for ctx.Err() == nil {
		done, err := r.round(ctx)
		if ctx.Err() != nil {
			break
		}
		r.report(ctx, err)
		r.standby.Store(err == nil && r.until.IsZero())
		if err == nil {
			r.beat()
		}
		var wake <-chan struct{}
		switch {
		case err != nil: // a commit makes it no better
			idle = mostPause
		case r.until.IsZero(): // stand by
			idle = leaseTime / 5
		case done == page:
			continue
		case done > 0:
			idle, wake = leastPause, r.wake
		default:
			idle, wake = min(2*idle, mostPause), r.wake
		}
		select {
		case <-ctx.Done():
		case <-wake:
		case <-time.After(idle):
		}
	}
	r.release(ctx)
	return nil
}

// round publishes one page, and returns how many rows it could delete.
func (r *Relay) round(ctx context.Context) (int, error) {
	if err := r.acquire(ctx); err != nil || r.until.IsZero() {
		return 0, err
	}
	if !r.js.Conn().IsConnected() { // or what is published now would wait for the connection, and be stale then
		return 0, errors.New("not connected to NATS")
	}
	if err := r.check(ctx); err != nil || r.until.IsZero() {
		return 0, err
	}
	if r.rebuilding && r.short { // one after the other, so that the outbox stays small
		if err := r.rebuild(ctx); err != nil || r.until.IsZero() {
			return 0, err
		}
	}
	queued, err := r.read(ctx)
	if err != nil {
		return 0, err
	}
	if r.short = len(queued) < page; len(queued) == 0 {
		return 0, nil
	}
	afterRead.Hit("")
	// Who may have lost the lease does not publish.
	leased, cancel := context.WithDeadline(ctx, r.until)
	confirmed, sequence, err := r.publish(leased, queued)
	cancel()
	if errors.Is(err, jetstream.ErrNoStreamResponse) {
		r.ensured, r.checked = false, time.Time{}
	}
	afterPublish.Hit("")
	err = errors.Join(err, r.delete(ctx, confirmed, sequence))
	afterDelete.Hit("")
	return len(confirmed), err
}

// check makes sure that the stream is there and that it is the one that we feed. One that was made later, or that does not
// hold what it has confirmed, has lost events: the log is queued for it from the beginning, and of no
// aggregate anything is published before that was done.
func (r *Relay) check(ctx context.Context) error {
	connection := r.js.Conn().Stats().Reconnects
	if connection == r.connection && time.Since(r.checked) < fullScan {
		return nil
	}
	var fed *time.Time
	var confirmed uint64
	err := r.db.Pool.QueryRow(ctx, `
		SELECT stream_time, sequence, requeued IS NOT NULL FROM relay_lease WHERE shard = 0 AND holder = $1 AND fence = $2`,
		r.holder, r.fence).Scan(&fed, &confirmed, &r.rebuilding)
	if errors.Is(err, pgx.ErrNoRows) {
		r.lose(ctx)
		return nil
	}
	if err != nil {
		return fmt.Errorf("read lease: %w", err)
	}
	stream, err := r.look(ctx, fed != nil)
	if err != nil {
		return err
	}
	made := stream.Created.Truncate(time.Microsecond) // as PostgreSQL keeps it
	same := fed != nil && fed.Equal(made)
	if same && stream.State.LastSeq < confirmed && !r.behind {
		r.behind = true // a server that has just begun to lead may not know all of it yet
		return fmt.Errorf("stream %s ends at %d, and has confirmed %d", stream.Config.Name, stream.State.LastSeq, confirmed)
	}
	if !same || stream.State.LastSeq < confirmed {
		if fed != nil {
			r.log.ErrorContext(ctx, "the stream was lost, publishing the log again", "stream", stream.Config.Name, "fed", fed, "found", made)
		}
		_, err := r.db.Pool.Exec(ctx, `
			UPDATE relay_lease SET stream_time = $3, sequence = 0, requeued = '00000000-0000-0000-0000-000000000000'
			WHERE shard = 0 AND holder = $1 AND fence = $2`, r.holder, r.fence, made)
		if err != nil {
			return fmt.Errorf("note the new stream: %w", err)
		}
		r.rebuilding, r.short = true, true
	}
	r.checked, r.connection, r.behind = time.Now(), connection, false
	return nil
}

// look finds the stream, or makes it.
func (r *Relay) look(ctx context.Context, again bool) (*jetstream.StreamInfo, error) {
	if r.ensured {
		stream, err := r.js.Stream(ctx, events.Stream(r.db.Name))
		if err == nil {
			return stream.CachedInfo(), nil
		}
		if !errors.Is(err, jetstream.ErrStreamNotFound) {
			return nil, err
		}
	}
	stream, err := ensureStream(ctx, r.js, r.db.Name, r.replicas, again)
	r.ensured = err == nil
	return stream, err
}

// acquire takes or renews the lease, unless more than half of it is left or somebody else has it.
func (r *Relay) acquire(ctx context.Context) error {
	if time.Until(r.until) > leaseTime/2 {
		return nil
	}
	begin := time.Now() // before the database's now()
	var fence int64
	err := r.db.Pool.QueryRow(ctx, `
		WITH lease AS (
			INSERT INTO relay_lease AS l (shard, holder, fence, expire_time) VALUES (0, $1, 1, now() + $2)
			ON CONFLICT (shard) DO UPDATE
			SET holder = $1, fence = l.fence + (l.holder <> $1)::int, expire_time = now() + $2
			WHERE l.holder = $1 OR l.expire_time < now()
			RETURNING fence
		),`+current+`, noted AS (
			INSERT INTO history AS h (identity, epoch) SELECT identity, epoch FROM current, lease
			ON CONFLICT (one) DO UPDATE SET identity = excluded.identity, epoch = excluded.epoch
			WHERE h.identity <> excluded.identity
		)
		SELECT fence FROM lease`, r.holder, leaseTime).Scan(&fence)
	held := !r.until.IsZero()
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		if held {
			r.lose(ctx)
		}
		return nil
	case err != nil:
		return fmt.Errorf("lease: %w", err)
	}
	if !held {
		r.checked = time.Time{} // the one before us may have seen another stream
		r.log.InfoContext(ctx, "relaying events")
	}
	r.fence, r.until = fence, begin.Add(leaseTime)
	return nil
}

// row is an event that waits.
type row struct {
	id int64
	Entry
}

// read returns a page of what waits, in the order of ids, which for one aggregate is that of revisions. Joining the log
// in the same statement would make PostgreSQL sort it under a backlog.
//
// Scans do not begin at the beginning, where deleted rows lie until they are vacuumed, but behind what was there a whole
// scan ago: a transaction that drew a lower id has ended by then. Every 15 seconds one does, should that be wrong.
func (r *Relay) read(ctx context.Context) ([]row, error) {
	full := time.Since(r.scanned) > fullScan
	if full {
		r.lowest = 0
	}
	held := make([]id.Any, 0, len(r.held))
	for aggregate, until := range r.held {
		if time.Now().After(until) {
			delete(r.held, aggregate)
			continue
		}
		held = append(held, aggregate)
	}
	var ids, revisions []int64
	var aggregates []id.Any
	rows, _ := r.db.Pool.Query(ctx, `
		SELECT id, aggregate_id, revision FROM outbox
		WHERE id > $1 AND aggregate_id <> ALL($2)
			AND aggregate_id <= coalesce((SELECT requeued FROM relay_lease WHERE shard = 0), 'ffffffff-ffff-ffff-ffff-ffffffffffff')
		ORDER BY id LIMIT $3`, r.lowest, held, page) // collecting reports the error
	var waiting struct {
		id        int64
		aggregate id.Any
		revision  int64
	}
	_, err := pgx.ForEachRow(rows, []any{&waiting.id, &waiting.aggregate, &waiting.revision}, func() error {
		ids, aggregates, revisions = append(ids, waiting.id), append(aggregates, waiting.aggregate), append(revisions, waiting.revision)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read outbox: %w", err)
	}
	if full && len(held) == 0 && !r.rebuilding {
		var longer bool // somebody queues for longer than that, under ids that were drawn long ago
		if err := r.db.Pool.QueryRow(ctx, `SELECT NOT pg_try_advisory_xact_lock($1)`, requeueing).Scan(&longer); err != nil {
			return nil, fmt.Errorf("look for a longer transaction: %w", err)
		}
		full = !longer
	}
	if full && len(held) == 0 && !r.rebuilding {
		r.scanned, r.lowest, r.settled = time.Now(), r.settled, r.highest
		if len(ids) > 0 {
			r.lowest = min(r.lowest, ids[0]-1)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	r.highest = max(r.highest, ids[len(ids)-1])

	rows, _ = r.db.Pool.Query(ctx, `
		SELECT e.aggregate_id, e.revision, e.epoch, e.id, e.type, e.time, e.data, e.personal, e.personal_salt, e.personal_hash,
			e.trace_id, e.prev_hash, e.hash
		FROM unnest($1::uuid[], $2::bigint[]) WITH ORDINALITY AS q (aggregate_id, revision, place)
		JOIN events e ON e.aggregate_id = q.aggregate_id AND e.revision = q.revision
		ORDER BY q.place`, aggregates, revisions)
	entries, err := pgx.CollectRows(rows, pgx.RowToStructByName[Entry])
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	if len(entries) != len(ids) {
		return nil, fmt.Errorf("read events: %d of %d rows of the outbox have one", len(entries), len(ids))
	}
	queued := make([]row, len(ids))
	for i := range queued {
		queued[i] = row{ids[i], entries[i]}
	}
	return queued, nil
}

// publish returns the ids of the rows that JetStream has confirmed and the last sequence that it gave, and what was in
// the way of the others.
func (r *Relay) publish(ctx context.Context, queued []row) (confirmed []int64, sequence uint64, err error) {
	if len(queued) >= backlog {
		if last, err := r.publishBatch(ctx, queued); err == nil {
			for _, q := range queued {
				confirmed = append(confirmed, q.id)
			}
			return confirmed, last, nil
		}
	}
	// One at a time per aggregate, so that none overtakes one that gets lost; many aggregates at once.
	lanes := make(map[id.Any][]row)
	for _, q := range queued {
		lanes[q.Aggregate] = append(lanes[q.Aggregate], q)
	}
	var (
		mu     sync.Mutex
		failed []id.Any
		all    sync.WaitGroup
		slots  = make(chan struct{}, window)
	)
	for aggregate, lane := range lanes {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			stored, last, cause := r.publishLane(ctx, lane)
			mu.Lock()
			defer mu.Unlock()
			confirmed, sequence = append(confirmed, stored...), max(sequence, last)
			if cause != nil {
				failed, err = append(failed, aggregate), cause
			}
		})
	}
	all.Wait()
	if len(confirmed) > 0 { // so it is not NATS that is down
		for _, aggregate := range failed {
			r.held[aggregate] = time.Now().Add(ackTime)
		}
	}
	return confirmed, sequence, err
}

// publishLane publishes one after the other, up to the first that is not confirmed. That an event was there before is
// a confirmation too.
func (r *Relay) publishLane(ctx context.Context, lane []row) (confirmed []int64, sequence uint64, err error) {
	for _, q := range lane {
		msg, err := q.Message(r.db.Name)
		if err != nil {
			return confirmed, sequence, err
		}
		ctx, cancel := context.WithTimeout(ctx, ackTime)
		ack, err := r.js.PublishMsg(ctx, msg)
		cancel()
		if err != nil {
			return confirmed, sequence, fmt.Errorf("publish %s: %w", msg.Subject, err)
		}
		afterEvent.Hit(q.Type)
		confirmed, sequence = append(confirmed, q.id), max(sequence, ack.Sequence)
	}
	return confirmed, sequence, nil
}

// delete takes confirmed rows out of the outbox, notes whose history has grown, and renews the lease, or does neither when the
// lease was lost. Checkpoints are of organizations: identity, which keeps a history per account, makes none. What a
// context that has ended was too late for is done all the same: the events are published.
func (r *Relay) delete(ctx context.Context, ids []int64, sequence uint64) error {
	if len(ids) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseTime)
	defer cancel()
	begin := time.Now()
	var renewed bool
	err := r.db.Pool.QueryRow(ctx, `
		WITH lease AS (
			UPDATE relay_lease SET expire_time = now() + $3, sequence = greatest(sequence, $5)
			WHERE shard = 0 AND holder = $1 AND fence = $2 RETURNING shard
		), published AS (
			DELETE FROM outbox WHERE id = ANY($4) AND EXISTS (SELECT FROM lease) RETURNING aggregate_id, revision
		), grown AS (
			INSERT INTO unsigned AS u (aggregate_id, revision)
			SELECT aggregate_id, max(revision) FROM published WHERE $6 GROUP BY aggregate_id
			ON CONFLICT (aggregate_id) DO UPDATE SET revision = greatest(u.revision, excluded.revision)
		)
		SELECT EXISTS (SELECT FROM lease)`, r.holder, r.fence, leaseTime, ids, sequence, r.db.Name != "identity").Scan(&renewed)
	if err != nil {
		return fmt.Errorf("empty outbox: %w", err)
	}
	if !renewed {
		r.lose(ctx)
		return nil
	}
	r.until = begin.Add(leaseTime)
	return nil
}

func (r *Relay) lose(ctx context.Context) {
	r.until = time.Time{}
	r.log.WarnContext(ctx, "another relay took over")
}

// release lets another relay begin at once.
func (r *Relay) release(ctx context.Context) {
	if r.until.IsZero() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if _, err := r.db.Pool.Exec(ctx, `UPDATE relay_lease SET expire_time = now() WHERE shard = 0 AND holder = $1`, r.holder); err != nil {
		r.log.WarnContext(ctx, "could not release the relay's lease", "error", err)
	}
	r.until = time.Time{}
}

// report logs a problem when it begins and when it ends.
func (r *Relay) report(ctx context.Context, err error) {
	switch {
	case err != nil && !r.problem:
		r.log.ErrorContext(ctx, "cannot relay events, trying on", "error", err)
	case err == nil && r.problem:
		r.log.InfoContext(ctx, "relaying events again")
	}
	r.problem = err != nil
}
