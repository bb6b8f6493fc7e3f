// Package rest carries the calls of generated gRPC clients over the REST edge, by the routes in the protos. Programs that
// try the suite out use both edges with one piece of code.
package rest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/api/annotations"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Conn calls a gateway. Whoever makes one gives it the address, and the credential of whoever calls.
type Conn struct {
	URL   string // without a slash at the end
	Token string // a session's token or an API key; empty: anybody
	HTTP  *http.Client
}

var _ grpc.ClientConnInterface = (*Conn)(nil)

// Invoke sends one call as the HTTP request that its google.api.http rule describes.
func (c *Conn) Invoke(ctx context.Context, method string, args, reply any, _ ...grpc.CallOption) error {
	resp, err := c.do(ctx, method, args.(proto.Message))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.Header.Get("Content-Type") != "application/json" {
		fillPart(reply.(proto.Message), resp.Header, text)
		return nil
	}
	return protojson.Unmarshal(text, reply.(proto.Message))
}

// do sends the request, and returns the answer unless it is a refusal.
func (c *Conn) do(ctx context.Context, method string, request proto.Message) (*http.Response, error) {
	verb, path, body, err := render(method, request)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, verb, c.URL+path, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	resp, err := c.HTTP.Do(req)
	if err != nil || resp.StatusCode == http.StatusOK {
		return resp, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	var refused statuspb.Status
	if err := protojson.Unmarshal(text, &refused); err != nil {
		return nil, fmt.Errorf("%s %s: %d without a status: %s", verb, path, resp.StatusCode, text)
	}
	if codes.Code(refused.GetCode()) == codes.OK {
		return nil, fmt.Errorf("%s %s: %d with the code OK", verb, path, resp.StatusCode)
	}
	return nil, &Error{HTTPStatus: resp.StatusCode, Status: status.FromProto(&refused)}
}

// Error is a refusal with the HTTP status that it came with.
type Error struct {
	HTTPStatus int
	*status.Status
}

func (e *Error) Error() string { return e.Err().Error() }

// GRPCStatus is the refusal as a gRPC client gets it.
func (e *Error) GRPCStatus() *status.Status { return e.Status }

// render finds the method's route and fills it: path fields into the path, the rest into the body or the query.
func render(method string, request proto.Message) (verb, path string, body io.Reader, err error) {
	name := protoreflect.FullName(strings.ReplaceAll(strings.TrimPrefix(method, "/"), "/", "."))
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	if err != nil {
		return "", "", nil, err
	}
	rule := proto.GetExtension(found.Options(), annotations.E_Http).(*annotations.HttpRule)
	switch pattern := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		verb, path = http.MethodGet, pattern.Get
	case *annotations.HttpRule_Post:
		verb, path = http.MethodPost, pattern.Post
	case *annotations.HttpRule_Put:
		verb, path = http.MethodPut, pattern.Put
	case *annotations.HttpRule_Patch:
		verb, path = http.MethodPatch, pattern.Patch
	case *annotations.HttpRule_Delete:
		verb, path = http.MethodDelete, pattern.Delete
	default:
		return "", "", nil, fmt.Errorf("%s has no route", method)
	}
	rest := proto.Clone(request).ProtoReflect()
	fields := rest.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		slot := "{" + string(field.Name()) + "}"
		if strings.Contains(path, slot) {
			path = strings.ReplaceAll(path, slot, url.PathEscape(rest.Get(field).String()))
			rest.Clear(field)
		}
	}
	if rule.GetBody() == "*" {
		text, err := protojson.Marshal(rest.Interface())
		return verb, path, bytes.NewReader(text), err
	}
	if query := queryOf(rest); query != "" {
		path += "?" + query
	}
	return verb, path, nil, nil
}

func queryOf(message protoreflect.Message) string {
	values := url.Values{}
	text := func(field protoreflect.FieldDescriptor, v protoreflect.Value) string {
		switch {
		case field.Enum() != nil:
			return string(field.Enum().Values().ByNumber(v.Enum()).Name())
		case field.Message() != nil: // a time or a duration, which JSON has as a string
			return strings.Trim(protojson.Format(v.Message().Interface()), `"`)
		}
		if field.Message() != nil {
			if at, ok := v.Message().Interface().(*timestamppb.Timestamp); ok {
				return at.AsTime().Format(time.RFC3339Nano)
			}
		}
		return v.String()
	}
	message.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if field.IsList() {
			for i := range v.List().Len() {
				values.Add(field.JSONName(), text(field, v.List().Get(i)))
			}
			return true
		}
		values.Set(field.JSONName(), text(field, v))
		return true
	})
	return values.Encode()
}
