package client

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
)

// longestCall bounds a call whose context has no deadline. Servers allow no more.
const longestCall = 30 * time.Second

// bearer presents the token with every call.
type bearer struct {
	token  string
	secure bool
}

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + b.token}, nil
}

// RequireTransportSecurity makes gRPC refuse to send the token in the clear, but for a server on this machine.
func (b bearer) RequireTransportSecurity() bool { return b.secure }

// translate bounds each call in time and turns its failure into a fault. A status of Roster whose reason
// this version does not know stays the status that it is.
func translate(address string) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		bounded := ctx
		if _, ok := ctx.Deadline(); !ok {
			var cancel context.CancelFunc
			bounded, cancel = context.WithTimeout(ctx, longestCall)
			defer cancel()
		}
		err := invoke(bounded, method, req, reply, conn, opts...)
		if err == nil {
			return nil
		}
		if f := fault.From(err); f != nil {
			return f
		}
		f := unanswered(address, method, err)
		if f == nil {
			return err
		}
		if bounded.Err() != nil {
			err = bounded.Err() // so that errors.Is finds context.Canceled
		}
		return fmt.Errorf("%w (%w)", f, err)
	}
}

// unanswered returns the fault that a call amounts to which Roster gave no answer to; nil when it gave one.
func unanswered(address, method string, err error) *fault.Fault {
	said := status.Convert(err)
	switch said.Code() {
	case codes.DeadlineExceeded:
		return fault.Newf(errorv1.Reason_REASON_DEADLINE_EXCEEDED, "Roster at %s did not answer in time.", address)
	case codes.Canceled:
		return fault.New(errorv1.Reason_REASON_CANCELLED, "The call was cancelled.")
	case codes.Unimplemented:
		return fault.Newf(errorv1.Reason_REASON_ROUTE_NOT_FOUND,
			"What answers at %s has no method %s: it is older than this program, or not Roster.", address, method)
	case codes.Unavailable:
		switch {
		case strings.Contains(said.Message(), "rejected connection to non-local address"):
			return fault.Newf(errorv1.Reason_REASON_UNAVAILABLE,
				"The address %s leads to another machine, and without TLS nothing is sent there.", address)
		case strings.Contains(said.Message(), "first record does not look like a TLS handshake"):
			return fault.Newf(errorv1.Reason_REASON_UNAVAILABLE,
				"What answers at %s does not speak TLS, and without it nothing is sent to another machine.", address)
		}
		for _, nowhere := range []string{"no children to pick from", "produced zero addresses"} { // round_robin's words, and the channel's
			if strings.Contains(said.Message(), nowhere) {
				return fault.Newf(errorv1.Reason_REASON_UNAVAILABLE, "The name in %s has no address.", address)
			}
		}
		return fault.Newf(errorv1.Reason_REASON_UNAVAILABLE, "Roster at %s does not answer.", address)
	}
	return nil
}
