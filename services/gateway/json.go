package gateway

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/rosterhq/roster/pkg/fault"
)

// marshaler is proto3 JSON that overlooks nothing: an unknown field is an error, and so is anything that follows
// the request.
type marshaler struct{ *runtime.JSONPb }

func newMarshaler() marshaler {
	return marshaler{&runtime.JSONPb{MarshalOptions: protojson.MarshalOptions{EmitUnpopulated: true}}}
}

// ContentType is that of an answer: a file says it itself.
func (m marshaler) ContentType(answer any) string {
	if file, ok := answer.(*httpbody.HttpBody); ok {
		return file.GetContentType()
	}
	return m.JSONPb.ContentType(answer)
}

// Delimiter stands between the messages of a stream: nothing, since those that we have are parts of a file.
func (marshaler) Delimiter() []byte { return nil }

// body is a request's body, read already. It leads from the decoder, which generated code calls, to the call.
type body struct {
	text []byte
	call *call
}

func (b *body) Read(p []byte) (int, error) {
	if len(b.text) == 0 {
		return 0, io.EOF
	}
	n := copy(p, b.text)
	b.text = b.text[n:]
	return n, nil
}

func (b *body) Close() error { return nil }

func (m marshaler) NewDecoder(r io.Reader) runtime.Decoder {
	b, ok := r.(*body)
	if !ok {
		return m.JSONPb.NewDecoder(r)
	}
	return runtime.DecoderFunc(func(v any) error {
		message, ok := v.(proto.Message)
		if !ok { // of a route whose body is not "*"; there is none
			return fmt.Errorf("decode %T", v)
		}
		text := b.text
		b.text = nil
		if len(bytes.TrimSpace(text)) == 0 {
			return io.EOF // generated code takes it for the empty request
		}
		b.call.body = protojson.Unmarshal(text, message)
		return b.call.body
	})
}

// What protojson says: the line and column, and what is wrong with which field.
var (
	position     = regexp.MustCompile(`\(line (\d+):(\d+)\)`)
	unknownField = regexp.MustCompile(`unknown field "([^"]*)"`)
	repeated     = regexp.MustCompile(`duplicate field "([^"]*)"`)
	wrongType    = regexp.MustCompile(`invalid value for \S+ (?:type|field (\w+)): `)
	queryField   = regexp.MustCompile(`(?:parsing (?:field|list)|too many values for field) "(\w+)"`)
)

// unread says why a request could not be read. The decoders' words are not for clients: they name our types, and
// may change.
func (c *call) unread(err error) error {
	if c.body == nil {
		if status.Code(err) != codes.InvalidArgument {
			return err
		}
		if found := queryField.FindStringSubmatch(err.Error()); found != nil {
			return fault.Invalid(found[1], "has a value of another type than the parameter")
		}
		return fault.Invalid("query", "is not valid for this method")
	}
	// protojson puts a no-break space into its words, so that nobody relies on them. A test does for us.
	says := strings.ReplaceAll(c.body.Error(), "\u00a0", " ")
	switch {
	case unknownField.MatchString(says):
		return fault.Invalid(shorten(unknownField.FindStringSubmatch(says)[1]), "is not a field of this request")
	case repeated.MatchString(says):
		return fault.Invalid(shorten(repeated.FindStringSubmatch(says)[1]), "is given twice")
	}
	where, what := "body", "does not fit this request"
	if strings.Contains(says, "syntax error") || strings.Contains(says, "unexpected token") {
		what = "is not valid JSON of this request"
	}
	if found := wrongType.FindStringSubmatch(says); found != nil {
		what = "has a value of another type than the field"
		if found[1] != "" {
			where = found[1]
		}
	}
	if at := position.FindStringSubmatch(says); at != nil {
		what += fmt.Sprintf(", at line %s, column %s", at[1], at[2])
	}
	return fault.Invalid(where, what)
}
