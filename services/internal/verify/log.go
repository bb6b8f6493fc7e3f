package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/rosterhq/roster/pkg/events"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
)

// entry is an event of the log with its message; nil for a type that this version does not know.
type entry struct {
	outbox.Entry
	message proto.Message
}

// origin is what the event says of its origin.
func (e entry) origin() *eventv1.Context {
	if m, ok := e.message.(interface{ GetContext() *eventv1.Context }); ok {
		return m.GetContext()
	}
	return nil
}

// email is the address in the event's personal part, if there is one.
func (e entry) email() string {
	var personal eventv1.Personal
	if e.Personal == nil || (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(e.Personal, &personal) != nil {
		return ""
	}
	return personal.GetEmail()
}

// selectEvents reads entries of the log, e in what follows FROM.
const selectEvents = `
	SELECT e.aggregate_id, e.revision, e.epoch, e.id, e.type, e.time, e.data, e.personal, e.personal_salt, e.personal_hash,
		e.trace_id, e.prev_hash, e.hash
	FROM `

// pageOf is how many events are read, and verified, at a time.
const pageOf = 1000

// checkLog reads the histories of a service, in order, and judges A6, A7 and A10. tell hears every event.
func (c *Checker) checkLog(ctx context.Context, tx pgx.Tx, service string, s span, r *Report, tell func(entry)) error {
	type head struct {
		AggregateID id.Any
		Revision    int64
		Hash        []byte
	}
	found, err := collect[head](ctx, tx, `SELECT aggregate_id, revision, hash FROM heads WHERE aggregate_id > $1 AND aggregate_id <= $2`, uuid(s.after), uuid(s.to))
	if err != nil {
		return err
	}
	heads := make(map[id.Any]head)
	for _, h := range found {
		heads[h.AggregateID] = h
	}
	h := &history{find: func(id string, key id.Any, detail string, args ...any) {
		r.add(Finding{ID: id, Service: service, Organization: aggregate(service, key), Detail: fmt.Sprintf(detail, args...)})
	}}
	end := func() {
		h.verify()
		head, known := heads[h.key]
		delete(heads, h.key)
		switch {
		case h.key.IsZero(): // none was read yet
		case !known:
			h.find("A6", h.key, "there are events up to revision %d, and no head", h.last.Revision)
		case head.Revision != h.last.Revision:
			h.find("A6", h.key, "the head is at revision %d, the history ends with %d", head.Revision, h.last.Revision)
		case !bytes.Equal(head.Hash, h.last.Hash):
			h.find("A7", h.key, "the head holds another hash than revision %d", h.last.Revision)
		}
	}
	rows, _ := tx.Query(ctx, selectEvents+`events e WHERE e.aggregate_id > $1 AND e.aggregate_id <= $2 ORDER BY e.aggregate_id, e.revision`, uuid(s.after), uuid(s.to))
	defer rows.Close()
	for rows.Next() {
		row, err := pgx.RowToStructByName[outbox.Entry](rows)
		if err != nil {
			return err
		}
		if row.Aggregate != h.key {
			end()
			h = &history{key: row.Aggregate, find: h.find}
		}
		e := entry{Entry: row}
		if e.message, err = (events.Event{ID: e.ID.String(), Type: e.Type, Data: e.Data}).Message(); err != nil && !errors.Is(err, events.ErrUnknownType) {
			h.find("A8", e.Aggregate, "revision %d: %v", e.Revision, err)
		}
		h.add(e)
		r.Events++
		tell(e)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	end()
	for key, head := range heads {
		if head.Revision != 0 {
			h.find("A6", key, "the head is at revision %d, and there are no events", head.Revision)
		}
	}
	return nil
}

// history is the history of one aggregate as far as it was read.
type history struct {
	key    id.Any
	last   outbox.Entry
	page   []outbox.Entry // not verified yet
	broken bool           // and said so: what follows says nothing new
	asked  map[asked]time.Time
	find   func(id string, key id.Any, detail string, args ...any)
}

// asked is what a person asked for under a request id.
type asked struct{ actor, request, event, subject string }

// answerKept is how long a stored answer is found again. After that a request id may be used for another request.
const answerKept = 24 * time.Hour

func (h *history) add(e entry) {
	if e.Revision != h.last.Revision+1 {
		h.find("A6", h.key, "revision %d follows %d", e.Revision, h.last.Revision)
		h.verify()
		h.page = nil // what follows is verified by itself
	}
	if h.page = append(h.page, e.Entry); len(h.page) == pageOf {
		h.verify()
	}
	h.last = e.Entry
	origin := e.origin()
	if origin.GetRequestId() == "" {
		return
	}
	ask := asked{actor: origin.GetActor().GetId(), request: origin.GetRequestId(), event: e.Type}
	switch m := e.message.(type) { // one request changes many
	case interface{ GetAfter() *eventv1.Member }:
		ask.subject = m.GetAfter().GetAccountId()
	case *eventv1.OrganizationOwnerChanged:
		ask.subject = m.GetBeforeAccountId()
	case *eventv1.SessionEnded:
		ask.subject = m.GetSessionId()
	case *eventv1.RoleCreated:
		ask.subject = m.GetRole().GetRoleId()
	case *eventv1.RoleUpdated:
		ask.subject = m.GetAfter().GetRoleId()
	case *eventv1.RoleDeleted:
		ask.subject = m.GetBefore().GetRoleId()
	}
	if before, twice := h.asked[ask]; twice && e.Time.Sub(before) < answerKept {
		h.find("A10", h.key, "revision %d is %s by request %s of %s once more", e.Revision, ask.event, ask.request, ask.actor)
	}
	if h.asked == nil {
		h.asked = make(map[asked]time.Time)
	}
	h.asked[ask] = e.Time
}

// verify checks the chain of what was read, and keeps the last event for what follows.
func (h *history) verify() {
	if len(h.page) == 0 {
		return
	}
	if err := outbox.Verify(h.page); err != nil && !h.broken {
		h.broken = true
		h.find("A7", h.key, "%v", err)
	}
	h.page = append(h.page[:0], h.page[len(h.page)-1])
}
