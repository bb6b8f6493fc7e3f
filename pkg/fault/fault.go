// Package fault is how the suite refuses: a reason for programs, a message for people, and the details
// that help. A fault crosses gRPC as google.rpc.Status and comes out the other side as the same fault.
package fault

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
)

// Domain is the domain of every ErrorInfo.
const Domain = "roster"

// Reason is the machine-readable cause.
type Reason = errorv1.Reason

// Fault is a refusal. Compare with errors.Is: two faults are the same when their reasons are.
type Fault struct {
	Reason   Reason
	Message  string            // a sentence that says what to do
	Metadata map[string]string // what the message names, for programs; keys in lowerCamelCase
	Fields   []Field           // what is wrong with the request, or in its way
	Help     string            // where to go on, a URL
	Retry    time.Duration     // when to try again; 0: waiting does not help
}

// Field is one thing that is wrong with a request, or in its way.
type Field struct {
	Name   string // path of the field, as in the proto
	Reason string
}

// New returns a fault.
func New(reason Reason, message string) *Fault { return &Fault{Reason: reason, Message: message} }

// Newf returns a fault with a formatted message.
func Newf(reason Reason, format string, args ...any) *Fault {
	return New(reason, fmt.Sprintf(format, args...))
}

// Invalid returns VALIDATION_FAILED on one field.
func Invalid(field, reason string) *Fault {
	return InvalidFields(Field{Name: field, Reason: reason})
}

// InvalidFields returns VALIDATION_FAILED.
func InvalidFields(fields ...Field) *Fault {
	said := make([]string, len(fields))
	for i, f := range fields {
		said[i] = strings.TrimSpace(f.Name + " " + f.Reason)
	}
	return &Fault{
		Reason:  errorv1.Reason_REASON_VALIDATION_FAILED,
		Message: "The request is not valid: " + strings.Join(said, "; ") + ".",
		Fields:  fields,
	}
}

// With returns a copy with one more metadata entry.
func (f *Fault) With(key, value string) *Fault {
	c := *f
	c.Metadata = maps.Clone(f.Metadata)
	if c.Metadata == nil {
		c.Metadata = make(map[string]string, 1)
	}
	c.Metadata[key] = value
	return &c
}

// WithHelp returns a copy that links to where the caller can go on.
func (f *Fault) WithHelp(url string) *Fault {
	c := *f
	c.Help = url
	return &c
}

// WithRetry returns a copy that says when to try again.
func (f *Fault) WithRetry(after time.Duration) *Fault {
	c := *f
	c.Retry = after
	return &c
}

func (f *Fault) Error() string { return f.Name() + ": " + f.Message }

// Is makes errors.Is compare reasons.
func (f *Fault) Is(target error) bool {
	other, ok := target.(*Fault)
	return ok && other.Reason == f.Reason
}

// Name is the reason as it travels: without its prefix.
func (f *Fault) Name() string { return strings.TrimPrefix(f.Reason.String(), "REASON_") }

// Code is the gRPC code of the fault.
func (f *Fault) Code() codes.Code { return kindOf(f.Reason).code }

// HTTPStatus is the HTTP status of the fault.
func (f *Fault) HTTPStatus() int { return kindOf(f.Reason).http }

// GRPCStatus makes grpc send the fault with its details.
func (f *Fault) GRPCStatus() *status.Status {
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: f.Name(), Domain: Domain, Metadata: f.Metadata}}
	switch f.Code() {
	case codes.InvalidArgument:
		if len(f.Fields) > 0 {
			bad := &errdetails.BadRequest{}
			for _, field := range f.Fields {
				bad.FieldViolations = append(bad.FieldViolations,
					&errdetails.BadRequest_FieldViolation{Field: field.Name, Description: field.Reason})
			}
			details = append(details, bad)
		}
	case codes.FailedPrecondition:
		failed := &errdetails.PreconditionFailure{}
		for _, field := range f.Fields {
			failed.Violations = append(failed.Violations,
				&errdetails.PreconditionFailure_Violation{Type: f.Name(), Subject: field.Name, Description: field.Reason})
		}
		if len(f.Fields) == 0 {
			failed.Violations = []*errdetails.PreconditionFailure_Violation{{Type: f.Name(), Subject: f.Metadata["subject"], Description: f.Message}}
		}
		details = append(details, failed)
	case codes.ResourceExhausted:
		details = append(details, &errdetails.QuotaFailure{Violations: []*errdetails.QuotaFailure_Violation{
			{Subject: f.Metadata["subject"], Description: f.Message}}})
	}
	if f.Help != "" {
		details = append(details, &errdetails.Help{Links: []*errdetails.Help_Link{{Description: "What to do", Url: f.Help}}})
	}
	if f.Retry > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(f.Retry)})
	}
	st, err := status.New(f.Code(), f.Message).WithDetails(details...)
	if err != nil { // only a message that cannot be marshalled
		return status.New(f.Code(), f.Message)
	}
	return st
}

// From returns the fault in err, whether it was made here or came over the wire; nil when there is none.
func From(err error) *Fault {
	var f *Fault
	if errors.As(err, &f) {
		return f
	}
	var carrier interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &carrier) { // not status.FromError, which takes what others wrapped around it for its message
		return nil
	}
	st := carrier.GRPCStatus()
	if st.Code() == codes.OK {
		return nil
	}
	for _, detail := range st.Details() {
		if _, ours := detail.(*errdetails.ErrorInfo); f == nil && !ours { // it comes first in what we send
			return nil
		}
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			reason, known := errorv1.Reason_value["REASON_"+d.GetReason()]
			if d.GetDomain() != Domain || !known {
				return nil
			}
			f = &Fault{Reason: Reason(reason), Message: st.Message(), Metadata: d.GetMetadata()}
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				f.Fields = append(f.Fields, Field{Name: v.GetField(), Reason: v.GetDescription()})
			}
		case *errdetails.PreconditionFailure:
			for _, v := range d.GetViolations() {
				if v.GetDescription() != f.Message { // else it is the fault itself
					f.Fields = append(f.Fields, Field{Name: v.GetSubject(), Reason: v.GetDescription()})
				}
			}
		case *errdetails.Help:
			if len(d.GetLinks()) > 0 {
				f.Help = d.GetLinks()[0].GetUrl()
			}
		case *errdetails.RetryInfo:
			f.Retry = d.GetRetryDelay().AsDuration()
		}
	}
	return f
}

// ReasonOf returns the reason in err, REASON_UNSPECIFIED when there is none.
func ReasonOf(err error) Reason {
	if f := From(err); f != nil {
		return f.Reason
	}
	return errorv1.Reason_REASON_UNSPECIFIED
}
