package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/events"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

	"github.com/rosterhq/roster/services/internal/outbox"
)

// served is what the gateway serves.
const served = "../../gateway/asyncapi.json"

// golden is the JSON of every event, a line each, as the outbox writes it.
const golden = "../outbox/testdata/events.jsonl"

func TestDocument(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(served)
	require.NoError(t, err)
	document := parse(t, text)

	t.Run("it is what the protos and the outbox give", func(t *testing.T) {
		t.Parallel()
		again, err := write(eventv1.File_roster_event_v1_event_proto) // which has no comments
		require.NoError(t, err)
		require.Equal(t, withoutProse(parse(t, again)), withoutProse(parse(t, text)), "run make generate")
	})

	t.Run("every reference leads somewhere", func(t *testing.T) {
		t.Parallel()
		visit(document, func(o object) {
			if to, ok := o["$ref"].(string); ok {
				require.NotNil(t, at(document, to), to)
				require.True(t, len(o) == 1, "what stands beside %s is ignored", to)
			}
		})
	})

	t.Run("every type of event has its channel, operation and message", func(t *testing.T) {
		t.Parallel()
		for _, part := range []string{"#/channels", "#/operations", "#/components/messages"} {
			var described []string
			for name := range at(document, part).(object) {
				described = append(described, name)
			}
			require.ElementsMatch(t, events.Types(), described, part)
		}
		addresses := make(map[any]bool)
		for _, name := range events.Types() {
			channel := at(document, "#/channels/"+name).(object)
			require.Equal(t, object{name: object{"$ref": "#/components/messages/" + name}}, channel["messages"])
			require.Equal(t, "#/channels/"+name, at(document, "#/operations/"+name+"/channel/$ref"))
			addresses[channel["address"]] = true
			for parameter := range channel["parameters"].(object) {
				require.Contains(t, channel["address"], "{"+parameter+"}")
			}
			require.NotEmpty(t, channel["description"])
		}
		require.Len(t, addresses, len(events.Types()))
	})

	t.Run("every channel is in the stream that it names", func(t *testing.T) {
		t.Parallel()
		for _, name := range events.Types() {
			stream := at(document, "#/channels/"+name+"/x-jetstream/stream").(string)
			service := strings.TrimPrefix(at(document, "#/components/messages/"+name+"/payload/properties/source/const").(string), "/roster/")
			require.Equal(t, events.Stream(service), stream)
			noun, _, _ := strings.Cut(name, ".")
			require.Contains(t, at(document, "#/x-jetstream/streams/"+stream+"/subjects"), events.Root+noun+".>")
			require.Equal(t, outbox.StreamConfig(service, 3).MaxAge.Seconds(), at(document, "#/x-jetstream/streams/"+stream+"/maxAgeSeconds"))
		}
	})

	t.Run("everything of the protos is described in their words", func(t *testing.T) {
		t.Parallel()
		for name, schema := range at(document, "#/components/schemas").(object) {
			require.NotEmpty(t, schema.(object)["description"], name)
			properties, _ := schema.(object)["properties"].(object)
			for field, property := range properties {
				if _, fixed := property.(object)["const"]; !fixed {
					require.NotEmpty(t, property.(object)["description"], "%s.%s", name, field)
				}
			}
		}
		require.Equal(t, "The key of the role.", at(document, "#/components/schemas/Member/properties/role/description"))
		require.Contains(t, at(document, "#/info/description"), "the catalogue of what the suite publishes")
	})
}

