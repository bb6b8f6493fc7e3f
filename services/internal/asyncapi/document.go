package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/rosterhq/roster/pkg/events"

	"github.com/rosterhq/roster/services/internal/outbox"
)

// object is a JSON object. Its keys are written in alphabetical order.
type object = map[string]any

// document is an AsyncAPI document while it is made.
type document struct {
	text     object
	file     protoreflect.FileDescriptor
	schemas  object
	messages object
}

// newDocument describes a channel per type of event, with its one message.
func newDocument(file protoreflect.FileDescriptor) (*document, error) {
	d := &document{file: file, schemas: object{"Event": envelope}, messages: object{}}
	channels, operations := object{}, object{}
	for message := range eventsOf(file) {
		name := events.TypeOf(dynamicpb.NewMessage(message))
		service, err := publisher(name)
		if err != nil {
			return nil, err
		}
		d.messages[name], err = d.message(message, name, service)
		if err != nil {
			return nil, err
		}
		aggregate := "organization_id"
		if service == "identity" {
			aggregate = "account_id"
		}
		channels[name] = object{
			"title":       string(message.Name()),
			"description": d.comment(message),
			"address":     events.Root + name + ".{partition}.{" + aggregate + "}",
			"parameters":  object{"partition": ref("parameters", "partition"), aggregate: ref("parameters", aggregate)},
			"messages":    object{name: ref("messages", name)},
			"x-jetstream": object{"stream": events.Stream(service)},
		}
		operations[name] = object{
			"action":   "send",
			"summary":  "Roster's " + service + " service publishes " + name + ".",
			"channel":  object{"$ref": "#/channels/" + name},
			"messages": []any{object{"$ref": "#/channels/" + name + "/messages/" + name}},
		}
	}
	streams := object{}
	for _, service := range events.Services() {
		streams[events.Stream(service)] = facts(outbox.StreamConfig(service, 0))
	}
	d.text = object{
		"asyncapi": "3.1.0",
		"info": object{
			"title":       "Roster events",
			"version":     "v1",
			"description": prose(file.SourceLocations().ByPath(protoreflect.SourcePath{packageField}).LeadingComments),
			"license":     object{"name": "Apache-2.0"},
		},
		"defaultContentType": "application/cloudevents+json",
		"channels":           channels,
		"operations":         operations,
		"components": object{
			"messages": d.messages,
			"schemas":  d.schemas,
			"parameters": object{
				"partition":       object{"description": "One of 64 parts that organizations and accounts are spread over, from 00 to 63."},
				"organization_id": object{"description": "The organization, org_...", "examples": []any{exampleOrganization.String()}},
				"account_id":      object{"description": "The account, acc_...", "examples": []any{exampleAccount.String()}},
			},
			"messageTraits": object{"published": object{"contentType": "application/cloudevents+json", "headers": headers}},
		},
		"x-jetstream": object{
			"description": "One stream per service holds its channels. A message is stored at least once: its id is the same every time, and so are its bytes. " +
				"ROSTER_NATS_REPLICAS says how many copies there are, 3 by default.",
			"messageId": "<service>:<organization or account>:<epoch>:<revision>",
			"streams":   streams,
		},
	}
	return d, nil
}

const packageField = 2 // of FileDescriptorProto

// eventsOf are the messages that are events: they tell their origin.
func eventsOf(file protoreflect.FileDescriptor) func(func(protoreflect.MessageDescriptor) bool) {
	return func(yield func(protoreflect.MessageDescriptor) bool) {
		all := file.Messages()
		for i := range all.Len() {
			if all.Get(i).Fields().ByName("context") != nil && !yield(all.Get(i)) {
				return
			}
		}
	}
}

// publisher finds the service whose stream holds a type of event.
func publisher(name string) (string, error) {
	noun, _, _ := strings.Cut(name, ".")
	for _, service := range events.Services() {
		if slices.Contains(events.Subjects(service), events.Root+noun+".>") {
			return service, nil
		}
	}
	return "", fmt.Errorf("no service publishes %s", name)
}

func ref(kind, name string) object { return object{"$ref": "#/components/" + kind + "/" + name} }

// facts is what readers of a stream should know of it.
func facts(c jetstream.StreamConfig) object {
	return object{
		"subjects":         c.Subjects,
		"storage":          strings.ToLower(c.Storage.String()),
		"compression":      c.Compression.String(),
		"retention":        strings.ToLower(c.Retention.String()),
		"discard":          strings.ToLower(strings.TrimPrefix(c.Discard.String(), "Discard")),
		"maxAgeSeconds":    int64(c.MaxAge.Seconds()),
		"maxMessageBytes":  c.MaxMsgSize,
		"duplicateSeconds": int64(c.Duplicates.Seconds()),
		"denyDelete":       c.DenyDelete,
		"denyPurge":        c.DenyPurge,
	}
}

// message describes an event: the envelope with the data of its type.
func (d *document) message(of protoreflect.MessageDescriptor, name, service string) (object, error) {
	example, err := exampleOf(of, name, service)
	if err != nil {
		return nil, err
	}
	return object{
		"name":    name,
		"title":   string(of.Name()),
		"summary": d.comment(of),
		"traits":  []any{ref("messageTraits", "published")},
		"payload": object{
			"allOf": []any{ref("schemas", "Event")},
			"properties": object{
				"source": object{"const": "/roster/" + service},
				"type":   object{"const": events.Root + name},
				"data":   d.schema(of),
			},
		},
		"examples": []any{example},
	}, nil
}
