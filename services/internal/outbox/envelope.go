package outbox

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rosterhq/roster/pkg/events"

	"github.com/rosterhq/roster/services/internal/id"
)

// Entry is an event as the log keeps it.
type Entry struct {
	Aggregate    id.Any `db:"aggregate_id"`
	Revision     int64
	Epoch        int64
	ID           id.Event
	Type         string
	Time         time.Time
	Data         []byte
	Personal     []byte // nil when there is none, or when it was erased
	PersonalSalt []byte
	PersonalHash []byte
	TraceID      string
	PrevHash     []byte
	Hash         []byte
}

// aggregate is the id of the aggregate as it travels: identity keeps a log per account, the others per organization.
func (e Entry) aggregate(service string) string {
	if service == "identity" {
		return id.Account(e.Aggregate).String()
	}
	return id.Organization(e.Aggregate).String()
}

// Subject is where a service publishes the event.
func (e Entry) Subject(service string) string {
	return fmt.Sprintf("%s%s.%02d.%s", events.Root, e.Type, PartOf(e.Aggregate), e.aggregate(service))
}

// Envelope is the event as a CloudEvent in JSON. It is made of nothing but the entry, the same way every time, so
// that the stream, a webhook and a replay agree to the byte.
func (e Entry) Envelope(service string) ([]byte, error) {
	data := e.Data
	if e.Personal != nil {
		var err error
		if data, err = splice(data, e.Personal); err != nil {
			return nil, fmt.Errorf("event %s: %w", e.ID, err)
		}
	}
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false) // data stays as it is stored
	err := encoder.Encode(struct {
		SpecVersion     string          `json:"specversion"`
		ID              string          `json:"id"`
		Source          string          `json:"source"`
		Type            string          `json:"type"`
		Time            string          `json:"time"`
		DataContentType string          `json:"datacontenttype"`
		Aggregate       string          `json:"aggregate"`
		Revision        string          `json:"revision"`
		Epoch           string          `json:"epoch"`
		PrevHash        string          `json:"prevhash"`
		Hash            string          `json:"hash"`
		TraceID         string          `json:"traceid,omitempty"`
		Data            json.RawMessage `json:"data"`
	}{
		SpecVersion:     "1.0",
		ID:              e.ID.String(),
		Source:          "/roster/" + service,
		Type:            events.Root + e.Type,
		Time:            e.Time.UTC().Format("2006-01-02T15:04:05.000000Z"),
		DataContentType: "application/json",
		Aggregate:       e.aggregate(service),
		Revision:        strconv.FormatInt(e.Revision, 10),
		Epoch:           strconv.FormatInt(e.Epoch, 10),
		PrevHash:        hex.EncodeToString(e.PrevHash),
		Hash:            hex.EncodeToString(e.Hash),
		TraceID:         e.TraceID,
		Data:            data,
	})
	if err != nil {
		return nil, fmt.Errorf("event %s: %w", e.ID, err)
	}
	return bytes.TrimSuffix(body.Bytes(), []byte("\n")), nil
}

// splice adds what is personal to data as the last key, where the message has its field `personal`.
func splice(data, personal []byte) ([]byte, error) {
	open, closed := bytes.CutSuffix(data, []byte("}"))
	if !closed {
		return nil, fmt.Errorf("data is no object")
	}
	out := bytes.Clone(open)
	if len(open) > len("{") {
		out = append(out, ',')
	}
	out = append(out, `"personal":`...)
	out = append(out, personal...)
	return append(out, '}'), nil
}

// Message is the event as it is published. Its headers repeat what filters need.
func (e Entry) Message(service string) (*nats.Msg, error) {
	body, err := e.Envelope(service)
	if err != nil {
		return nil, err
	}
	msg := nats.NewMsg(e.Subject(service))
	msg.Data = body
	for _, h := range [][2]string{
		{nats.MsgIdHdr, fmt.Sprintf("%s:%s:%d:%d", service, e.aggregate(service), e.Epoch, e.Revision)},
		{events.HeaderID, e.ID.String()},
		{events.HeaderType, e.Type},
		{events.HeaderAggregate, e.aggregate(service)},
		{events.HeaderRevision, strconv.FormatInt(e.Revision, 10)},
		{events.HeaderEpoch, strconv.FormatInt(e.Epoch, 10)},
		{events.HeaderPrevHash, hex.EncodeToString(e.PrevHash)},
		{"Content-Type", "application/cloudevents+json"},
	} {
		msg.Header.Set(h[0], h[1])
	}
	if trace, err := hex.DecodeString(e.TraceID); err == nil && len(trace) == 16 {
		// The event is a span of its own: the end of its id is random, and never zero.
		msg.Header.Set("traceparent", fmt.Sprintf("00-%x-%x-01", trace, e.ID[8:]))
	}
	return msg, nil
}
