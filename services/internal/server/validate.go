package server

import (
	"errors"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"

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
