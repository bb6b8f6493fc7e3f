package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/rosterhq/roster/pkg/fault"
	accessv1 "github.com/rosterhq/roster/pkg/gen/roster/access/v1"
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
)

const (
	asAccount  = "Bearer an-account"
	asOperator = "Bearer an-operator"
)

func authenticate(_ context.Context, bearer string) (caller.Caller, error) {
	switch bearer {
	case "an-account":
		return caller.Caller{Account: account, Session: session}, nil
	case "an-operator":
		return caller.Caller{Operator: operator}, nil
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

func TestRules(t *testing.T) {
	t.Parallel()
	h := start(t, fine)
	const anyone, accounts, operators, services, both, none = "Anyone", "Account", "Operator", "Service", "AccountOrService", "NoRule"
	calls := map[string]func(context.Context, *grpc.ClientConn) error{
		anyone: func(ctx context.Context, conn *grpc.ClientConn) error {
			_, err := identityv1.NewSessionServiceClient(conn).CreateSession(ctx, validCreateSession())
			return err
		},
		accounts: func(ctx context.Context, conn *grpc.ClientConn) error { return usage(ctx, conn) },
		operators: func(ctx context.Context, conn *grpc.ClientConn) error {
			_, err := billingv1.NewSeatLimitServiceClient(conn).SetSeatLimit(ctx, &billingv1.SetSeatLimitRequest{Reason: "x"})
			return err
		},
		services: func(ctx context.Context, conn *grpc.ClientConn) error {
			_, err := billingv1.NewSeatServiceClient(conn).OccupySeat(ctx, &billingv1.OccupySeatRequest{})
			return err
		},
		both: func(ctx context.Context, conn *grpc.ClientConn) error {
			_, err := membershipv1.NewAccessServiceClient(conn).CheckAccess(ctx, &membershipv1.CheckAccessRequest{Permission: "seats.read"})
			return err
		},
		none: func(ctx context.Context, conn *grpc.ClientConn) error {
			return conn.Invoke(ctx, "/test.v1.Unruled/Do", &billingv1.OccupySeatRequest{}, &billingv1.OccupySeatResponse{})
		},
	}
	type answers map[string]errorv1.Reason
	for name, c := range map[string]struct {
		peer, authorization string
		forwarded           bool
		want                answers
	}{
		"Nobody": {want: answers{
			anyone: allowed, accounts: signIn, operators: signIn, services: refused, both: signIn, none: refused}},
		"AnAccount": {authorization: asAccount, want: answers{
			anyone: allowed, accounts: allowed, operators: refused, services: refused, both: allowed, none: refused}},
		"AnOperator": {authorization: asOperator, want: answers{
			anyone: allowed, accounts: refused, operators: allowed, services: refused, both: refused, none: refused}},
		"R55_AServiceThatIsNamed": {peer: "invitation", want: answers{
			anyone: allowed, accounts: signIn, operators: signIn, services: allowed, both: allowed, none: refused}},
		"R55_AServiceThatIsNotNamed": {peer: "identity", want: answers{
			anyone: allowed, accounts: signIn, operators: signIn, services: refused, both: signIn, none: refused}},
		"R56_AServiceWithAnAccount": {peer: "invitation", authorization: asAccount, want: answers{
			anyone: allowed, accounts: allowed, operators: refused, services: refused, both: allowed, none: refused}},
		"R56_TheGatewayForItself": {peer: "gateway", want: answers{
			anyone: allowed, accounts: signIn, operators: signIn, services: refused, both: allowed, none: refused}},
		"R56_TheGatewayForNobody": {peer: "gateway", forwarded: true, want: answers{
			anyone: allowed, accounts: signIn, operators: signIn, services: refused, both: signIn, none: refused}},
		"TheGatewayForAnAccount": {peer: "gateway", forwarded: true, authorization: asAccount, want: answers{
			anyone: allowed, accounts: allowed, operators: refused, services: refused, both: allowed, none: refused}},
		"TheGatewayForAnOperator": {peer: "gateway", forwarded: true, authorization: asOperator, want: answers{
			anyone: allowed, accounts: refused, operators: allowed, services: refused, both: refused, none: refused}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, ctx := h.dial(t, c.peer), t.Context()
			if c.authorization != "" {
				ctx = metadata.AppendToOutgoingContext(ctx, "authorization", c.authorization)
			}
			if c.forwarded {
				ctx = metadata.AppendToOutgoingContext(ctx, caller.AddressHeader, "192.0.2.7")
			}
			require.Len(t, c.want, len(calls))
			for kind, call := range calls {
				err := call(ctx, conn)
				require.Equal(t, c.want[kind], fault.ReasonOf(err), "%s: %v", kind, err)
				require.Equal(t, c.want[kind] == allowed, err == nil, "%s: %v", kind, err)
			}
		})
	}
}

func validCreateSession() *identityv1.CreateSessionRequest {
	return &identityv1.CreateSessionRequest{Email: "ada@example.com", Password: "correct horse battery staple"}
}

func TestRulesOfDescriptors(t *testing.T) {
	t.Parallel()
	rules := Rules(billingv1.File_roster_billing_v1_seat_service_proto.Services().ByName("SeatService"), grpc_health_v1.File_grpc_health_v1_health_proto.Services().Get(0))
	require.Equal(t, accessv1.Rule_CALLER_SERVICE, rules["/roster.billing.v1.SeatService/OccupySeat"].GetCaller())
	rule, ok := rules["/grpc.health.v1.Health/Check"]
	require.True(t, ok)
	require.Nil(t, rule)
}

func TestMethods(t *testing.T) {
	t.Parallel()
	h := start(t, fine)
	conn := h.dial(t, "membership")
	invoke := func(method string) error {
		return conn.Invoke(t.Context(), method, &billingv1.OccupySeatRequest{}, &billingv1.OccupySeatResponse{})
	}

	t.Run("R57_UnknownIsNotFound", func(t *testing.T) {
		t.Parallel()
		for _, method := range []string{"/roster.billing.v1.SeatService/Occupyseat", "/no.Such/Method", "/roster.billing.v1.SeatService/", "//OccupySeat"} {
			requireReason(t, errorv1.Reason_REASON_ROUTE_NOT_FOUND, invoke(method), method)
		}
	})

	t.Run("R57_NotBuiltIsNotFound", func(t *testing.T) {
		t.Parallel()
		requireReason(t, errorv1.Reason_REASON_ROUTE_NOT_FOUND, invoke("/roster.billing.v1.SeatService/ReserveSeats"))
	})

	t.Run("R57_PathWithoutSlashIsRefused", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, codes.Unimplemented, status.Code(invoke("roster.billing.v1.SeatService/OccupySeat")))
	})

	t.Run("R60_ReflectionIsOffUnlessAsked", func(t *testing.T) {
		t.Parallel()
		const reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
		requireReason(t, errorv1.Reason_REASON_ROUTE_NOT_FOUND, invoke(reflection))
		require.Contains(t, start(t, fine, func(c *Config) { c.Reflection = true }).server.rules, reflection)
	})

	t.Run("HealthIsForAnyone", func(t *testing.T) {
		t.Parallel()
		answer, err := grpc_health_v1.NewHealthClient(h.dial(t, "")).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
		require.NoError(t, err)
		require.Equal(t, grpc_health_v1.HealthCheckResponse_SERVING, answer.GetStatus())
	})

	t.Run("R60_TooMuchIsRefused", func(t *testing.T) {
		t.Parallel()
		_, err := billingv1.NewSeatServiceClient(conn).OccupySeat(t.Context(), &billingv1.OccupySeatRequest{SeatId: strings.Repeat("x", maxMessage)})
		require.Equal(t, codes.ResourceExhausted, status.Code(err))
		require.Error(t, usage(t.Context(), conn, "Bearer "+strings.Repeat("x", maxHeaders)))
	})
}