func TestMessages(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(served)
	require.NoError(t, err)
	document := parse(t, text)
	schemas := jsonschema.NewCompiler()
	schemas.DefaultDraft(jsonschema.Draft7)
	schemas.AssertFormat()
	require.NoError(t, schemas.AddResource(served, document))
	compiled := func(t *testing.T, place string) *jsonschema.Schema {
		schema, err := schemas.Compile(served + place)
		require.NoError(t, err)
		return schema
	}
	headers := compiled(t, "#/components/messageTraits/published/headers")
	payload := make(map[string]*jsonschema.Schema)
	for _, name := range events.Types() {
		payload[name] = compiled(t, "#/components/messages/"+name+"/payload")
	}

	t.Run("what the outbox writes is valid, and all of it is described", func(t *testing.T) {
		t.Parallel()
		lines, err := os.ReadFile(golden)
		require.NoError(t, err)
		var seen []string
		for line := range bytes.Lines(lines) {
			event := parse(t, line)
			name := strings.TrimPrefix(event["type"].(string), events.Root)
			service, err := publisher(name)
			require.NoError(t, err)
			event["source"] = "/roster/" + service // these lines are as if one service published them all
			require.NoError(t, payload[name].Validate(event), name)
			require.Empty(t, undescribed(document, at(document, "#/components/messages/"+name+"/payload"), event), name)
			seen = append(seen, name)
		}
		require.ElementsMatch(t, events.Types(), seen)
	})

	t.Run("every example is valid, and can be read", func(t *testing.T) {
		t.Parallel()
		for _, name := range events.Types() {
			example := at(document, "#/components/messages/"+name+"/examples").([]any)[0].(object)
			require.NoError(t, payload[name].Validate(example["payload"]), name)
			require.NoError(t, headers.Validate(example["headers"]), name)
			require.Empty(t, undescribed(document, at(document, "#/components/messageTraits/published/headers"), example["headers"]), name)
			body, err := json.Marshal(example["payload"])
			require.NoError(t, err)
			event, err := events.Parse(body)
			require.NoError(t, err)
			_, err = event.Message()
			require.NoError(t, err)
			require.Equal(t, name, event.Type)
		}
	})

	t.Run("other messages are refused", func(t *testing.T) {
		t.Parallel()
		const name = "member.removed"
		for what, spoil := range map[string]func(object){
			"without a hash":      func(e object) { delete(e, "hash") },
			"of another type":     func(e object) { e["type"] = "roster.v1.member.added" },
			"of another service":  func(e object) { e["source"] = "/roster/billing" },
			"a number":            func(e object) { e["revision"] = 9 },
			"of nobody":           func(e object) { e["aggregate"] = "org_" },
			"a time in words":     func(e object) { e["time"] = "yesterday" },
			"a state of no enum":  func(e object) { e["data"].(object)["after"].(object)["state"] = "STATE_UNSPECIFIED" },
			"a field of no type":  func(e object) { e["data"].(object)["before"] = "member" },
			"a role in a nesting": func(e object) { e["data"].(object)["after"].(object)["role"] = object{} },
		} {
			event := parse(t, marshal(t, at(document, "#/components/messages/"+name+"/examples").([]any)[0].(object)["payload"]))
			spoil(event)
			require.Error(t, payload[name].Validate(event), what)
		}
	})
}

func parse(t *testing.T, text []byte) object {
	t.Helper()
	var o object
	require.NoError(t, json.Unmarshal(text, &o))
	return o
}

func marshal(t *testing.T, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	require.NoError(t, err)
	return text
}

// at follows a reference inside a document, nil when it leads nowhere.
func at(document object, reference string) any {
	var place any = document
	for _, name := range strings.Split(reference, "/")[1:] {
		inside, ok := place.(object)
		if !ok {
			return nil
		}
		place = inside[name]
	}
	return place
}

// visit calls do with every object of a value.
func visit(value any, do func(object)) {
	switch value := value.(type) {
	case object:
		do(value)
		for _, inside := range value {
			visit(inside, do)
		}
	case []any:
		for _, inside := range value {
			visit(inside, do)
		}
	}
}

// withoutProse takes away what comes from comments.
func withoutProse(document object) object {
	visit(document, func(o object) {
		for _, key := range []string{"description", "summary"} {
			if _, prose := o[key].(string); prose {
				delete(o, key)
			}
		}
	})
	return document
}

// undescribed lists the properties of a value, at any depth, that its schema does not name.
func undescribed(document object, schema, value any) (unknown []string) {
	switch value := value.(type) {
	case []any:
		for _, item := range value {
			unknown = append(unknown, undescribed(document, schema.(object)["items"], item)...)
		}
	case object:
		for name, inside := range value {
			described := propertiesOf(document, schema, name)
			if len(described) == 0 {
				unknown = append(unknown, name)
				continue
			}
			unknown = append(unknown, undescribed(document, described[0], inside)...)
		}
	}
	return unknown
}

// propertiesOf finds a property in a schema and in those that it builds on, the most telling first.
func propertiesOf(document object, schema any, name string) (found []any) {
	o, _ := schema.(object)
	if to, ok := o["$ref"].(string); ok {
		return propertiesOf(document, at(document, to), name)
	}
	properties, _ := o["properties"].(object)
	if property, ok := properties[name]; ok {
		found = append(found, property)
	}
	parts, _ := o["allOf"].([]any)
	for _, part := range parts {
		found = append(found, propertiesOf(document, part, name)...)
	}
	return found
}
