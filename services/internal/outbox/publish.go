// Package outbox keeps the history of every aggregate and gets it to JetStream. An event is written in the
// transaction of the change it tells of, under the lock of the aggregate's head row, so that revisions have no
// gap and their order is the order of the commits. The relay publishes what was committed, at least once.
package outbox

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rosterhq/roster/pkg/events"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// Partitions is how many parts the aggregates are spread over, so that streams can be split without touching
// consumers.
const Partitions = 64

// PartOf returns the partition of an aggregate: the last bits of its id, which are random.
func PartOf(aggregate id.Any) int16 { return int16(aggregate[15] % Partitions) }

// Event is one event on its way into the log. Make it with NewEvent.
type Event struct {
	ID        id.Event
	Aggregate id.Any
	Type      string // member.role_changed
	Time      time.Time

	data         []byte
	personal     []byte
	personalSalt []byte
	personalHash [sha256.Size]byte
	traceID      string
}

// ErrTooLarge says that an event would not fit into a message. It is refused before anything is committed: one
// event that cannot be published holds up its aggregate for ever.
var ErrTooLarge = errors.New("event too large")

// maxSize is what the data of an event may have, its personal part included. The envelope and the headers need less than
// the rest of a message.
const maxSize = maxMsgSize - 4<<10

// NewEvent encodes a message of roster.event.v1. Its type follows from the message's name: MemberRoleChanged is
// member.role_changed. What stands in its field `personal` is stored apart, so that it can be erased. The error is
// ErrTooLarge for more than an event can hold.
func NewEvent[K any](aggregate id.ID[K], at time.Time, message proto.Message) (Event, error) {
	return newEvent(aggregate, at, message, caller.Caller{})
}

// newEvent is NewEvent, with the address of the client whose call causes the event in what is personal.
func newEvent[K any](aggregate id.ID[K], at time.Time, message proto.Message, who caller.Caller) (Event, error) {
	e := Event{
		ID:        id.NewEvent(),
		Aggregate: id.Any(aggregate),
		Type:      events.TypeOf(message),
		Time:      at.UTC().Truncate(time.Microsecond),
	}
	message = proto.Clone(message)
	fields := message.ProtoReflect()
	if told, ok := message.(interface{ GetContext() *eventv1.Context }); ok {
		e.traceID = told.GetContext().GetTraceId()
		if address := clientAddress(told.GetContext(), who); address != "" {
			part := fields.Mutable(fields.Descriptor().Fields().ByName("personal")).Message()
			part.Set(part.Descriptor().Fields().ByName("client_address"), protoreflect.ValueOfString(address))
		}
	}
	if personal := fields.Descriptor().Fields().ByName("personal"); personal != nil && fields.Has(personal) {
		var err error
		if e.personal, err = encode(fields.Get(personal).Message().Interface()); err != nil {
			return e, err
		}
		e.personalSalt = make([]byte, 16)
		rand.Read(e.personalSalt) // never fails, see crypto/rand
		e.personalHash = sha256.Sum256(append(bytes.Clone(e.personalSalt), e.personal...))
		fields.Clear(personal)
	}
	var err error
	if e.data, err = encode(message); err != nil {
		return e, err
	}
	if size := len(e.data) + len(e.personal); size > maxSize {
		return e, fmt.Errorf("%w: %s has %d bytes, %d at most", ErrTooLarge, e.Type, size, maxSize)
	}
	return e, nil
}

// clientAddress is the address of the client that has caused what the origin tells. A call may also finish what somebody else
// has begun, or what the suite does by itself: these are not the client's. Whoever declines with a link has no name, and
// still a hand in it.
func clientAddress(origin *eventv1.Context, who caller.Caller) string {
	actor := origin.GetActor()
	switch {
	case actor.GetKind() == eventv1.Actor_KIND_SYSTEM && origin.GetCause().GetKind() != eventv1.Cause_KIND_SELF:
		return ""
	case who.SignedIn() && actor.GetId() != who.Account.String() && actor.GetId() != who.Operator.String() && actor.GetId() != who.ServiceAccount.String():
		return ""
	}
	return who.Address
}

// encode writes proto3 JSON without the white space that protojson varies from build to build.
func encode(message proto.Message) ([]byte, error) {
	loose, err := protojson.Marshal(message)
	if err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}
	var tight bytes.Buffer
	if err := json.Compact(&tight, loose); err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}
	return tight.Bytes(), nil
}

