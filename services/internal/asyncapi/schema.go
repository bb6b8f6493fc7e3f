package main

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rosterhq/roster/pkg/events"
)

const (
	anID     = `[0-7][0-9a-hjkmnp-tv-z]{25}$` // Crockford's base32
	aHash    = `^[0-9a-f]{64}$`
	aNumber  = `^[0-9]+$`
	aTraceID = `^[0-9a-f]{32}$`
)

// envelope is what outbox.Entry writes around the data of every event.
var envelope = object{
	"type":        "object",
	"description": "The envelope of every event, CloudEvents 1.0. Ignore attributes that you do not know.",
	"required":    []any{"specversion", "id", "source", "type", "time", "datacontenttype", "aggregate", "revision", "epoch", "prevhash", "hash", "data"},
	"properties": object{
		"specversion":     object{"const": "1.0", "description": "The version of CloudEvents."},
		"id":              text("The event. Whoever has seen it may drop it.", "^evt_"+anID),
		"source":          text("The service that published it.", "^/roster/[a-z]+$"),
		"type":            text("What happened.", `^roster\.v1\.[a-z]+\.[a-z_]+$`),
		"time":            object{"type": "string", "format": "date-time", "description": "When, by the clock of the database."},
		"datacontenttype": object{"const": "application/json"},
		"aggregate":       text("Whose history it belongs to: the organization, or the account in events of the identity service.", "^(org|acc)_"+anID),
		"revision":        text("Its place in that history: 1, 2, 3 and so on, without a gap per service and aggregate.", "^[1-9][0-9]*$"),
		"epoch":           text("Rises when the service's database was promoted after a failure.", aNumber),
		"prevhash":        text("The hash of the revision before, zeros at the first.", aHash),
		"hash":            text("The hash of this revision, which covers the one before.", aHash),
		"traceid":         text("The trace of the call that caused it, if it had one.", aTraceID),
		"data":            object{"type": "object", "description": "What the type says, as proto3 JSON: what is absent has its zero value."},
	},
}

// headers are what outbox.Entry repeats for filters.
var headers = object{
	"type": "object",
	"required": []any{"Nats-Msg-Id", "Content-Type", events.HeaderID, events.HeaderType, events.HeaderAggregate, events.HeaderRevision,
		events.HeaderEpoch, events.HeaderPrevHash},
	"properties": object{
		"Nats-Msg-Id":          text("Service, aggregate, epoch and revision: the same every time that the event is published.", `^[a-z]+:(org|acc)_[0-9a-z]+:[0-9]+:[0-9]+$`),
		"Content-Type":         object{"const": "application/cloudevents+json"},
		events.HeaderID:        text("As id in the envelope.", "^evt_"+anID),
		events.HeaderType:      text("As type in the envelope, without roster.v1.", `^[a-z]+\.[a-z_]+$`),
		events.HeaderAggregate: text("As aggregate in the envelope.", "^(org|acc)_"+anID),
		events.HeaderRevision:  text("As revision in the envelope.", "^[1-9][0-9]*$"),
		events.HeaderEpoch:     text("As epoch in the envelope.", aNumber),
		events.HeaderPrevHash:  text("As prevhash in the envelope.", aHash),
		"traceparent":          text("W3C trace context, when the event has a trace.", "^00-[0-9a-f]{32}-[0-9a-f]{16}-01$"),
	},
}

func text(description, pattern string) object {
	return object{"type": "string", "description": description, "pattern": pattern}
}

// schema refers to a message, and describes it when nobody did yet. Nothing is required: proto3 JSON leaves out what has
// its zero value. Fields may be added, so others are not refused.
func (d *document) schema(of protoreflect.MessageDescriptor) object {
	name := d.name(of)
	if _, done := d.schemas[name]; !done {
		properties := object{}
		d.schemas[name] = object{"type": "object", "description": d.comment(of), "properties": properties}
		for i := range of.Fields().Len() {
			field := of.Fields().Get(i)
			properties[field.JSONName()] = d.property(field)
		}
	}
	return ref("schemas", name)
}

// name of a schema: Member, or Member.State for what is declared inside.
func (d *document) name(of protoreflect.Descriptor) string {
	return strings.TrimPrefix(string(of.FullName()), string(d.file.Package())+".")
}

func (d *document) property(field protoreflect.FieldDescriptor) object {
	value := d.value(field)
	if field.IsList() {
		value = object{"type": "array", "items": value}
	}
	if value["$ref"] != nil { // nothing may stand beside it
		value = object{"allOf": []any{value}}
	}
	value["description"] = d.comment(field)
	return value
}

// value is how proto3 JSON writes the field, or one of the list.
func (d *document) value(field protoreflect.FieldDescriptor) object {
	switch field.Kind() {
	case protoreflect.MessageKind:
		if field.Message().FullName() == "google.protobuf.Timestamp" {
			return object{"type": "string", "format": "date-time"}
		}
		return d.schema(field.Message())
	case protoreflect.EnumKind:
		return d.enum(field.Enum())
	case protoreflect.BoolKind:
		return object{"type": "boolean"}
	case protoreflect.Int32Kind:
		return object{"type": "integer", "format": "int32"}
	case protoreflect.Int64Kind:
		return object{"type": "string", "format": "int64", "pattern": `^-?[0-9]+$`}
	case protoreflect.StringKind:
		return object{"type": "string"}
	}
	panic(string(field.FullName()) + " is of a kind that events do not have yet")
}

// enum refers to an enum. Its first value means that nothing was given, and is never written.
func (d *document) enum(of protoreflect.EnumDescriptor) object {
	name := d.name(of)
	if _, done := d.schemas[name]; !done {
		var values []any
		says := d.comment(of)
		for i := 1; i < of.Values().Len(); i++ {
			value := of.Values().Get(i)
			values = append(values, string(value.Name()))
			says += "\n- " + string(value.Name()) + ": " + d.comment(value)
		}
		d.schemas[name] = object{"type": "string", "enum": values, "description": says}
	}
	return ref("schemas", name)
}

func (d *document) comment(of protoreflect.Descriptor) string {
	return prose(d.file.SourceLocations().ByDescriptor(of).LeadingComments)
}

// prose takes a comment for the paragraph that it is.
func prose(comment string) string { return strings.Join(strings.Fields(comment), " ") }
