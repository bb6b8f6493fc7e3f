package events

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"unicode"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
)

// Root is what every subject, and the CloudEvents type of every event, begins with.
const Root = "roster.v1."

// nouns says what each service publishes events about.
var nouns = map[string][]string{
	"membership": {"organization", "member", "role", "group", "project", "domain", "provider"},
	"invitation": {"invitation"},
	"billing":    {"seat", "subscription"},
	"identity":   {"account", "session"},
}

// Services are the services that publish, in alphabetical order.
func Services() []string { return slices.Sorted(maps.Keys(nouns)) }

// Stream is the name of a service's stream.
func Stream(service string) string { return "ROSTER_" + strings.ToUpper(service) }

// Rebuilt is the key in the metadata of a stream that was made from the log, after another had been lost.
const Rebuilt = "roster-rebuilt"

// Subjects are what the stream of a service holds, nil when there is no such service.
func Subjects(service string) []string {
	var subjects []string
	for _, noun := range nouns[service] {
		subjects = append(subjects, Root+noun+".>")
	}
	return subjects
}

// Types are the types of all events that this version knows, in alphabetical order.
func Types() []string { return slices.Sorted(maps.Keys(messages())) }

// messages finds the message of each type. Events are the messages that tell their origin.
var messages = sync.OnceValue(func() map[string]protoreflect.MessageType {
	found := make(map[string]protoreflect.MessageType)
	all := eventv1.File_roster_event_v1_event_proto.Messages()
	for i := range all.Len() {
		if all.Get(i).Fields().ByName("context") == nil {
			continue
		}
		message, err := protoregistry.GlobalTypes.FindMessageByName(all.Get(i).FullName())
		if err != nil {
			panic(err) // the generated code registers it
		}
		found[typeOf(all.Get(i))] = message
	}
	return found
})

// TypeOf is the type of the event that a message of roster.event.v1 tells: member.role_changed for MemberRoleChanged.
func TypeOf(message proto.Message) string { return typeOf(message.ProtoReflect().Descriptor()) }

func typeOf(message protoreflect.MessageDescriptor) string {
	var words []string
	for _, r := range string(message.Name()) {
		if unicode.IsUpper(r) {
			words = append(words, "")
		}
		words[len(words)-1] += string(unicode.ToLower(r))
	}
	return words[0] + "." + strings.Join(words[1:], "_")
}
