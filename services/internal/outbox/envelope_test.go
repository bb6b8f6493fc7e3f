package outbox

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rosterhq/roster/pkg/events"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

var update = flag.Bool("update", false, "write the golden files again")

// The JSON of every event, a line each, as the world sees it. A change of a line that is there is a change of the
// contract. Events of all services read as membership's here, but for those about accounts.
func TestEnvelopeOfEveryType(t *testing.T) {
	t.Parallel()
	var got bytes.Buffer
	for _, name := range events.Types() {
		want := messageOf(t, name)
		e := entryOf(t, id.Any{15: 7}, want)
		service := "membership"
		if strings.HasPrefix(name, "account.") || strings.HasPrefix(name, "session.") {
			service = "identity"
		}
		body, err := e.Envelope(service)
		if err != nil {
			t.Fatal(err)
		}
		got.Write(append(body, '\n'))

		parsed, err := events.Parse(body)
		if err != nil {
			t.Fatal(err)
		}
		if message, err := parsed.Message(); err != nil || !proto.Equal(message, want) || parsed.Type != name {
			t.Errorf("%s: read back %v, %v, want %v", parsed.Type, message, err, want)
		}
		if again, _ := e.Envelope(service); !bytes.Equal(again, body) {
			t.Errorf("%s: the second envelope differs", name)
		}
	}
	golden := filepath.Join("testdata", "events.jsonl")
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	wanted := strings.Split(string(want), "\n")
	for i, line := range strings.Split(got.String(), "\n") {
		if i >= len(wanted) || line != wanted[i] {
			t.Fatalf("line %d of %s differs; go test -update writes it again. Got\n%s", i+1, golden, line)
		}
	}
}

func TestMessage(t *testing.T) {
	t.Parallel()
	e := entryOf(t, id.Any{15: 7}, messageOf(t, "member.removed"))
	msg, err := e.Message("membership")
	if err != nil {
		t.Fatal(err)
	}
	org := id.Organization{15: 7}.String()
	if want := "roster.v1.member.removed.07." + org; msg.Subject != want {
		t.Errorf("subject %s, want %s", msg.Subject, want)
	}
	for header, want := range map[string]string{
		"Nats-Msg-Id":      "membership:" + org + ":2:9",
		"Roster-Id":        e.ID.String(),
		"Roster-Type":      "member.removed",
		"Roster-Aggregate": org,
		"Roster-Revision":  "9",
		"Roster-Epoch":     "2",
		"Roster-Prev-Hash": hex.EncodeToString(e.PrevHash),
		"Content-Type":     "application/cloudevents+json",
		"traceparent":      "00-4bf92f3577b34da6a3ce929d0e0e4736-8000000000000001-01",
	} {
		if got := msg.Header.Get(header); got != want {
			t.Errorf("%s is %q, want %q", header, got, want)
		}
	}
	e.TraceID = "unknown"
	if msg, _ := e.Message("membership"); msg.Header.Get("traceparent") != "" {
		t.Error("a trace id that is none became a header")
	}
	if account, _ := e.Message("identity"); !strings.Contains(account.Subject, ".acc_") {
		t.Errorf("the subject of an account's event is %s", account.Subject)
	}
}

func TestEnvelopeWithoutPersonal(t *testing.T) {
	t.Parallel()
	e := entryOf(t, id.Any{15: 7}, &eventv1.AccountUpdated{Personal: &eventv1.Personal{DisplayName: "Zoë <&>"}})
	body, err := e.Envelope("identity")
	if err != nil || !bytes.HasSuffix(body, []byte(`"data":{"personal":{"displayName":"Zoë <&>"}}}`)) {
		t.Errorf("%s, %v: the personal part is not in data, as it is stored", body, err)
	}
	e.Personal, e.PersonalSalt = nil, nil
	if body, err := e.Envelope("identity"); err != nil || !bytes.HasSuffix(body, []byte(`"data":{}}`)) {
		t.Errorf("%s, %v: the personal part is still there after it was erased", body, err)
	}
}

// entryOf is an entry with revision 9 and epoch 2, the same in every run.
func entryOf(t testing.TB, aggregate id.Any, message proto.Message) Entry {
	t.Helper()
	at := time.Date(2026, 3, 1, 12, 0, 0, 1000, time.UTC)
	made, err := NewEvent(aggregate, at, message)
	if err != nil {
		t.Fatal(err)
	}
	e := Entry{
		Aggregate: aggregate, Revision: 9, Epoch: 2, ID: id.Event{6: 0x70, 8: 0x80, 15: 1}, Type: made.Type, Time: made.Time,
		Data: made.data, Personal: made.personal, PersonalSalt: make([]byte, 16), PersonalHash: make([]byte, 32), TraceID: made.traceID,
		PrevHash: bytes.Repeat([]byte{0xab}, 32),
	}
	if e.Personal != nil {
		e.PersonalHash = hashPersonal(e.PersonalSalt, e.Personal)
	}
	e.Hash = e.chainHash()
	return e
}

// messageOf is the message of an event with a value in every field.
func messageOf(t testing.TB, name string) proto.Message {
	t.Helper()
	message, err := events.Event{Type: name, Data: []byte("{}")}.Message()
	if err != nil {
		t.Fatal(err)
	}
	fill(message.ProtoReflect())
	return message
}

func fill(message protoreflect.Message) {
	fields := message.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		var value protoreflect.Value
		switch field.Kind() {
		case protoreflect.EnumKind:
			value = protoreflect.ValueOfEnum(1)
		case protoreflect.Int32Kind:
			value = protoreflect.ValueOfInt32(3)
		case protoreflect.Int64Kind:
			value = protoreflect.ValueOfInt64(4)
		case protoreflect.BoolKind:
			value = protoreflect.ValueOfBool(true)
		case protoreflect.StringKind:
			value = protoreflect.ValueOfString(text(field))
		case protoreflect.MessageKind:
			if field.IsList() {
				fill(message.Mutable(field).List().AppendMutable().Message())
			} else if at, ok := message.Mutable(field).Message().Interface().(*timestamppb.Timestamp); ok {
				at.Seconds = 1772366400
			} else {
				fill(message.Mutable(field).Message())
			}
			continue
		}
		if field.IsList() {
			message.Mutable(field).List().Append(value)
		} else {
			message.Set(field, value)
		}
	}
}

func text(field protoreflect.FieldDescriptor) string {
	if field.Name() == "trace_id" {
		return "4bf92f3577b34da6a3ce929d0e0e4736"
	}
	return "a " + string(field.Name())
}
