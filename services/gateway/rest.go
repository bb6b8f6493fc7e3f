package gateway

import (
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rosterhq/roster/pkg/fault"
)

// restOf reads what headers and query say about the request to a method.
func restOf(r *http.Request) (*rest, error) {
	said := &rest{mutation: r.Method != http.MethodGet && r.Method != http.MethodHead}
	var err error
	if said.query, err = url.ParseQuery(r.URL.RawQuery); err != nil {
		return nil, fault.Invalid("query", "is malformed")
	}
	for name, values := range said.query {
		if !utf8.ValidString(name) || !utf8.ValidString(strings.Join(values, "")) {
			return nil, fault.Invalid("query", "must be UTF-8")
		}
	}
	if said.requestID, err = single(r.Header, "Idempotency-Key"); err != nil {
		return nil, err
	}
	said.requestID = unquote(said.requestID)
	if said.etag, err = single(r.Header, "If-Match"); err != nil {
		return nil, err
	}
	if said.condition = said.etag != ""; said.etag == "*" { // whatever it is: our methods ask that anyway
		said.etag = ""
	}
	said.etag = unquote(strings.TrimPrefix(said.etag, "W/"))
	return said, nil
}

// single returns a header that stands at most once.
func single(h http.Header, name string) (string, error) {
	switch values := h.Values(name); {
	case len(values) == 0:
		return "", nil
	case len(values) > 1 || values[0] != printable(values[0], len(values[0])):
		return "", fault.Invalid(strings.ToLower(name), "must be one value of printable ASCII")
	default:
		return values[0], nil
	}
}

// unquote takes the quotes off, which both headers have in their standards and many clients leave out.
func unquote(text string) string {
	if len(text) >= 2 && text[0] == '"' && text[len(text)-1] == '"' {
		return text[1 : len(text)-1]
	}
	return text
}

// complete puts into a request what REST says in headers, and refuses what the method would overlook.
func (r *rest) complete(request protoreflect.Message) error {
	if r == nil {
		return nil
	}
	if err := r.checkQuery(request.Descriptor()); err != nil {
		return err
	}
	if !r.mutation {
		return nil
	}
	fields := request.Descriptor().Fields()
	if field := fields.ByName("request_id"); field != nil && r.requestID != "" && !request.Has(field) {
		request.Set(field, protoreflect.ValueOfString(r.requestID))
	}
	if r.etag == "" {
		return nil
	}
	field := fields.ByName("etag")
	switch {
	case field == nil:
		return fault.Invalid("if-match", "is not for this method: it takes no etag")
	case request.Has(field) && request.Get(field).String() != r.etag:
		return fault.Invalid("if-match", "differs from the etag in the request")
	}
	request.Set(field, protoreflect.ValueOfString(r.etag))
	return nil
}

// checkQuery refuses parameters that are not the method's: a filter with a slip of the pen is no filter.
func (r *rest) checkQuery(message protoreflect.MessageDescriptor) error {
	for name := range r.query {
		if r.hasBody || !hasField(message, strings.Split(name, ".")) {
			return fault.Invalid(shorten(name), "is not a query parameter of this method")
		}
	}
	return nil
}

func hasField(message protoreflect.MessageDescriptor, path []string) bool {
	for i, name := range path {
		if message == nil {
			return false
		}
		field := message.Fields().ByJSONName(name)
		if field == nil {
			field = message.Fields().ByName(protoreflect.Name(name))
		}
		if field == nil {
			return false
		}
		if message = field.Message(); i < len(path)-1 && message == nil {
			return false
		}
	}
	return true
}

// shorten keeps what a stranger wrote from filling an answer.
func shorten(text string) string {
	if len(text) > 64 {
		return strings.ToValidUTF8(text[:64], "") + "..."
	}
	return text
}