// tail is the part of the hashed bytes that does not depend on the event's place in the log. The hash of an
// event is SHA-256 over
//
//	previous hash (32 bytes), aggregate id (16), revision (8), event id (16),
//	length of type (4), type, time in microseconds (8), length of data (4), data, hash of personal (32)
//
// with all numbers big-endian.
func (e Event) tail() []byte {
	var b bytes.Buffer
	b.Write(e.ID[:])
	writePrefixed(&b, []byte(e.Type))
	binary.Write(&b, binary.BigEndian, e.Time.UnixMicro())
	writePrefixed(&b, e.data)
	b.Write(e.personalHash[:])
	return b.Bytes()
}

func writePrefixed(b *bytes.Buffer, part []byte) {
	binary.Write(b, binary.BigEndian, uint32(len(part)))
	b.Write(part)
}

// current is the history that the database is in now: its cluster, the database, and the timeline, which changes when a
// standby is promoted and when a backup is recovered. A dump that is loaded elsewhere gets a database of its own. The
// epoch of a history that the relay has not noted yet is the one that it is going to note. So all events that this
// database commits as long as it is primary have the same epoch, and nobody has to wait for the relay.
const current = `
	now AS (
		SELECT current_setting('app.cluster') || '/' || d.oid || '/' || line AS identity, ('x' || line)::bit(32)::bigint AS timeline
		FROM pg_database d, left(pg_walfile_name(pg_current_wal_lsn()), 8) AS line
		WHERE d.datname = current_database()
	), current AS (
		SELECT now.identity, CASE WHEN h.identity = now.identity THEN h.epoch ELSE greatest(coalesce(h.epoch, 0) + 1, now.timeline) END AS epoch
		FROM now LEFT JOIN history h ON true
	)`

// publish bumps the head, chains the hash, writes the event and queues it, in one statement. A head that does not
// exist yet begins here.
const publish = `
	WITH ` + current + `, head AS (
		INSERT INTO heads AS h (aggregate_id, part, epoch, revision, hash)
		SELECT $1, $3, current.epoch, 1, sha256('\x0000000000000000000000000000000000000000000000000000000000000000'::bytea || uuid_send($1) || int8send(1) || $4)
		FROM current
		WHERE %s
		ON CONFLICT (aggregate_id) DO UPDATE
		SET revision = h.revision + 1, epoch = greatest(h.epoch, excluded.epoch),
			prev_hash = h.hash, hash = sha256(h.hash || uuid_send($1) || int8send(h.revision + 1) || $4)
		RETURNING revision, epoch, prev_hash, hash
	), event AS (
		INSERT INTO events (aggregate_id, revision, epoch, id, type, time, data, personal, personal_salt, personal_hash, trace_id, prev_hash, hash)
		SELECT $1, revision, epoch, $2, $5, $6, $7, $8, $9, $10, $11, prev_hash, hash FROM head
	), queued AS (
		INSERT INTO outbox (part, aggregate_id, revision) SELECT $3, $1, revision FROM head
	)
	SELECT revision FROM head`

var publishAlways = fmt.Sprintf(publish, "true")

func (e Event) args() []any {
	return []any{e.Aggregate, e.ID, PartOf(e.Aggregate), e.tail(), e.Type, e.Time, e.data, e.personal, e.personalSalt,
		e.personalHash[:], e.traceID}
}

// Publish adds an event to the transaction: it is in the log exactly when the transaction commits. Where the client called
// that the event comes from goes with it, in what is personal.
func Publish[K any](tx *postgres.Tx, aggregate id.ID[K], at time.Time, message proto.Message) error {
	e, err := newEvent(aggregate, at, message, tx.Caller())
	if err != nil {
		return err
	}
	tx.Write(publishAlways, e.args()...)
	tx.Wake(postgres.Relay)
	return nil
}

// Queue adds an event to a flight whose SQL decides: it is in the log when guard holds, an SQL condition that may
// use $1, the aggregate, and $2, the event's id.
func (e Event) Queue(batch *pgx.Batch, guard string) {
	batch.Queue(fmt.Sprintf(publish, guard), e.args()...)
}
