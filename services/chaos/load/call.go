package load

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/rest"
	"github.com/rosterhq/roster/services/internal/verify"
)

// Try is one call, for those who count what clients feel.
type Try struct {
	Verb     verify.Verb
	Call     time.Duration
	Back     time.Duration
	Answered bool   // with what was asked for, or with a refusal
	Reason   string // why not
}

// patience is how long an operation is tried, and callTime one try of it.
const (
	patience = 90 * time.Second
	callTime = 10 * time.Second
)

// open are the reasons that leave open what became of a call.
var open = map[errorv1.Reason]bool{
	errorv1.Reason_REASON_UNAVAILABLE: true, errorv1.Reason_REASON_DEADLINE_EXCEEDED: true, errorv1.Reason_REASON_CANCELLED: true,
	errorv1.Reason_REASON_INTERNAL: true,
}

// busy is the refusal that asks to try again: nothing was done.
const busy = "BUSY"

// do makes an operation: it calls until there is an answer, or no patience left, and notes what it learned. Each try goes
// over another edge. answered adds what the answer says.
func (l *Load) do(c *client, o *Operation, who *person, call func(context.Context, grpc.ClientConnInterface) error, answered func()) {
	o.Client, o.Call, o.Start = c.number, l.history.Now(), time.Now().UTC()
	o.Outcome = verify.Unknown
	deadline := time.Now().Add(patience)
	edge := c.rand.IntN(len(l.edges))
	doubt := false // whether a try may have had its effect
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		if o.Tries++; Reads[o.Verb] { // what an earlier try saw nobody was told
			o.Call, doubt = l.history.Now(), false
		}
		edge = (edge + 1) % len(l.edges)
		var sent bool
		o.Outcome, sent = l.try(o, l.edges[edge](who), call)
		if o.Outcome != verify.Unknown && o.Reason != busy {
			break
		}
		doubt = doubt || o.Outcome == verify.Unknown && sent
		if time.Now().After(deadline) {
			break
		}
		time.Sleep(pause/2 + rand.N(pause))
	}
	if o.Outcome == verify.Refused && doubt { // the refusal may answer what an earlier try did, or will do
		o.Outcome = verify.Unknown
	}
	if o.Outcome == verify.OK && answered != nil {
		answered()
	}
	o.Back, o.End = l.history.Now(), time.Now().UTC()
	l.history.add(*o)
}

// try calls once. Where nobody listens nothing is sent.
func (l *Load) try(o *Operation, conn grpc.ClientConnInterface, call func(context.Context, grpc.ClientConnInterface) error) (_ verify.Outcome, sent bool) {
	ctx, cancel := context.WithTimeout(context.Background(), callTime)
	defer cancel()
	t := Try{Verb: o.Verb, Call: l.history.Now()}
	err := call(ctx, conn)
	t.Back = l.history.Now()
	outcome := verify.OK
	switch f := fault.From(err); {
	case err == nil:
	case f == nil:
		outcome, o.Reason = verify.Unknown, err.Error()
	case open[f.Reason]:
		outcome, o.Reason = verify.Unknown, f.Name()
	default:
		outcome, o.Reason = verify.Refused, f.Name()
	}
	t.Answered = outcome != verify.Unknown
	if !t.Answered {
		t.Reason = o.Reason
	}
	if outcome == verify.OK {
		o.Reason = ""
	}
	l.tries.add(t)
	return outcome, !errors.Is(err, syscall.ECONNREFUSED)
}

// edges returns the ways to reach the suite: every gateway over REST, and the public listeners over gRPC, which get as
// much as all gateways together.
func edges(c Config) (all []func(*person) grpc.ClientConnInterface) {
	web := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: c.Clients}}
	for _, url := range c.URLs {
		all = append(all,
			func(who *person) grpc.ClientConnInterface {
				return &rest.Conn{URL: url, Token: who.secret(), HTTP: web}
			},
			func(who *person) grpc.ClientConnInterface { return bearer{c.Conn, who.secret()} })
	}
	return all
}

// bearer presents a credential with every call.
type bearer struct {
	grpc.ClientConnInterface
	token string
}

func (b bearer) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	if b.token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+b.token)
	}
	return b.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
}

// tries is what all clients felt.
type tries struct {
	mu  sync.Mutex
	all []Try
}

func (t *tries) add(one Try) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = append(t.all, one)
}
