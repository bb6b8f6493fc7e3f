package cli

import (
	"cmp"
	"context"
	"net"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rosterhq/roster/pkg/client"
	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
)

// identity is as whom a command calls.
type identity int

const (
	person identity = iota
	operator
)

// address is the server to call, always with a port: credentials are kept under it.
func (a *app) address() string {
	address := strings.ToLower(cmp.Or(a.setting(a.server, "ROSTER_SERVER"), client.DefaultAddress))
	if _, _, err := net.SplitHostPort(address); err != nil && !strings.Contains(address, "/") {
		return net.JoinHostPort(strings.Trim(address, "[]"), "9090")
	}
	return address
}

// credential is the token to call with: the given one, or the saved one.
func (a *app) credential(as identity) (string, error) {
	if given := a.setting(a.token, "ROSTER_TOKEN"); given != "" {
		return given, nil
	}
	saved, err := a.saved()
	if err != nil {
		return "", err
	}
	var missing string
	switch {
	case as == operator && saved.Operator == nil:
		missing = "You have no operator's key for %s."
	case as == operator:
		return saved.Operator.Key, nil
	case saved.Session == nil:
		missing = "You are not signed in to %s."
	default: // if it has ended meanwhile, the server says so
		return saved.Session.Token, nil
	}
	return "", fault.Newf(errorv1.Reason_REASON_UNAUTHENTICATED, missing, a.address())
}

// connect returns a client that calls as a person or an operator.
func (a *app) connect(as identity) (*client.Client, error) {
	a.as = as
	token, err := a.credential(as)
	if err != nil {
		return nil, err
	}
	return a.dial(token)
}

// connectAsNobody returns a client that presents nothing: a saved session that has ended must not be in the way
// of signing in.
func (a *app) connectAsNobody() (*client.Client, error) { return a.dial("") }

func (a *app) dial(token string) (*client.Client, error) {
	c, err := client.Dial(client.Config{Address: a.address(), Token: token, UserAgent: "roster-cli/" + version()})
	if err != nil {
		return nil, usageError{err.Error()}
	}
	a.clients = append(a.clients, c)
	return c, nil
}

// organization is the organization that a command is about: the argument if there is one, or the default.
func (a *app) organization(args ...string) (string, error) {
	if len(args) > 0 {
		return args[0], nil
	}
	if given := a.setting(a.org, "ROSTER_ORG"); given != "" {
		return given, nil
	}
	saved, err := a.saved()
	if err != nil {
		return "", err
	}
	if saved.Organization == "" {
		return "", usageError{"which organization? Name it with --org or ROSTER_ORG, or save one: roster org use ORGANIZATION"}
	}
	return saved.Organization, nil
}

// within returns the organization that a command is about, and a client that calls as a person.
func (a *app) within(args ...string) (string, *client.Client, error) {
	org, err := a.organization(args...)
	if err != nil {
		return "", nil, err
	}
	c, err := a.connect(person)
	return org, c, err
}

// retries is how often a call is repeated that found Roster, or a part of it, unavailable.
const retries = 3

// call makes a call and repeats it while Roster is unavailable, if that is safe: it reads, or it carries a
// request id, by which the service knows that it is the same call.
func call[Q, A proto.Message](ctx context.Context, a *app, method func(context.Context, Q, ...grpc.CallOption) (A, error), request Q) (A, error) {
	repeatable := identify(request.ProtoReflect())
	for attempt := 0; ; attempt++ {
		answer, err := method(ctx, request)
		if err == nil || !repeatable || attempt == retries || status.Code(err) != codes.Unavailable {
			return answer, err
		}
		wait := 200 * time.Millisecond << attempt
		if f := fault.From(err); f != nil && f.Retry > 0 {
			wait = min(f.Retry, 5*time.Second)
		}
		if a.pause(ctx, wait) != nil {
			return answer, err
		}
	}
}

// identify gives the request an id, if it has a place for one, and tells whether the call may be repeated.
func identify(request protoreflect.Message) (repeatable bool) {
	if field := request.Descriptor().Fields().ByName("request_id"); field != nil {
		request.Set(field, protoreflect.ValueOfString(uuid.NewString()))
		return true
	}
	name := string(request.Descriptor().Name())
	for _, verb := range []string{"Get", "List", "Check", "Preview"} {
		if strings.HasPrefix(name, verb) {
			return true
		}
	}
	return false
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
