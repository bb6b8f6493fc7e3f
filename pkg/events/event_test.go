package events

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
)

func envelope(t, data string) []byte {
	return fmt.Appendf(nil, `{"specversion":"1.0","id":"evt_1","source":"/roster/membership","type":"roster.v1.%s",
		"time":"2026-03-01T12:00:00.000001Z","datacontenttype":"application/json","aggregate":"org_1","revision":"7","epoch":"2",
		"prevhash":"aa","hash":"bb","traceid":"cc","data":%s,"later":"ignored"}`, t, data)
}

func TestParse(t *testing.T) {
	t.Parallel()
	e, err := Parse(envelope("member.removed", `{"context":{"requestId":"r"},"later":1}`))
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(e.ID, e.Type, e.Service, e.Aggregate, e.Revision, e.Epoch, e.Time, " ", e.PrevHash, e.Hash, e.TraceID)
	want := "evt_1member.removedmembershiporg_17 2 2026-03-01 12:00:00.000001 +0000 UTC aabbcc"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	message, err := e.Message()
	if removed, ok := message.(*eventv1.MemberRemoved); err != nil || !ok || removed.GetContext().GetRequestId() != "r" {
		t.Errorf("got %v, %v, want the message without the unknown field", message, err)
	}
	for _, wrong := range []string{``, `{}`, `[]`, `{"type":"roster.v1.member.removed","source":"/roster/membership","aggregate":"org_1"}`} {
		if _, err := Parse([]byte(wrong)); err == nil {
			t.Errorf("%s is taken for an event", wrong)
		}
	}
}

