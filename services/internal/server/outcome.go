package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/denial"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/network"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// conclude says how a call ended: to the log once, to the caller as a fault, and a denial to those who watch for it.
func (s *Server) conclude(ctx context.Context, who caller.Caller, method string, req any, begin time.Time, err error) error {
	if err == nil && !s.config.Log.Enabled(ctx, slog.LevelDebug) {
		return nil
	}
	about := []slog.Attr{
		slog.String("method", method),
		slog.Duration("took", s.config.Now().Sub(begin)),
		slog.String("trace", caller.TraceID(ctx)),
	}
	if role := network.PeerRole(ctx); role != "" {
		about = append(about, slog.String("peer", role))
	}
	if organization := organizationOf(req); organization != "" {
		about = append(about, slog.String("organization", organization))
	}
	if !who.ServiceAccount.IsZero() { // members' refusals go to the audit view of the organization; it is none
		about = append(about, slog.String("service_account", who.ServiceAccount.String()))
	}
	if err == nil {
		s.config.Log.LogAttrs(ctx, slog.LevelDebug, "call", about...)
		return nil
	}

	f := faultOf(ctx, err)
	if s.config.Denied != nil {
		if d := denial.Of(ctx, who, method, req, f, s.config.Now()); d != nil {
			s.config.Denied(d)
		}
	}
	level := slog.LevelInfo
	about = append(about, slog.String("reason", f.Name()))
	if f.HTTPStatus() >= http.StatusInternalServerError { // ours to mend; a refusal's words may be personal
		about = append(about, slog.String("error", err.Error()))
	}
	if f.Reason == errorv1.Reason_REASON_INTERNAL {
		level = slog.LevelError
		var p panicked
		if errors.As(err, &p) {
			about = append(about, slog.String("stack", string(p.stack)))
		}
	}
	s.config.Log.LogAttrs(ctx, level, "call failed", about...)
	return f.GRPCStatus().Err()
}

// faultOf returns the fault that the caller gets. A fault passes as it is, from wherever it comes; the words of
// anything else stay with us.
func faultOf(ctx context.Context, err error) *fault.Fault {
	if f := fault.From(err); f != nil {
		return f
	}
	code := status.Code(err)
	switch {
	case errors.Is(err, context.DeadlineExceeded), code == codes.DeadlineExceeded:
		return fault.New(errorv1.Reason_REASON_DEADLINE_EXCEEDED, "The call took too long. It may have been done all the same.")
	case errors.Is(err, context.Canceled), code == codes.Canceled:
		return fault.New(errorv1.Reason_REASON_CANCELLED, "The caller went away.")
	case code == codes.Unimplemented: // declared in the proto, and not built
		return errNoMethod
	case postgres.Away(err):
		return fault.New(errorv1.Reason_REASON_UNAVAILABLE,
			"The database does not answer. What you asked for may have been done all the same; ask again with the same request id.").WithRetry(time.Second)
	}
	f := fault.New(errorv1.Reason_REASON_INTERNAL, "Something failed on our side. Tell support the request id.")
	if trace := caller.TraceID(ctx); trace != "" {
		f = f.With("requestId", trace)
	}
	return f
}

// organizationOf returns the organization that a request names, if it is one: a log line is no place for what
// a stranger wrote.
func organizationOf(req any) string {
	named, ok := req.(interface{ GetOrganizationId() string })
	if !ok {
		return ""
	}
	organization, _ := id.ParseOrganization(named.GetOrganizationId())
	return organization.String()
}
