package cli

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

var noon = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

// away is a time before or after noon.
func away(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(noon.Add(d)) }

const day = 24 * time.Hour

// world is a server and a person at a console.
type world struct {
	t       *testing.T
	address string
	dir     string

	env         map[string]string
	in          string   // what is typed, or piped in
	secrets     []string // what is typed without echo
	interactive bool
	paused      []time.Duration // between attempts

	export func(*membershipv1.ExportAuditEventsRequest, grpc.ServerStreamingServer[membershipv1.ExportAuditEventsResponse]) error

	mu      sync.Mutex
	answers map[protoreflect.FullName]func(context.Context, proto.Message) (proto.Message, error)
	calls   []received
}

// received is one call as the server saw it.
type received struct {
	request       proto.Message
	authorization string
	agent         string
}

// newWorld starts a server that has an answer to nothing yet.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), env: map[string]string{},
		answers: map[protoreflect.FullName]func(context.Context, proto.Message) (proto.Message, error){}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer(grpc.UnaryInterceptor(w.serve))
	identityv1.RegisterAccountServiceServer(server, identityv1.UnimplementedAccountServiceServer{})
	identityv1.RegisterSessionServiceServer(server, identityv1.UnimplementedSessionServiceServer{})
	identityv1.RegisterPasswordServiceServer(server, identityv1.UnimplementedPasswordServiceServer{})
	identityv1.RegisterFactorServiceServer(server, identityv1.UnimplementedFactorServiceServer{})
	identityv1.RegisterApiKeyServiceServer(server, identityv1.UnimplementedApiKeyServiceServer{})
	identityv1.RegisterEmailServiceServer(server, identityv1.UnimplementedEmailServiceServer{})
	identityv1.RegisterAvatarServiceServer(server, identityv1.UnimplementedAvatarServiceServer{})
	identityv1.RegisterExportServiceServer(server, identityv1.UnimplementedExportServiceServer{})
	identityv1.RegisterOperatorServiceServer(server, identityv1.UnimplementedOperatorServiceServer{})
	identityv1.RegisterServiceAccountServiceServer(server, identityv1.UnimplementedServiceAccountServiceServer{})
	membershipv1.RegisterOrganizationServiceServer(server, membershipv1.UnimplementedOrganizationServiceServer{})
	membershipv1.RegisterRoleServiceServer(server, membershipv1.UnimplementedRoleServiceServer{})
	membershipv1.RegisterMemberServiceServer(server, membershipv1.UnimplementedMemberServiceServer{})
	membershipv1.RegisterMemberSessionServiceServer(server, membershipv1.UnimplementedMemberSessionServiceServer{})
	membershipv1.RegisterBulkMemberServiceServer(server, membershipv1.UnimplementedBulkMemberServiceServer{})
	membershipv1.RegisterGroupServiceServer(server, membershipv1.UnimplementedGroupServiceServer{})
	membershipv1.RegisterAvailabilityServiceServer(server, membershipv1.UnimplementedAvailabilityServiceServer{})
	membershipv1.RegisterProjectServiceServer(server, membershipv1.UnimplementedProjectServiceServer{})
	membershipv1.RegisterOwnershipServiceServer(server, membershipv1.UnimplementedOwnershipServiceServer{})
	membershipv1.RegisterAccessServiceServer(server, membershipv1.UnimplementedAccessServiceServer{})
	membershipv1.RegisterPermissionServiceServer(server, membershipv1.UnimplementedPermissionServiceServer{})
	membershipv1.RegisterAuditServiceServer(server, &audits{world: w})
	membershipv1.RegisterOrganizationServiceAccountServiceServer(server, membershipv1.UnimplementedOrganizationServiceAccountServiceServer{})
	membershipv1.RegisterDomainServiceServer(server, membershipv1.UnimplementedDomainServiceServer{})
	membershipv1.RegisterIdentityProviderServiceServer(server, membershipv1.UnimplementedIdentityProviderServiceServer{})
	identityv1.RegisterFederatedIdentityServiceServer(server, identityv1.UnimplementedFederatedIdentityServiceServer{})
	invitationv1.RegisterInvitationServiceServer(server, invitationv1.UnimplementedInvitationServiceServer{})
	billingv1.RegisterSeatUsageServiceServer(server, billingv1.UnimplementedSeatUsageServiceServer{})
	billingv1.RegisterSeatLimitServiceServer(server, billingv1.UnimplementedSeatLimitServiceServer{})
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	w.address = listener.Addr().String()
	return w
}

