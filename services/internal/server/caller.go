package server

import (
	"context"
	"net"
	"strings"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/network"
)

// edge is the one role that is believed about clients other than itself.
const edge = "gateway"

// identify finds out who is calling. forwarded: the call is a client's, which the edge passes on; whatever the
// edge may do for itself, its client may not.
func (s *Server) identify(ctx context.Context) (who caller.Caller, forwarded bool, err error) {
	md, _ := metadata.FromIncomingContext(ctx)
	if presented := md.Get("authorization"); len(presented) > 0 {
		if who, err = s.authenticate(ctx, presented); err != nil {
			return caller.Caller{}, false, err
		}
	}
	who.Service, who.UserAgent = network.PeerRole(ctx), first(md.Get("user-agent"))
	if who.Service == "" { // where a service of the suite stands says nothing about a client
		who.Address = peerAddress(ctx)
	}
	if told := md.Get(caller.AddressHeader); who.Service == edge && len(told) > 0 {
		who.Address, who.UserAgent, forwarded = told[0], first(md.Get(caller.UserAgentHeader)), true
	}
	return who, forwarded, nil
}

func (s *Server) authenticate(ctx context.Context, presented []string) (caller.Caller, error) {
	scheme, bearer, _ := strings.Cut(presented[0], " ")
	if len(presented) > 1 || !strings.EqualFold(scheme, "Bearer") || bearer == "" || strings.ContainsAny(bearer, " \t") {
		return caller.Caller{}, fault.New(errorv1.Reason_REASON_UNAUTHENTICATED, "The authorization header must be one `Bearer <session or key>`.")
	}
	if s.config.Authenticate == nil {
		return caller.Caller{}, fault.New(errorv1.Reason_REASON_UNAUTHENTICATED, "This listener takes no credentials.")
	}
	return s.config.Authenticate(ctx, bearer)
}

func peerAddress(ctx context.Context) string {
	p, ok := peer.FromContext(ctx)
	if !ok || p.Addr == nil {
		return ""
	}
	host, _, err := net.SplitHostPort(p.Addr.String())
	if err != nil {
		return "" // in memory there is none
	}
	return host
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}