// TestConnections speaks HTTP/2 by hand, as no gRPC client would.
func TestConnections(t *testing.T) {
	t.Parallel()
	lis, creds, err := network.Plain().Listen("tested", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(serve(t, New(creds, Config{Role: "tested", Log: slog.New(slog.DiscardHandler)}), lis))
	open := func(t *testing.T) *http2.Framer {
		conn, err := net.Dial("tcp", lis.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close() })
		require.NoError(t, conn.SetDeadline(time.Now().Add(30*time.Second)))
		_, err = io.WriteString(conn, http2.ClientPreface)
		require.NoError(t, err)
		framer := http2.NewFramer(conn, conn)
		require.NoError(t, framer.WriteSettings())
		return framer
	}

	t.Run("R60_StreamsAndHeadersAreLimited", func(t *testing.T) {
		t.Parallel()
		frame, err := open(t).ReadFrame()
		require.NoError(t, err)
		settings, ok := frame.(*http2.SettingsFrame)
		require.True(t, ok, frame)
		streams, _ := settings.Value(http2.SettingMaxConcurrentStreams)
		require.EqualValues(t, maxStreams, streams)
		headers, _ := settings.Value(http2.SettingMaxHeaderListSize)
		require.EqualValues(t, maxHeaders, headers)
	})

	t.Run("R60_WhoPingsAllTheTimeIsSentAway", func(t *testing.T) {
		t.Parallel()
		framer := open(t)
		for range 10 {
			if framer.WritePing(false, [8]byte{}) != nil {
				break // sent away already
			}
		}
		for {
			frame, err := framer.ReadFrame()
			require.NoError(t, err)
			if away, ok := frame.(*http2.GoAwayFrame); ok {
				require.Equal(t, http2.ErrCodeEnhanceYourCalm, away.ErrCode)
				return
			}
		}
	})
}