// on says how the server answers requests of a type. One function per type stands for the method: every method
// has a request type of its own.
func on[Q, A proto.Message](w *world, answer func(context.Context, Q) (A, error)) {
	var request Q
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers[request.ProtoReflect().Descriptor().FullName()] = func(ctx context.Context, m proto.Message) (proto.Message, error) {
		return answer(ctx, m.(Q))
	}
}

// gives answers a request type always the same.
func gives[Q, A proto.Message](w *world, _ Q, answer A) {
	on(w, func(context.Context, Q) (A, error) { return answer, nil })
}

// refuses answers a request type with an error.
func refuses[Q proto.Message](w *world, _ Q, err error) {
	on(w, func(context.Context, Q) (Q, error) { var none Q; return none, err })
}

// audits is a server that exports as the test says.
type audits struct {
	membershipv1.UnimplementedAuditServiceServer
	*world
}

func (a *audits) ExportAuditEvents(req *membershipv1.ExportAuditEventsRequest, stream grpc.ServerStreamingServer[membershipv1.ExportAuditEventsResponse]) error {
	return a.export(req, stream)
}

func (w *world) serve(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	request := req.(proto.Message)
	md, _ := metadata.FromIncomingContext(ctx)
	w.mu.Lock()
	w.calls = append(w.calls, received{
		request: request, authorization: strings.Join(md.Get("authorization"), ","), agent: strings.Join(md.Get("user-agent"), ","),
	})
	answer := w.answers[request.ProtoReflect().Descriptor().FullName()]
	w.mu.Unlock()
	if answer == nil {
		return handle(ctx, req) // unimplemented
	}
	return answer(ctx, request)
}

// result is what a run of the program has left behind.
type result struct {
	code     int
	out, err string
}

// run runs one command against the server.
func (w *world) run(args ...string) result {
	w.t.Helper()
	var out, stderr bytes.Buffer
	a := newApp(Console{
		In: strings.NewReader(w.in), Out: &out, Err: &stderr,
		Interactive: w.interactive,
		ReadSecret: func(context.Context) (string, error) {
			require.NotEmpty(w.t, w.secrets, "asked for a secret")
			secret := w.secrets[0]
			w.secrets = w.secrets[1:]
			return secret, nil
		},
		Getenv: func(name string) string {
			if value, ok := w.env[name]; ok || name != "ROSTER_SERVER" {
				return value
			}
			return w.address
		},
		ConfigDir: w.dir,
		Now:       func() time.Time { return noon },
	})
	a.pause = func(_ context.Context, d time.Duration) error {
		w.paused = append(w.paused, d)
		return nil
	}
	code := a.run(w.t.Context(), args)
	return result{code, out.String(), stderr.String()}
}

// ok runs a command that must succeed, and returns what it shows.
func (w *world) ok(args ...string) string {
	w.t.Helper()
	r := w.run(args...)
	require.Equal(w.t, exitOK, r.code, r.err)
	return r.out
}

// signedIn is a world with a session and a default organization.
func signedIn(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.env["ROSTER_TOKEN"], w.env["ROSTER_ORG"] = "session-token", "org_1"
	return w
}

func (w *world) requests() []proto.Message {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []proto.Message
	for _, c := range w.calls {
		all = append(all, c.request)
	}
	return all
}

func (w *world) last() received {
	w.mu.Lock()
	defer w.mu.Unlock()
	require.NotEmpty(w.t, w.calls)
	return w.calls[len(w.calls)-1]
}

func (w *world) keptFile() string {
	body, err := os.ReadFile(filepath.Join(w.dir, "roster", "credentials.json"))
	require.NoError(w.t, err)
	return string(body)
}
