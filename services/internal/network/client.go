package network

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/failpoint"
)

// Either side of every call to another service: before it knows anything, and when it has answered.
var (
	beforeCall = failpoint.New("call.before")
	afterCall  = failpoint.New("call.after")
)

// longestCall bounds a call whose context has no deadline. Servers allow no more.
const longestCall = 30 * time.Second

// dial returns a connection the way every client of the suite wants it. The target may be a list of addresses: calls go
// to each in turn that answers. A server that ends says so (GOAWAY) before it refuses anything, so no call fails by that.
func dial(target, to string, creds credentials.TransportCredentials, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	common := []grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithStatsHandler(otelgrpc.NewClientHandler()),
		grpc.WithChainUnaryInterceptor(translate(to), patient),
		// A dead peer is noticed within 40 s also when nothing is sent; servers permit a ping every 10 s.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second, PermitWithoutStream: true}),
		// gRPC's own pauses, from 1 s to 2 min, are a long time for a peer that is just being restarted: whoever is back must be called again
		// before the next copy has lingered (role.Common.Linger) and ends.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}]}`),
		grpc.WithDisableServiceConfig(), // a TXT record must not say how we call
		grpc.WithDisableRetry(),         // verbs know what is idempotent, the connection does not
	}
	if strings.Contains(target, ",") {
		listed := manual.NewBuilderWithScheme("list")
		var state resolver.State
		for address := range strings.SplitSeq(target, ",") {
			state.Endpoints = append(state.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{{Addr: strings.TrimSpace(address)}}})
		}
		listed.InitialState(state)
		target, common = "list:///"+to, append(common, grpc.WithResolvers(listed))
	}
	return grpc.NewClient(target, append(common, opts...)...)
}

// patience is how long a call waits for a connection when there is none: as long as a process takes to start again, or a
// client to find the other copy.
const patience = time.Second

// mostPause is between two tries over a connection that says that it is ready, when it has said so for some time.
const mostPause = 100 * time.Millisecond

// patient tries a call again that found no connection, and so was not sent.
func patient(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	var waiting context.Context
	for pause := time.Millisecond; ; pause = min(2*pause, mostPause) {
		state := conn.GetState()
		var reached peer.Peer
		err := invoke(ctx, method, req, reply, conn, append(opts, grpc.Peer(&reached))...)
		if status.Code(err) != codes.Unavailable || reached.Addr != nil {
			return err
		}
		if waiting == nil {
			var cancel context.CancelFunc
			waiting, cancel = context.WithTimeout(ctx, patience)
			defer cancel()
		}
		if state == connectivity.Ready { // it was, before the call
			if state = conn.GetState(); state == connectivity.Ready { // and says that it still is
				select {
				case <-waiting.Done():
				case <-time.After(pause/2 + rand.N(pause)):
				}
			}
		}
		if waiting.Err() != nil || state != connectivity.Ready && !conn.WaitForStateChange(waiting, state) {
			return err
		}
	}
}

// translate bounds each call in time and turns the failures of the way to a service, which carry no reason,
// into faults. What the service itself answered passes as it is.
func translate(to string) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		if _, ok := ctx.Deadline(); !ok {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, longestCall)
			defer cancel()
		}
		beforeCall.Hit(method)
		err := invoke(ctx, method, req, reply, conn, opts...)
		afterCall.Hit(method)
		if err == nil || fault.From(err) != nil {
			return err
		}
		var f *fault.Fault
		switch status.Code(err) {
		case codes.DeadlineExceeded:
			f = fault.Newf(errorv1.Reason_REASON_DEADLINE_EXCEEDED, "The %s service did not answer in time.", to)
		case codes.Canceled:
			f = fault.New(errorv1.Reason_REASON_CANCELLED, "The caller went away.")
		case codes.Unavailable:
			f = fault.Newf(errorv1.Reason_REASON_UNAVAILABLE, "The %s service does not answer. Try again.", to).WithRetry(time.Second)
		default:
			return err
		}
		return fmt.Errorf("call %s: %w (%v)", method, f, err) // the cause is for our logs
	}
}