func TestUnknownType(t *testing.T) {
	t.Parallel()
	e, err := Parse(envelope("member.promoted", `{}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Message(); !errors.Is(err, ErrUnknownType) {
		t.Errorf("got %v, want ErrUnknownType", err)
	}
}

// Every type that the catalogue knows belongs to a service, and its message survives the trip.
func TestMessageOfEveryType(t *testing.T) {
	t.Parallel()
	types := Types()
	if len(types) < 20 || !slices.Contains(types, "member.role_changed") || slices.Contains(types, "member") {
		t.Errorf("these are not the events: %v", types)
	}
	for _, name := range types {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if filters, err := (Config{Types: []string{name}}).filters(); err != nil || len(filters) != 1 {
				t.Errorf("the type belongs to %v, %v, want one service", filters, err)
			}
			want := messages()[name].New()
			fill(want)
			data, err := protojson.Marshal(want.Interface())
			if err != nil {
				t.Fatal(err)
			}
			e, err := Parse(envelope(name, string(data)))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := e.Message(); err != nil || !proto.Equal(got, want.Interface()) {
				t.Errorf("got %v, %v, want %v", got, err, want.Interface())
			}
		})
	}
}

// fill gives every field a value.
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
			value = protoreflect.ValueOfString("text")
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

func TestFilters(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		config Config
		want   string
	}{
		"everything":     {Config{}, "map[billing:[] identity:[] invitation:[] membership:[]]"},
		"one service":    {Config{Services: []string{"billing"}}, "map[billing:[]]"},
		"one type":       {Config{Types: []string{"invitation.accepted"}}, "map[invitation:[roster.v1.invitation.accepted.*.*]]"},
		"two services":   {Config{Types: []string{"seat.occupied", "member.>"}}, "map[billing:[roster.v1.seat.occupied.*.*] membership:[roster.v1.member.*.*.*]]"},
		"overlap":        {Config{Types: []string{"member.added", "member.>", "member.added"}}, "map[membership:[roster.v1.member.*.*.*]]"},
		"organization":   {Config{Services: []string{"billing"}, Organization: "org_1"}, "map[billing:[roster.v1.*.*.*.org_1]]"},
		"both":           {Config{Types: []string{"member.added", "member.left"}, Organization: "org_1"}, "map[membership:[roster.v1.member.added.*.org_1 roster.v1.member.left.*.org_1]]"},
		"no such type":   {Config{Types: []string{"cat.fed"}}, "error"},
		"other services": {Config{Types: []string{"member.>"}, Services: []string{"billing"}}, "error"},
		"no service":     {Config{Services: []string{"payments"}}, "error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			filters, err := test.config.filters()
			if got := fmt.Sprint(filters); err == nil && got != test.want || err != nil && test.want != "error" {
				t.Errorf("got %s, %v, want %s", got, err, test.want)
			}
		})
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	applied5 := applied{true, Position{Epoch: 2, Revision: 5, Hash: "h5"}}
	for name, test := range map[string]struct {
		applied    applied
		epoch      int64
		revision   int64
		prev, hash string
		everything bool
		want       verdict
	}{
		"nothing known":                        {applied{}, 2, 9, "h8", "h9", true, next},
		"nothing applied":                      {applied{known: true}, 2, 1, "", "h1", true, next},
		"beginning is missing":                 {applied{known: true}, 2, 2, "h1", "h2", true, gap},
		"next":                                 {applied5, 2, 6, "h5", "h6", true, next},
		"again":                                {applied5, 2, 5, "h4", "h5", true, duplicate},
		"older":                                {applied5, 2, 3, "h2", "h3", true, duplicate},
		"older, of the epoch before":           {applied5, 1, 3, "h2", "h3", true, duplicate},
		"gap":                                  {applied5, 2, 7, "h6", "h7", true, gap},
		"gap that a filter makes":              {applied5, 2, 7, "h6", "h7", false, next},
		"other event, same revision":           {applied5, 2, 5, "h4", "x5", true, fork},
		"the same, through a filter":           {applied5, 2, 5, "h4", "x5", false, fork},
		"next of another history":              {applied5, 2, 6, "x5", "x6", true, fork},
		"the same next, through a filter":      {applied5, 2, 6, "x5", "x6", false, fork},
		"hash of applied not known":            {applied{true, Position{Revision: 5}}, 2, 6, "h5", "h6", true, next},
		"again, hash is not known":             {applied{true, Position{Revision: 5}}, 2, 5, "h4", "h5", true, duplicate},
		"filtered, what is before is unknown":  {applied5, 2, 7, "other", "h7", false, next},
		"next in a new epoch":                  {applied5, 3, 6, "h5", "h6", true, next},
		"new epoch that does not follow":       {applied5, 3, 6, "x5", "x6", true, fork},
		"new epoch that began before":          {applied5, 3, 4, "h3", "x4", true, fork},
		"the same, through a filter, before":   {applied5, 3, 4, "h3", "x4", false, fork},
		"new epoch at what was applied":        {applied{true, Position{Epoch: 2, Revision: 5}}, 3, 5, "h4", "x5", true, fork},
		"what the epoch before told last":      {applied5, 1, 6, "y5", "y6", true, duplicate},
		"epoch of applied not known":           {applied{true, Position{Revision: 5, Hash: "h5"}}, 3, 4, "h3", "h4", true, duplicate},
		"gap up to a new epoch":                {applied5, 3, 8, "x7", "x8", true, gap},
		"new epoch through a filter, later on": {applied5, 3, 8, "x7", "x8", false, next},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := Event{Epoch: test.epoch, Revision: test.revision, PrevHash: test.prev, Hash: test.hash}
			if got := test.applied.judge(e, test.everything); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

func TestLaneIsInOrderOfRevision(t *testing.T) {
	t.Parallel()
	l := lane{earlier: make(chan struct{}, 1)}
	var idle []bool
	for _, revision := range []int64{3, 5, 4, 4, 1} {
		idle = append(idle, l.add(&delivery{Event: Event{Revision: revision}}))
	}
	var order []int64
	for _, d := range l.waiting {
		order = append(order, d.Revision)
	}
	if fmt.Sprint(order, idle, len(l.earlier)) != "[1 3 4 4 5] [true false false false false] 1" {
		t.Errorf("order %v, idle %v, %d earlier", order, idle, len(l.earlier))
	}
}
