package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rosterhq/roster/pkg/events"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
)

// checkStreams judges E6. Rows are committed before they are published and leave the outbox after that, so what is expected is
// read from the database before the stream is, and the rows of what the stream holds after it.
func (c *Checker) checkStreams(ctx context.Context, o Options, r *Report) error {
	if o.Stream == nil {
		return nil
	}
	for _, service := range Services {
		if err := c.checkStream(ctx, o.Stream, service, r); err != nil {
			return fmt.Errorf("stream of %s: %w", service, err)
		}
	}
	return nil
}

// awaited is what the stream should hold of one history.
type awaited struct {
	next  int64          // the revision that comes next; those before it came in order
	to    int64          // the last that has to be there
	ahead map[int64]bool // revisions that came, but before one that precedes them
}

func (c *Checker) checkStream(ctx context.Context, js jetstream.JetStream, service string, r *Report) error {
	stream, err := js.Stream(ctx, events.Stream(service))
	gone := errors.Is(err, jetstream.ErrStreamNotFound)
	if err != nil && !gone {
		return err
	}
	var kept time.Time // the stream no longer holds what is older
	if !gone {
		if age := stream.CachedInfo().Config.MaxAge; age > 0 {
			kept = time.Now().Add(time.Hour - age)
		}
	}
	await, err := c.await(ctx, service, kept)
	if err != nil {
		return err
	}
	if !gone {
		if err := c.readStream(ctx, stream, service, r, await); err != nil {
			return err
		}
	}
	for key, a := range await {
		if a.next > a.to {
			continue
		}
		what := "is missing"
		if a.ahead[a.next] {
			what = "comes before the one that precedes it, and not again"
		}
		f := Finding{ID: "E6", Service: service, Organization: aggregate(service, key), Detail: fmt.Sprintf("revision %d of %d %s", a.next, a.to, what)}
		f.Repair, f.repair = c.republish(service, key, a.next)
		r.add(f)
	}
	return nil
}

// await reads what was published by now.
func (c *Checker) await(ctx context.Context, service string, kept time.Time) (map[id.Any]*awaited, error) {
	await := make(map[id.Any]*awaited)
	err := c.snapshot(ctx, service, func(tx pgx.Tx) error {
		waiting := make(map[id.Any]int64)
		rows, _ := tx.Query(ctx, `SELECT aggregate_id, min(revision) FROM outbox GROUP BY aggregate_id`)
		var key id.Any
		var from, to int64
		if _, err := pgx.ForEachRow(rows, []any{&key, &from}, func() error {
			waiting[key] = from
			return nil
		}); err != nil {
			return err
		}
		rows, _ = tx.Query(ctx, `
			SELECT h.aggregate_id, e.revision, h.revision
			FROM heads h, LATERAL (
				SELECT revision FROM events WHERE aggregate_id = h.aggregate_id AND time > $1 ORDER BY revision LIMIT 1
			) e`, kept)
		_, err := pgx.ForEachRow(rows, []any{&key, &from, &to}, func() error {
			if waits, ok := waiting[key]; ok {
				to = waits - 1
			}
			await[key] = &awaited{next: from, to: to}
			return nil
		})
		return err
	})
	return await, err
}

// readStream compares every message with the row that it was made of.
func (c *Checker) readStream(ctx context.Context, stream jetstream.Stream, service string, r *Report, await map[id.Any]*awaited) error {
	info, err := stream.Info(ctx) // as it is after what is awaited was read
	if err != nil || info.State.Msgs == 0 {
		return err
	}
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy})
	if err != nil {
		return err
	}
	messages, err := consumer.Messages()
	if err != nil {
		return err
	}
	defer messages.Stop()
	var page []jetstream.Msg
	for last := false; !last; {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return err
		}
		meta, err := msg.Metadata()
		if err != nil {
			return err
		}
		page = append(page, msg)
		if last = meta.NumPending == 0 || meta.Sequence.Stream >= info.State.LastSeq; last || len(page) == pageOf {
			if err := c.comparePage(ctx, service, page, r, await); err != nil {
				return err
			}
			page = page[:0]
		}
	}
	return nil
}

