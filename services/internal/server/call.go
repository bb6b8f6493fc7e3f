package server

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"

	accessv1 "github.com/rosterhq/roster/pkg/gen/roster/access/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/denial"
	"github.com/rosterhq/roster/services/internal/failpoint"
)

// All is done, and the caller does not know.
var beforeAnswer = failpoint.New("server.before_answer")

const (
	defaultDeadline = 10 * time.Second
	maxDeadline     = 30 * time.Second
)

// unary is the way of a call with one request and one answer.
func (s *Server) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (resp any, err error) {
	begin := s.config.Now()
	var who caller.Caller
	defer func() { err = s.conclude(ctx, who, info.FullMethod, req, begin, err) }()
	defer recoverInto(&err)

	ctx, cancel := bound(ctx)
	defer cancel()
	if who, err = s.admit(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	if err := validate(req); err != nil {
		return nil, err
	}
	resp, err = handle(caller.With(ctx, who), req)
	beforeAnswer.Hit(info.FullMethod)
	if err == nil && s.config.Denied != nil {
		for _, d := range denial.OfEach(ctx, who, info.FullMethod, req, resp, s.config.Now()) {
			s.config.Denied(d)
		}
	}
	return resp, err
}

// stream is the way of a call with many requests or answers. It lasts as long as its ends want it to, and its session or its key does; what
// its caller may do can change meanwhile, and is for the verb to watch.
func (s *Server) stream(service any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) (err error) {
	begin, ctx := s.config.Now(), ss.Context()
	checked := &checkedStream{ServerStream: ss}
	var who caller.Caller
	defer func() { err = s.conclude(ctx, who, info.FullMethod, checked.request, begin, err) }()
	defer recoverInto(&err)

	if who, err = s.admit(ctx, info.FullMethod); err != nil {
		return err
	}
	if s.config.Follow != nil && !who.Credential().IsZero() {
		var leave context.CancelFunc
		ctx, leave = s.config.Follow(ctx, who.Credential())
		defer leave()
	}
	checked.ctx = caller.With(ctx, who)
	err = handle(service, checked)
	beforeAnswer.Hit(info.FullMethod)
	if ss.Context().Err() == nil && ctx.Err() != nil { // it was cut
		return context.Cause(ctx)
	}
	return err
}

// admit finds out who is calling and whether the method is for them.
func (s *Server) admit(ctx context.Context, method string) (caller.Caller, error) {
	who, forwarded, err := s.identify(ctx)
	if err != nil {
		return who, err
	}
	if err := s.permit(method, who, forwarded); err != nil {
		return who, err
	}
	return s.forAnyone(method, who), nil
}

// forAnyone makes who has not completed a sign-in nobody, where that may call, too: what they have shown is not enough to be anybody.
func (s *Server) forAnyone(method string, who caller.Caller) caller.Caller {
	if who.Stage == caller.Complete || s.rules[method].GetCaller() != accessv1.Rule_CALLER_ANYONE {
		return who
	}
	return caller.Caller{Service: who.Service, Address: who.Address, UserAgent: who.UserAgent}
}

// bound gives a call its deadline: the caller's, within reason.
func bound(ctx context.Context) (context.Context, context.CancelFunc) {
	left := defaultDeadline
	if deadline, ok := ctx.Deadline(); ok {
		left = min(time.Until(deadline), maxDeadline)
	}
	return context.WithTimeout(ctx, left)
}

// checkedStream carries the caller and lets only valid requests through.
type checkedStream struct {
	grpc.ServerStream
	ctx     context.Context
	request any // the latest
}

func (s *checkedStream) Context() context.Context { return s.ctx }

func (s *checkedStream) SendMsg(m any) error {
	if s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	return s.ServerStream.SendMsg(m)
}

func (s *checkedStream) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	s.request = m
	return validate(m)
}

// panicked is an error that was a panic.
type panicked struct {
	value any
	stack []byte
}

func (p panicked) Error() string { return fmt.Sprintf("panic: %v", p.value) }

func recoverInto(err *error) {
	if value := recover(); value != nil {
		*err = panicked{value, debug.Stack()}
	}
}