func TestCaller(t *testing.T) {
	t.Parallel()
	// seen returns whom the verb sees.
	seen := func(t *testing.T, peer string, headers ...string) (who caller.Caller) {
		h := start(t, func(ctx context.Context) error {
			who = caller.From(ctx)
			return nil
		})
		ctx := metadata.AppendToOutgoingContext(t.Context(), headers...)
		require.NoError(t, usage(ctx, h.dial(t, peer), asAccount))
		return who
	}

	t.Run("TheEdgeSpeaksForItsClient", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, caller.Caller{Service: "gateway", Account: account, Session: session, Address: "192.0.2.7", UserAgent: "Lynx"},
			seen(t, "gateway", caller.AddressHeader, "192.0.2.7", caller.UserAgentHeader, "Lynx"))
	})

	t.Run("R56_NobodyElseDoes", func(t *testing.T) {
		t.Parallel()
		for _, peer := range []string{"", "membership"} {
			who := seen(t, peer, caller.AddressHeader, "192.0.2.7", caller.UserAgentHeader, "Lynx")
			require.Equal(t, peer, who.Service)
			require.Empty(t, who.Address)
			require.Contains(t, who.UserAgent, "grpc-go")
		}
	})

	t.Run("R56_AnAddressIsThePeers", func(t *testing.T) {
		t.Parallel()
		var who caller.Caller
		n := network.Plain()
		lis, creds, err := n.Listen("tested", "127.0.0.1:0")
		require.NoError(t, err)
		s := New(creds, Config{Role: "tested", Authenticate: authenticate, Log: slog.New(slog.DiscardHandler)})
		register(s, func(ctx context.Context) error {
			who = caller.From(ctx)
			return nil
		})
		stop := serve(t, s, lis)
		defer stop()
		conn, err := n.Dial("gateway", "tested", lis.Addr().String())
		require.NoError(t, err)
		defer conn.Close()
		require.NoError(t, usage(metadata.AppendToOutgoingContext(t.Context(), caller.AddressHeader, "192.0.2.7"), conn, asAccount))
		require.Equal(t, "127.0.0.1", who.Address)
		require.Empty(t, who.Service)
	})

	t.Run("R56_BadCredentialsAreRefused", func(t *testing.T) {
		t.Parallel()
		conn := start(t, fine).dial(t, "gateway")
		for _, presented := range [][]string{
			{"Bearer unknown"}, {"Bearer"}, {"Bearer "}, {""}, {"Basic an-account"}, {"an-account"}, {"Bearer  an-account"},
			{"Bearer an-account x"}, {asAccount, asOperator}, {asAccount, asAccount},
		} {
			requireReason(t, signIn, usage(t.Context(), conn, presented...), presented)
		}
		require.NoError(t, usage(t.Context(), conn, "bearer an-account")) // schemes have no case
		requireReason(t, errorv1.Reason_REASON_UNAVAILABLE, usage(t.Context(), conn, "Bearer away"))
	})

	t.Run("WithoutAnAuthenticatorEveryCredentialIs", func(t *testing.T) {
		t.Parallel()
		h := start(t, fine, func(c *Config) { c.Authenticate = nil })
		requireReason(t, signIn, usage(t.Context(), h.dial(t, ""), asAccount))
	})
}

func serve(t *testing.T, s *Server, lis net.Listener) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, lis) }()
	return func() {
		cancel()
		require.NoError(t, <-done)
	}
}

