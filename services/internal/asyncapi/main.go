// Command asyncapi writes the reference of the events, as an AsyncAPI document, from the descriptor of roster.event.v1 and
// from what the outbox publishes. It is run by `make generate`; the gateway serves what it writes.
//
//	asyncapi DESCRIPTORS SPECIFICATION
//
// DESCRIPTORS is a set with source information, as buf builds it: comments become descriptions. SPECIFICATION is the
// JSON Schema of AsyncAPI; a document that it refuses is not written.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: asyncapi DESCRIPTORS SPECIFICATION")
		os.Exit(2)
	}
	text, err := generate(os.Args[1], os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, "asyncapi:", err)
		os.Exit(1)
	}
	os.Stdout.Write(text)
}

func generate(descriptors, specification string) ([]byte, error) {
	binary, err := os.ReadFile(descriptors)
	if err != nil {
		return nil, err
	}
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(binary, &set); err != nil {
		return nil, fmt.Errorf("%s: %w", descriptors, err)
	}
	files, err := protodesc.NewFiles(&set)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", descriptors, err)
	}
	file, err := files.FindFileByPath(eventv1.File_roster_event_v1_event_proto.Path())
	if err != nil {
		return nil, err
	}
	text, err := write(file)
	if err != nil {
		return nil, err
	}
	return text, validate(text, specification)
}

// validate holds a document against the JSON Schema of AsyncAPI.
func validate(text []byte, specification string) error {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft7)
	schema, err := compiler.Compile(specification)
	if err != nil {
		return err
	}
	return schema.Validate(document)
}

// write encodes the document of a file of events.
func write(file protoreflect.FileDescriptor) ([]byte, error) {
	d, err := newDocument(file)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // descriptions are prose
	encoder.SetIndent("", "  ")
	err = encoder.Encode(d.text)
	return text.Bytes(), err
}