// comparePage compares messages that follow one another in the stream.
func (c *Checker) comparePage(ctx context.Context, service string, page []jetstream.Msg, r *Report, await map[id.Any]*awaited) error {
	r.Messages += len(page)
	type place struct {
		aggregate id.Any
		revision  int64
	}
	places := make([]place, len(page))
	var aggregates []id.Any
	var revisions []int64
	for i, msg := range page {
		e, err := events.Parse(msg.Data())
		if err == nil {
			places[i].aggregate, err = parseAggregate(service, e.Aggregate)
		}
		if err != nil {
			meta, _ := msg.Metadata()
			r.add(Finding{ID: "E6", Service: service, Detail: fmt.Sprintf("message %d of the stream is no event of an aggregate here: %v", meta.Sequence.Stream, err)})
			continue
		}
		places[i].revision = e.Revision
		aggregates, revisions = append(aggregates, places[i].aggregate), append(revisions, e.Revision)
	}
	found, _ := c.pools[service].Query(ctx, selectEvents+`unnest($1::uuid[], $2::bigint[]) AS q (aggregate_id, revision)
		JOIN events e ON e.aggregate_id = q.aggregate_id AND e.revision = q.revision`, aggregates, revisions) // collecting reports the error
	entries, err := pgx.CollectRows(found, pgx.RowToStructByName[outbox.Entry])
	if err != nil {
		return err
	}
	rows := make(map[place]outbox.Entry)
	for _, e := range entries {
		rows[place{e.Aggregate, e.Revision}] = e
	}
	for i, msg := range page {
		if places[i].aggregate.IsZero() {
			continue
		}
		find := func(detail string) {
			r.add(Finding{ID: "E6", Service: service, Organization: aggregate(service, places[i].aggregate), Detail: fmt.Sprintf("revision %d %s", places[i].revision, detail)})
		}
		row, known := rows[places[i]]
		if !known {
			find("is in the stream, and there is no such event")
			continue
		}
		if differs, err := difference(row, service, msg); err != nil {
			return err
		} else if differs != "" {
			find(differs)
			continue
		}
		if a := await[row.Aggregate]; a != nil {
			a.came(row.Revision)
		}
	}
	return nil
}

// came notes that a revision came. One that came too early counts when it comes again: whoever consumes waits for it.
func (a *awaited) came(revision int64) {
	switch {
	case revision == a.next:
		a.next++
	case revision > a.next:
		if a.ahead == nil {
			a.ahead = make(map[int64]bool)
		}
		a.ahead[revision] = true
	}
}

// difference says in what a message differs from the one that its row makes.
func difference(row outbox.Entry, service string, msg jetstream.Msg) (string, error) {
	want, err := row.Message(service)
	if err != nil {
		return "", err
	}
	body := msg.Data()
	if row.Personal == nil && !bytes.Equal(row.PersonalHash, make([]byte, len(row.PersonalHash))) {
		body = withoutPersonal(body) // erased since
	}
	switch {
	case !bytes.Equal(body, want.Data):
		return "is in the stream with other bytes than the row makes", nil
	case msg.Subject() != want.Subject:
		return "is in the stream under the subject " + msg.Subject(), nil
	}
	for name := range want.Header {
		if got := msg.Headers().Get(name); got != want.Header.Get(name) {
			return fmt.Sprintf("is in the stream with the header %s: %s", name, got), nil
		}
	}
	return "", nil
}

// withoutPersonal is an envelope without its personal part, which is the last in data, which is the last itself.
func withoutPersonal(body []byte) []byte {
	i := bytes.LastIndex(body, []byte(`"personal":`))
	if i < 0 {
		return body
	}
	return append(bytes.TrimSuffix(bytes.Clone(body[:i]), []byte(",")), "}}"...)
}

func parseAggregate(service, text string) (id.Any, error) {
	if service == "identity" {
		account, err := id.ParseAccount(text)
		return id.Any(account), err
	}
	organization, err := id.ParseOrganization(text)
	return id.Any(organization), err
}