func TestValidation(t *testing.T) {
	t.Parallel()
	h := start(t, func(context.Context) error { return errors.New("reached") })
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", asOperator)
	_, err := billingv1.NewSeatLimitServiceClient(h.dial(t, "")).SetSeatLimit(ctx,
		&billingv1.SetSeatLimitRequest{Limit: new(int32), RequestId: strings.Repeat("x", 65)})
	requireReason(t, errorv1.Reason_REASON_VALIDATION_FAILED, err)
	var names []string
	for _, field := range fault.From(err).Fields {
		require.NotEmpty(t, field.Reason)
		names = append(names, field.Name)
	}
	require.ElementsMatch(t, []string{"limit", "reason", "request_id"}, names)
}

func TestErrors(t *testing.T) {
	t.Parallel()
	organization := id.NewOrganization().String()
	// failing calls a verb that fails with err.
	//lint:ignore ST1008 the error is what is looked at
	failing := func(t *testing.T, err error) (error, map[string]any) {
		h := start(t, func(context.Context) error { return err })
		ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", asAccount)
		_, got := billingv1.NewSeatUsageServiceClient(h.dial(t, "gateway")).GetSeatUsage(ctx, &billingv1.GetSeatUsageRequest{OrganizationId: organization})
		lines := h.logged.lines(t)
		require.Len(t, lines, 1, "one line a call")
		return got, lines[0]
	}

	t.Run("AFaultArrivesWhole", func(t *testing.T) {
		t.Parallel()
		for _, want := range []*fault.Fault{
			fault.New(errorv1.Reason_REASON_SEAT_LIMIT_REACHED, "No seat is free.").With("used", "5").WithHelp("https://roster.example/seats"),
			fault.New(errorv1.Reason_REASON_BUSY, "Busy.").WithRetry(2 * time.Second),
			fault.Invalid("email", "is not an address"),
		} {
			got, _ := failing(t, fmt.Errorf("verb: %w", want))
			require.Equal(t, want, fault.From(got))
			got, _ = failing(t, want.GRPCStatus().Err()) // as another service's answer
			require.Equal(t, want, fault.From(got))
		}
	})

	t.Run("ARefusalIsLoggedWithoutItsWords", func(t *testing.T) {
		t.Parallel()
		_, line := failing(t, fault.New(errorv1.Reason_REASON_EMAIL_TAKEN, "ada@example.com has an account."))
		require.Equal(t, "INFO", line["level"])
		require.Equal(t, "EMAIL_TAKEN", line["reason"])
		require.Equal(t, organization, line["organization"])
		require.Equal(t, "gateway", line["peer"])
		require.Equal(t, "/roster.billing.v1.SeatUsageService/GetSeatUsage", line["method"])
		require.Len(t, line["trace"], 32)
		require.NotContains(t, fmt.Sprint(line), "ada@")
	})

	t.Run("AnythingElseIsInternalAndKeepsItsWordsHere", func(t *testing.T) {
		t.Parallel()
		for _, err := range []error{errors.New("pq: secret"), status.Error(codes.NotFound, "secret"), status.Error(codes.Internal, "secret")} {
			got, line := failing(t, err)
			requireReason(t, errorv1.Reason_REASON_INTERNAL, got)
			require.NotContains(t, got.Error(), "secret")
			require.Equal(t, line["trace"], fault.From(got).Metadata["requestId"])
			require.Equal(t, "ERROR", line["level"])
			require.Contains(t, line["error"], "secret")
		}
	})

	t.Run("ADatabaseThatIsAwayIsUnavailable", func(t *testing.T) {
		t.Parallel()
		got, line := failing(t, fmt.Errorf("read usage: %w", io.ErrUnexpectedEOF)) // the connection was cut
		requireReason(t, errorv1.Reason_REASON_UNAVAILABLE, got)
		require.Contains(t, line["error"], "unexpected EOF")
	})

	t.Run("DeadlinesAndDeparturesHaveTheirReasons", func(t *testing.T) {
		t.Parallel()
		for err, want := range map[error]errorv1.Reason{
			context.DeadlineExceeded:                  errorv1.Reason_REASON_DEADLINE_EXCEEDED,
			status.Error(codes.DeadlineExceeded, "x"): errorv1.Reason_REASON_DEADLINE_EXCEEDED,
			context.Canceled:                          errorv1.Reason_REASON_CANCELLED,
		} {
			got, _ := failing(t, fmt.Errorf("query: %w", err))
			requireReason(t, want, got)
		}
	})

	t.Run("APanicIsInternalAndTheServerLivesOn", func(t *testing.T) {
		t.Parallel()
		panics := true
		h := start(t, func(context.Context) error {
			if panics {
				panics = false
				panic("secret")
			}
			return nil
		})
		conn := h.dial(t, "")
		err := usage(t.Context(), conn, asAccount)
		requireReason(t, errorv1.Reason_REASON_INTERNAL, err)
		require.NotContains(t, err.Error(), "secret")
		lines := h.logged.lines(t)
		require.Len(t, lines, 1)
		require.Contains(t, lines[0]["error"], "secret")
		require.Contains(t, lines[0]["stack"], "GetSeatUsage")
		require.NoError(t, usage(t.Context(), conn, asAccount))
	})

	t.Run("SuccessIsQuiet", func(t *testing.T) {
		t.Parallel()
		h := start(t, fine)
		require.NoError(t, usage(t.Context(), h.dial(t, ""), asAccount))
		require.Empty(t, h.logged.lines(t))
	})

	t.Run("AStrangersOrganizationIsNotLogged", func(t *testing.T) {
		t.Parallel()
		require.Empty(t, organizationOf(&billingv1.GetSeatUsageRequest{OrganizationId: "what I wrote"}))
		require.Empty(t, organizationOf(nil))
	})
}

