package gateway

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/rosterhq/roster/pkg/fault"
	accessv1 "github.com/rosterhq/roster/pkg/gen/roster/access/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/credential"
	"github.com/rosterhq/roster/services/internal/id"
)

// ClientInterceptor makes a connection to one service carry the calls of the gateway's clients. The service gets
// the client's token for that service, its address and what it calls itself, and no other header of its request.
// A call outside of a request, such as the resolver's own, passes as the gateway's.
//
// Chain it (grpc.WithChainUnaryInterceptor): the connections of package network have one already.
func ClientInterceptor(r *credential.Resolver, audience string) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		c := callFrom(ctx)
		if c == nil {
			return invoke(ctx, method, req, reply, conn, opts...)
		}
		if message, ok := req.(proto.Message); ok {
			if err := c.rest.complete(message.ProtoReflect()); err != nil {
				return err
			}
		}
		ctx, token, err := c.outgoing(ctx, r, method, audience)
		if err != nil {
			return err
		}
		c.sent = true
		var header metadata.MD
		if err := invoke(ctx, method, req, reply, conn, append(opts, grpc.Header(&header))...); err != nil {
			return err
		}
		c.learn(method, token, req, reply, header)
		return nil
	}
}

// StreamInterceptor is ClientInterceptor for methods that answer with a stream.
//
// Chain it (grpc.WithChainStreamInterceptor).
func StreamInterceptor(r *credential.Resolver, audience string) grpc.StreamClientInterceptor {
	return func(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
		c := callFrom(ctx)
		if c == nil {
			return open(ctx, desc, conn, method, opts...)
		}
		ctx, _, err := c.outgoing(ctx, r, method, audience)
		if err != nil {
			return nil, err
		}
		s, err := open(ctx, desc, conn, method, opts...)
		if err != nil {
			return nil, err
		}
		return &clientStream{ClientStream: s, call: c}, nil
	}
}

// clientStream carries a client's request to a method that answers with a stream.
type clientStream struct {
	grpc.ClientStream
	call *call
}

func (s *clientStream) SendMsg(request any) error {
	if message, ok := request.(proto.Message); ok {
		if err := s.call.rest.complete(message.ProtoReflect()); err != nil {
			return err
		}
	}
	s.call.sent = true
	return s.ClientStream.SendMsg(request)
}

// Header waits until the service has begun to answer. A refusal has no headers: it is told here, while the client can still be
// given a status.
func (s *clientStream) Header() (metadata.MD, error) {
	md, err := s.ClientStream.Header()
	if md == nil && err == nil {
		err = s.ClientStream.RecvMsg(&emptypb.Empty{})
	}
	return md, err
}

// outgoing returns the context of a call to a service: exactly these headers, whatever came with the request.
func (c *call) outgoing(ctx context.Context, r *credential.Resolver, method, audience string) (_ context.Context, token string, err error) {
	// The address is told even when it is empty: by it the service knows that the gateway speaks for a client.
	md := metadata.Pairs(caller.AddressHeader, c.address, caller.UserAgentHeader, c.agent)
	if c.languages != "" {
		md.Set("accept-language", c.languages)
	}
	if parent := traceparent(ctx); parent != "" {
		md.Set("traceparent", parent)
	}
	if c.credential != (presented{}) {
		if token, err = c.exchange(ctx, r, method, audience); err != nil {
			return nil, "", err
		}
	}
	if token != "" {
		md.Set("authorization", "Bearer "+token)
	}
	return metadata.NewOutgoingContext(ctx, md), token, nil
}

var errRefused = fault.New(errorv1.Reason_REASON_UNAUTHENTICATED, "The credential is unknown, expired or revoked. Sign in again.")

// exchange turns the client's credential into its token for the service. A bad one is refused everywhere, but a
// stale cookie, which nobody chose to send, keeps nobody from methods that are for anyone, such as signing in.
func (c *call) exchange(ctx context.Context, r *credential.Resolver, method, audience string) (string, error) {
	err := error(errRefused)
	if c.credential.secret != "" {
		var token string
		// Asking identity is the gateway's own call, not the client's.
		if token, err = r.Token(withCall(ctx, nil), c.credential.secret, c.credential.cookie, audience); err == nil {
			return token, nil
		}
	}
	if c.credential.cookie && isRefusal(err) && rules[method].GetCaller() == accessv1.Rule_CALLER_ANYONE {
		c.closed = true
		return "", nil
	}
	return "", err
}

// isRefusal tells a credential that is bad from one that cannot be checked now.
func isRefusal(err error) bool {
	return fault.ReasonOf(err) == errorv1.Reason_REASON_UNAUTHENTICATED
}

// learn takes from an answer what concerns the client's session.
func (c *call) learn(method, token string, req, reply any, header metadata.MD) {
	switch method {
	case identityv1.SessionService_Reauthenticate_FullMethodName, identityv1.SessionService_AnswerChallenge_FullMethodName,
		identityv1.FactorService_ConfirmTotp_FullMethodName, identityv1.FactorService_ConfirmPasskey_FullMethodName:
		c.forget(credential.SessionOf(token))
	case identityv1.PasswordService_ChangePassword_FullMethodName:
		if changed, ok := reply.(*identityv1.ChangePasswordResponse); ok && changed.GetSession() != nil {
			c.forget(credential.SessionOf(token))
		}
	case identityv1.SessionService_SignOut_FullMethodName:
		current := credential.SessionOf(token)
		c.end(current, current)
	case identityv1.SessionService_DeleteSession_FullMethodName:
		current := credential.SessionOf(token)
		if deleted, ok := req.(*identityv1.DeleteSessionRequest); ok {
			session, _ := id.ParseSession(deleted.GetSessionId())
			c.end(session, current)
		}
	}
	if secrets := header.Get(credential.SecretHeader); len(secrets) == 1 && secrets[0] != "" {
		var expires time.Time
		if began, ok := reply.(interface{ GetSession() *identityv1.Session }); ok {
			expires = began.GetSession().GetExpireTime().AsTime()
		}
		c.opened = newCookie(secrets[0], expires, 0)
	}
}

// end forgets a session that is over, and clears the cookie if it was the client's.
func (c *call) end(session, current id.Session) {
	c.forget(session)
	c.closed = c.closed || c.credential.cookie && session == current
}
