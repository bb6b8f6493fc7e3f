package server

import (
	"errors"
	"strings"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rosterhq/roster/pkg/fault"
)

// maxViolations is how many an answer names: it travels in headers, which proxies keep short.
const maxViolations = 20

// validate holds a request against the rules in its proto.
func validate(req any) error {
	message, ok := req.(proto.Message)
	if !ok {
		return nil
	}
	err := protovalidate.Validate(message)
	var invalid *protovalidate.ValidationError
	if !errors.As(err, &invalid) {
		if field := unstorable(message.ProtoReflect()); field != "" && err == nil {
			return fault.Invalid(field, "must not have the character U+0000")
		}
		return err
	}
	fields := make([]fault.Field, 0, maxViolations)
	for _, v := range invalid.Violations[:min(len(invalid.Violations), maxViolations)] {
		reason := v.Proto.GetMessage()
		if reason == "" {
			reason = v.Proto.GetRuleId()
		}
		fields = append(fields, fault.Field{Name: protovalidate.FieldPathString(v.Proto.GetField()), Reason: reason})
	}
	return fault.InvalidFields(fields...)
}

// unstorable names a field whose text has a character that no database keeps. What no password has is as wrong as every other.
func unstorable(m protoreflect.Message) (field string) {
	has := func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch fd.Kind() {
		case protoreflect.StringKind:
			return strings.ContainsRune(v.String(), 0) && !strings.HasSuffix(string(fd.Name()), "password")
		case protoreflect.MessageKind, protoreflect.GroupKind:
			return unstorable(v.Message()) != ""
		}
		return false
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		found := false
		switch {
		case fd.IsMap():
			v.Map().Range(func(key protoreflect.MapKey, value protoreflect.Value) bool {
				found = has(fd.MapKey(), key.Value()) || has(fd.MapValue(), value)
				return !found
			})
		case fd.IsList():
			for i := range v.List().Len() {
				found = found || has(fd, v.List().Get(i))
			}
		default:
			found = has(fd, v)
		}
		if found {
			field = string(fd.Name())
		}
		return !found
	})
	return field
}