// streamed is a service with a stream, and a rule for accounts.
func streamed(handle grpc.StreamHandler) *grpc.ServiceDesc {
	return &grpc.ServiceDesc{ServiceName: "test.v1.Streamed", HandlerType: (*any)(nil), Streams: []grpc.StreamDesc{
		{StreamName: "Do", Handler: handle, ServerStreams: true, ClientStreams: true}}}
}

func TestStreams(t *testing.T) {
	t.Parallel()
	h := &harness{network: network.Memory(), logged: new(log)}
	lis, creds, err := h.network.Listen("tested", "")
	require.NoError(t, err)
	h.server = New(creds, Config{Role: "tested", Authenticate: authenticate, Log: slog.New(slog.NewJSONHandler(h.logged, nil))})
	h.server.RegisterService(streamed(func(_ any, ss grpc.ServerStream) error {
		var req billingv1.GetSeatUsageRequest
		if err := ss.RecvMsg(&req); err != nil {
			return err
		}
		if req.GetOrganizationId() == "panic" {
			panic("secret")
		}
		return ss.SendMsg(&billingv1.OccupySeatRequest{AccountId: caller.From(ss.Context()).Account.String()})
	}), nil)
	h.server.rules["/test.v1.Streamed/Do"] = &accessv1.Rule{Caller: accessv1.Rule_CALLER_ACCOUNT}
	t.Cleanup(serve(t, h.server, lis))
	conn := h.dial(t, "")

	// do sends an organization and returns the account that the verb saw.
	do := func(t *testing.T, organization string, authorization ...string) (string, error) {
		ctx := t.Context()
		for _, value := range authorization {
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", value)
		}
		stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/test.v1.Streamed/Do")
		require.NoError(t, err)
		if err := stream.SendMsg(&billingv1.GetSeatUsageRequest{OrganizationId: organization}); err != io.EOF { // EOF: refused already
			require.NoError(t, err)
		}
		var answer billingv1.OccupySeatRequest
		err = stream.RecvMsg(&answer)
		return answer.GetAccountId(), err
	}

	t.Run("TheirCallerIsKnown", func(t *testing.T) {
		t.Parallel()
		saw, err := do(t, "x", asAccount)
		require.NoError(t, err)
		require.Equal(t, account.String(), saw)
	})
	t.Run("TheirRuleHolds", func(t *testing.T) {
		t.Parallel()
		_, err := do(t, "x")
		requireReason(t, signIn, err)
		_, err = do(t, "x", asOperator)
		requireReason(t, refused, err)
	})
	t.Run("TheirRequestsAreValid", func(t *testing.T) {
		t.Parallel()
		_, err := do(t, strings.Repeat("x", 65), asAccount)
		requireReason(t, errorv1.Reason_REASON_VALIDATION_FAILED, err)
	})
	t.Run("TheirPanicsAreInternal", func(t *testing.T) {
		t.Parallel()
		_, err := do(t, "panic", asAccount)
		requireReason(t, errorv1.Reason_REASON_INTERNAL, err)
	})
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ asked, want time.Duration }{
		"R60_NoDeadlineIsTheDefault": {0, defaultDeadline},
		"R60_AShortDeadlineIsKept":   {time.Second, time.Second},
		"R60_ALongDeadlineIsCapped":  {time.Hour, maxDeadline},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			if c.asked > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, c.asked)
				defer cancel()
			}
			ctx, cancel := bound(ctx)
			defer cancel()
			deadline, ok := ctx.Deadline()
			require.True(t, ok)
			require.WithinDuration(t, time.Now().Add(c.want), deadline, 500*time.Millisecond)
		})
	}
}

