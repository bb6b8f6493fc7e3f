// Package events is how programs hear what happens in Roster. A Consumer hands every event to a handler: those of
// one organization in the order of their revisions and one at a time, those of different organizations in parallel.
// It drops duplicates, and reports what is missing instead of going on. Tail shows events as they come.
//
// Who keeps a copy of the present state takes a Snapshot first and hears what follows it; the example shows how. Who only
// reacts to events gives the consumer a name, and Positions if reacting twice would do harm.
//
// Every service counts the revisions of an organization for itself; account events count per account. The state of
// an organization is therefore known up to one revision per service.
package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Headers of a published event repeat what filters need without reading the body.
const (
	HeaderID        = "Roster-Id"
	HeaderType      = "Roster-Type"
	HeaderAggregate = "Roster-Aggregate"
	HeaderRevision  = "Roster-Revision"
	HeaderEpoch     = "Roster-Epoch"
	HeaderPrevHash  = "Roster-Prev-Hash"
)

// ErrUnknownType says that an event is of a type that this version does not know. Ignore such events: a handler
// that returns this error has handled the event.
var ErrUnknownType = errors.New("unknown event type")

// Event is one event, out of its CloudEvents envelope.
type Event struct {
	ID        string // evt_...
	Type      string // member.removed
	Service   string // that published it
	Aggregate string // org_..., or acc_... in events of the identity service
	Revision  int64  // 1, 2, 3, ... per service and aggregate
	Epoch     int64  // rises when the service's database was promoted after a failure
	Time      time.Time
	PrevHash  string // the hash of the revision before, in hex
	Hash      string
	TraceID   string          // 32 hex digits, or empty
	Data      json.RawMessage // the proto3 JSON of a message of roster.event.v1

	Subject        string // where it came from; empty when it did not come over NATS
	StreamSequence uint64
}

// Parse reads an event from its CloudEvents JSON, as it comes over NATS or in a webhook.
func Parse(body []byte) (Event, error) {
	var envelope struct {
		ID, Source, Type, Aggregate, Revision, Epoch, PrevHash, Hash, TraceID string
		Time                                                                  time.Time
		Data                                                                  json.RawMessage
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		return Event{}, fmt.Errorf("parse event: %w", err)
	}
	e := Event{
		ID: envelope.ID, Aggregate: envelope.Aggregate, Time: envelope.Time,
		PrevHash: envelope.PrevHash, Hash: envelope.Hash, TraceID: envelope.TraceID, Data: envelope.Data,
	}
	var ok bool
	if e.Type, ok = strings.CutPrefix(envelope.Type, Root); !ok {
		return Event{}, fmt.Errorf("parse event: type %q does not begin with %s", envelope.Type, Root)
	}
	if e.Service, ok = strings.CutPrefix(envelope.Source, "/roster/"); !ok || e.Aggregate == "" {
		return Event{}, fmt.Errorf("parse event: source %q, aggregate %q", envelope.Source, e.Aggregate)
	}
	var err error
	if e.Revision, err = strconv.ParseInt(envelope.Revision, 10, 64); err != nil || e.Revision < 1 {
		return Event{}, fmt.Errorf("parse event: revision %q", envelope.Revision)
	}
	if e.Epoch, err = strconv.ParseInt(envelope.Epoch, 10, 64); err != nil {
		return Event{}, fmt.Errorf("parse event: epoch %q", envelope.Epoch)
	}
	return e, nil
}

// Message returns the data as the message of its type, such as *eventv1.MemberRemoved. Fields that this version
// does not know are left out. The error is ErrUnknownType for a type that it does not know.
func (e Event) Message() (proto.Message, error) {
	kind, ok := messages()[e.Type]
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrUnknownType, e.Type)
	}
	message := kind.New().Interface()
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(e.Data, message); err != nil {
		return nil, fmt.Errorf("data of %s %s: %w", e.Type, e.ID, err)
	}
	return message, nil
}
