package gateway

import (
	"encoding/json"
	"fmt"
	"math"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/caller"
)

const problemType = "application/problem+json"

var errInternal = fault.New(errorv1.Reason_REASON_INTERNAL, "Something failed on our side. Tell support the request id.")

// refuse answers with an error: in JSON to programs, as a page to people. It is the only way out for one.
func (e *edge) refuse(w http.ResponseWriter, r *http.Request, err error) {
	f := e.faultOf(r, err)
	if !isAPI(r.URL.Path) && accepts(r.Header, "text/html") {
		e.refusePage(w, r, f)
		return
	}
	e.refuseJSON(w, r, f, callFrom(r.Context()).httpStatus(f))
}

// refuseMethod answers 405, for a path that knows other methods.
func (e *edge) refuseMethod(w http.ResponseWriter, r *http.Request, allowed []string) {
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	f := e.faultOf(r, fault.New(errorv1.Reason_REASON_ROUTE_NOT_FOUND, "The path does not know this method; it knows "+strings.Join(allowed, ", ")+"."))
	e.refuseJSON(w, r, f, http.StatusMethodNotAllowed)
}

// faultOf returns the fault that the client gets, and tells the log about it. A fault passes as it is; the words
// of anything else stay with us.
func (e *edge) faultOf(r *http.Request, err error) *fault.Fault {
	c := callFrom(r.Context())
	f := fault.From(err)
	if f == nil {
		switch status.Code(err) {
		case codes.Unavailable:
			f = fault.New(errorv1.Reason_REASON_UNAVAILABLE, "A part of the suite does not answer. Try again.").WithRetry(time.Second)
		case codes.DeadlineExceeded:
			f = fault.New(errorv1.Reason_REASON_DEADLINE_EXCEEDED, "The call took too long. It may have been done all the same.")
		case codes.Canceled:
			f = fault.New(errorv1.Reason_REASON_CANCELLED, "The caller went away.")
		default:
			f = errInternal
		}
	}
	if f.HTTPStatus() >= http.StatusInternalServerError {
		c.note(err)
	}
	if f.Reason == errorv1.Reason_REASON_INTERNAL {
		f = f.With("requestId", caller.TraceID(r.Context()))
	}
	c.reason = f.Name()
	return f
}

// httpStatus returns the HTTP status of a fault in answer to this call.
func (c *call) httpStatus(f *fault.Fault) int {
	if f.Reason == errorv1.Reason_REASON_ETAG_MISMATCH && c.rest != nil && c.rest.condition {
		return http.StatusPreconditionFailed
	}
	return f.HTTPStatus()
}

func (e *edge) refuseJSON(w http.ResponseWriter, r *http.Request, f *fault.Fault, code int) {
	h := w.Header()
	h.Del("Content-Length") // of an answer that did not come
	setRetry(h, f)
	if code == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", challenge(f))
	}
	var text []byte
	var err error
	if callFrom(r.Context()).wantsProblem {
		h.Set("Content-Type", problemType)
		text, err = json.Marshal(e.problemOf(r, f, code))
	} else {
		h.Set("Content-Type", "application/json")
		text, err = protojson.Marshal(f.GRPCStatus().Proto())
	}
	if err != nil { // a message that is not UTF-8
		callFrom(r.Context()).note(err)
		code, text = http.StatusInternalServerError, []byte(`{"code":13,"message":"internal error","details":[]}`)
	}
	w.WriteHeader(code)
	_, _ = w.Write(text) // it fails only if the client has left
}

// challenge is how to be let in, as RFC 6750 says it and, of whoever is signed in, RFC 9470.
func challenge(f *fault.Fault) string {
	if f.Reason != errorv1.Reason_REASON_STEP_UP_REQUIRED {
		return "Bearer"
	}
	minutes, _ := strconv.Atoi(f.Metadata["minutes"])
	return fmt.Sprintf(`Bearer error="insufficient_user_authentication", max_age=%d`, minutes*60)
}

// setRetry says when to try again, in whole seconds.
func setRetry(h http.Header, f *fault.Fault) {
	if f.Retry > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(f.Retry.Seconds()))))
	}
}

// problem is an error as RFC 9457 has it.
type problem struct {
	Type       string            `json:"type"`
	Title      string            `json:"title"`
	Status     int               `json:"status"`
	Detail     string            `json:"detail"`
	Instance   string            `json:"instance"` // the request id
	Reason     string            `json:"reason"`
	Metadata   map[string]string `json:"metadata,omitempty"`
	Violations []violation       `json:"violations,omitempty"`
	Help       string            `json:"help,omitempty"`
}

type violation struct {
	Field       string `json:"field"`
	Description string `json:"description"`
}

func (e *edge) problemOf(r *http.Request, f *fault.Fault, code int) problem {
	p := problem{
		Type:     e.PublicURL + "/docs/errors#" + f.Name(),
		Title:    titleOf(f.Name()),
		Status:   code,
		Detail:   f.Message,
		Instance: caller.TraceID(r.Context()),
		Reason:   f.Name(),
		Metadata: f.Metadata,
		Help:     f.Help,
	}
	for _, field := range f.Fields {
		p.Violations = append(p.Violations, violation{field.Name, field.Reason})
	}
	return p
}

// titleOf says a reason in words: SEAT_LIMIT_REACHED is "Seat limit reached".
func titleOf(reason string) string {
	words := strings.ToLower(strings.ReplaceAll(reason, "_", " "))
	return strings.ToUpper(words[:1]) + words[1:]
}

// accepts tells whether the client names a media type among those that it takes.
func accepts(h http.Header, media string) bool {
	for option := range strings.SplitSeq(strings.Join(h.Values("Accept"), ","), ",") {
		named, parameters, err := mime.ParseMediaType(option)
		if err != nil || named != media {
			continue
		}
		quality, err := strconv.ParseFloat(parameters["q"], 64)
		return err != nil || quality > 0
	}
	return false
}