func TestServe(t *testing.T) {
	t.Parallel()

	t.Run("RunningCallsFinish", func(t *testing.T) {
		t.Parallel()
		begun, finish := make(chan struct{}), make(chan struct{})
		h := start(t, func(context.Context) error {
			close(begun)
			<-finish
			return nil
		})
		conn := h.dial(t, "")
		watching, leave := context.WithCancel(t.Context())
		defer leave()
		watch, err := grpc_health_v1.NewHealthClient(conn).Watch(watching, &grpc_health_v1.HealthCheckRequest{})
		require.NoError(t, err)
		answer, err := watch.Recv()
		require.NoError(t, err)
		require.Equal(t, grpc_health_v1.HealthCheckResponse_SERVING, answer.GetStatus())

		called := make(chan error, 1)
		go func() { called <- usage(t.Context(), conn, asAccount) }()
		<-begun
		h.stop()
		answer, err = watch.Recv()
		require.NoError(t, err)
		require.Equal(t, grpc_health_v1.HealthCheckResponse_NOT_SERVING, answer.GetStatus())
		leave()
		close(finish)
		require.NoError(t, <-called)
	})

	t.Run("ItServesOnWhileItLingers", func(t *testing.T) {
		t.Parallel()
		h := start(t, fine, func(c *Config) { c.Linger = 3 * time.Second })
		conn := h.dial(t, "")
		watching, leave := context.WithCancel(t.Context())
		watch, err := grpc_health_v1.NewHealthClient(conn).Watch(watching, &grpc_health_v1.HealthCheckRequest{})
		require.NoError(t, err)
		_, err = watch.Recv()
		require.NoError(t, err)
		h.stop()
		answer, err := watch.Recv()
		require.NoError(t, err)
		require.Equal(t, grpc_health_v1.HealthCheckResponse_NOT_SERVING, answer.GetStatus())
		leave()
		require.NoError(t, usage(t.Context(), h.dial(t, ""), asAccount), "a new connection too")
	})

	t.Run("TheRestIsCut", func(t *testing.T) {
		t.Parallel()
		begun := make(chan struct{})
		h := start(t, func(ctx context.Context) error {
			close(begun)
			<-ctx.Done()
			return ctx.Err()
		})
		h.server.drain = time.Millisecond
		called := make(chan error, 1)
		go func() { called <- usage(t.Context(), h.dial(t, ""), asAccount) }()
		<-begun
		h.stop()
		require.Error(t, <-called)
	})

	t.Run("AClosedListenerIsAnError", func(t *testing.T) {
		t.Parallel()
		lis, creds, err := network.Memory().Listen("tested", "")
		require.NoError(t, err)
		require.NoError(t, lis.Close())
		require.Error(t, New(creds, Config{Role: "tested"}).Serve(t.Context(), lis))
	})

	t.Run("StoppedBeforeItBeginsIsNone", func(t *testing.T) {
		t.Parallel()
		lis, creds, err := network.Memory().Listen("tested", "")
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.NoError(t, New(creds, Config{Role: "tested"}).Serve(ctx, lis))
	})
}

func TestRolesOfOneProcessRegisterAtOnce(t *testing.T) {
	t.Parallel()
	s := New(insecure.NewCredentials(), Config{Role: "edge"})
	var registering sync.WaitGroup
	for _, register := range []func(){
		func() { billingv1.RegisterSeatServiceServer(s, billingv1.UnimplementedSeatServiceServer{}) },
		func() { billingv1.RegisterSeatUsageServiceServer(s, billingv1.UnimplementedSeatUsageServiceServer{}) },
		func() { billingv1.RegisterSeatLimitServiceServer(s, billingv1.UnimplementedSeatLimitServiceServer{}) },
		func() { billingv1.RegisterSeatOwnerServiceServer(s, billingv1.UnimplementedSeatOwnerServiceServer{}) },
	} {
		registering.Go(register)
	}
	registering.Wait()
	require.NotNil(t, s.rules["/roster.billing.v1.SeatService/OccupySeat"])
}
