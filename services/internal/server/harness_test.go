package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/rosterhq/roster/pkg/fault"
	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/network"
)

func TestMain(m *testing.M) {
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))) // as package telemetry does
	os.Exit(m.Run())
}

// fake is one method for each kind of caller; every one does what reached says.
type fake struct {
	billingv1.UnimplementedSeatUsageServiceServer
	billingv1.UnimplementedSeatLimitServiceServer
	billingv1.UnimplementedSeatServiceServer
	identityv1.UnimplementedSessionServiceServer
	membershipv1.UnimplementedAccessServiceServer

	reached func(context.Context) error
}

func (f *fake) GetSeatUsage(ctx context.Context, _ *billingv1.GetSeatUsageRequest) (*billingv1.GetSeatUsageResponse, error) {
	return &billingv1.GetSeatUsageResponse{}, f.reached(ctx)
}

func (f *fake) SetSeatLimit(ctx context.Context, _ *billingv1.SetSeatLimitRequest) (*billingv1.SetSeatLimitResponse, error) {
	return &billingv1.SetSeatLimitResponse{}, f.reached(ctx)
}

func (f *fake) OccupySeat(ctx context.Context, _ *billingv1.OccupySeatRequest) (*billingv1.OccupySeatResponse, error) {
	return &billingv1.OccupySeatResponse{}, f.reached(ctx)
}

func (f *fake) CreateSession(ctx context.Context, _ *identityv1.CreateSessionRequest) (*identityv1.CreateSessionResponse, error) {
	return &identityv1.CreateSessionResponse{}, f.reached(ctx)
}

func (f *fake) CheckAccess(ctx context.Context, _ *membershipv1.CheckAccessRequest) (*membershipv1.CheckAccessResponse, error) {
	return &membershipv1.CheckAccessResponse{}, f.reached(ctx)
}

// unruled is a service that no proto gives a rule.
var unruled = grpc.ServiceDesc{ServiceName: "test.v1.Unruled", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{{
	MethodName: "Do",
	Handler: func(service any, ctx context.Context, _ func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
		return intercept(ctx, nil, &grpc.UnaryServerInfo{Server: service, FullMethod: "/test.v1.Unruled/Do"},
			func(context.Context, any) (any, error) { return nil, errors.New("reached") })
	},
}}}

// harness is a server in memory.
type harness struct {
	network network.Network
	server  *Server
	logged  *log
	stop    context.CancelFunc
	done    chan error
}

// The people of the tests, and what they present.
var (
	account  = id.NewAccount()
	operator = id.NewOperator()
	session  = id.NewSession()
	platform = id.NewServiceAccount()
)

const (
	asAccount  = "Bearer an-account"
	asOperator = "Bearer an-operator"
	asPlatform = "Bearer a-service-account"
	asProgram  = "Bearer a-program" // a service account of an organization
)

func authenticate(_ context.Context, bearer string) (caller.Caller, error) {
	switch bearer {
	case "an-account":
		return caller.Caller{Account: account, Session: session}, nil
	case "an-operator":
		return caller.Caller{Operator: operator}, nil
	case "a-service-account":
		return caller.Caller{ServiceAccount: platform, Key: id.NewAPIKey(), Scopes: []string{"access.check"}}, nil
	case "a-program":
		return caller.Caller{Account: id.Account(platform), ServiceAccount: platform, Key: id.NewAPIKey(), Scopes: []string{"members.read"}}, nil
	case "away":
		return caller.Caller{}, fault.New(errorv1.Reason_REASON_UNAVAILABLE, "Identity does not answer.")
	}
	return caller.Caller{}, fault.New(errorv1.Reason_REASON_UNAUTHENTICATED, "Unknown.")
}

func start(t *testing.T, reached func(context.Context) error, changes ...func(*Config)) *harness {
	t.Helper()
	h := &harness{network: network.Memory(), logged: new(log), done: make(chan error, 1)}
	lis, creds, err := h.network.Listen("tested", "")
	require.NoError(t, err)
	c := Config{Role: "tested", Authenticate: authenticate, Log: slog.New(slog.NewJSONHandler(h.logged, nil))}
	for _, change := range changes {
		change(&c)
	}
	h.server = New(creds, c)
	register(h.server, reached)
	var ctx context.Context
	ctx, h.stop = context.WithCancel(t.Context())
	go func() { h.done <- h.server.Serve(ctx, lis) }()
	t.Cleanup(func() {
		h.stop()
		require.NoError(t, <-h.done)
	})
	return h
}

func register(s *Server, reached func(context.Context) error) {
	f := &fake{reached: reached}
	billingv1.RegisterSeatUsageServiceServer(s, f)
	billingv1.RegisterSeatLimitServiceServer(s, f)
	billingv1.RegisterSeatServiceServer(s, f)
	identityv1.RegisterSessionServiceServer(s, f)
	membershipv1.RegisterAccessServiceServer(s, f)
	s.RegisterService(&unruled, f)
}

func (h *harness) dial(t *testing.T, from string) *grpc.ClientConn {
	t.Helper()
	conn, err := h.network.Dial(from, "tested", "")
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// log keeps what is logged.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// lines returns the lines; a call's line is there before its caller has the answer.
func (l *log) lines(t *testing.T) (lines []map[string]any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		var entry map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &entry))
		lines = append(lines, entry)
	}
	return lines
}

func fine(context.Context) error { return nil }

func usage(ctx context.Context, conn *grpc.ClientConn, authorization ...string) error {
	for _, value := range authorization {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", value)
	}
	_, err := billingv1.NewSeatUsageServiceClient(conn).GetSeatUsage(ctx, &billingv1.GetSeatUsageRequest{})
	return err
}

func requireReason(t *testing.T, want errorv1.Reason, err error, why ...any) {
	t.Helper()
	require.Error(t, err, why...)
	require.Equal(t, want, fault.ReasonOf(err), append(why, err.Error())...)
}

const (
	signIn  = errorv1.Reason_REASON_UNAUTHENTICATED
	refused = errorv1.Reason_REASON_CALLER_REFUSED
	allowed = errorv1.Reason_REASON_UNSPECIFIED
)

func serve(t *testing.T, s *Server, lis net.Listener) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, lis) }()
	return func() {
		cancel()
		require.NoError(t, <-done)
	}
}
