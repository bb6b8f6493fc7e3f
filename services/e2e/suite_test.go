// Package e2e proves what Roster promises, from outside: the whole suite runs, and tests reach it the way clients do.
// Scenarios carry the ids of the requirements they prove, listed in REQUIREMENTS.md; `go test -run '/S0-13'` runs one.
package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/dev"
	"github.com/rosterhq/roster/services/internal/devdns"
	"github.com/rosterhq/roster/services/internal/devmail"
	"github.com/rosterhq/roster/services/internal/fleet"
	"github.com/rosterhq/roster/services/internal/network"
	"github.com/rosterhq/roster/services/internal/rest"
)

// shape is how the suite runs under the tests: `go test ./services/e2e -shape processes` takes the other one.
var shape = flag.String("shape", "dev", "dev: all roles in one process; processes: two of every role, over TLS")

// only limits the scenarios to one transport: what is slow, such as looking for races, need not do the same work twice.
var only = flag.String("over", "", "gRPC or REST: the only transport that scenarios run over; empty: both")

// suite is the one that runs for all tests; organizations keep them apart, which is itself part of the proof.
var suite struct {
	URL      string
	Mail     *devmail.Inbox
	DNS      *devdns.Server             // where the suite looks for proofs of domains
	operator string                     // API key
	claim    string                     // what the operator was made of, used
	broker   func() (*nats.Conn, error) // for who hears events
	conn     grpc.ClientConnInterface
	owners   map[string]*pgxpool.Pool // of the databases, for what no client can do: let time pass
}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	data, err := os.MkdirTemp("", "roster-e2e-*")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(data)
	if err := os.Chmod(data, 0o711); err != nil { // PostgreSQL's user has to pass through
		return fail(err)
	}
	if *only != "" && !slices.Contains(transports, *only) {
		return fail(fmt.Errorf("there is no transport %q", *only))
	}
	start := map[string]func(context.Context, string) (running, error){"dev": startDev, "processes": startProcesses}[*shape]
	if start == nil {
		return fail(fmt.Errorf("there is no shape %q", *shape))
	}
	if suite.DNS, err = devdns.Start(); err != nil {
		return fail(err)
	}
	defer suite.DNS.Stop()
	ctx := context.Background()
	r, err := start(ctx, data)
	if err != nil {
		return fail(err)
	}
	code := 1
	if err = prepare(ctx, r); err == nil {
		code = m.Run()
	}
	for _, pool := range suite.owners {
		pool.Close()
	}
	if err := errors.Join(err, r.stop()); err != nil {
		code = fail(err)
	}
	if code != 0 {
		logs, _ := filepath.Glob(filepath.Join(data, "*log"))
		for _, log := range logs {
			if text, err := os.ReadFile(log); err == nil {
				text = answered.ReplaceAll(text, nil)
				fmt.Fprintf(os.Stderr, "--- %s ends with\n%s", filepath.Base(log), text[max(0, len(text)-20_000/len(logs)):])
			}
		}
	}
	return code
}

// answered is a line about a request that was answered: thousands, which would hide the few that say what went wrong.
var answered = regexp.MustCompile(`(?m)^.*level=INFO msg=request .*\n`)

// running is the suite in one of its shapes.
type running struct {
	claim string
	owner func(service string) (dsn string)
	stop  func() error
}

// checkpoints is how long a history grows before it is signed.
const checkpoints = 500 * time.Millisecond

// appOrigin is the one origin whose pages may call the suite's API.
const appOrigin = "https://app.example"

// loopback is where the identity providers of tests are.
var loopback = netip.MustParsePrefix("127.0.0.0/8")

func startDev(ctx context.Context, data string) (running, error) {
	logs, err := os.Create(filepath.Join(data, "log"))
	if err != nil {
		return running{}, err
	}
	ctx, stop := context.WithCancel(ctx)
	started := make(chan dev.Addresses, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- dev.Run(ctx, dev.Config{
			Data: data, HTTP: "127.0.0.1:0", GRPC: "127.0.0.1:0", NATS: "127.0.0.1:0", DNS: suite.DNS.Addr(),
			Log: slog.New(slog.NewTextHandler(logs, nil)), Checkpoints: checkpoints, AppOrigins: []string{appOrigin},
			Providers: []netip.Prefix{loopback}, TrustedProxies: 1,
			Started: func(a dev.Addresses) { started <- a },
		})
	}()
	var at dev.Addresses
	select {
	case at = <-started:
	case err := <-ended:
		stop()
		return running{}, err
	}
	conn, err := network.Plain().Dial("", "suite", at.GRPC)
	suite.URL, suite.Mail, suite.conn = at.URL, at.Mail, conn
	suite.broker = func() (*nats.Conn, error) { return nats.Connect(at.NATS) }
	return running{at.Claim, at.Owner, func() error {
		conn.Close()
		stop()
		return errors.Join(<-ended, logs.Close())
	}}, err
}

func startProcesses(ctx context.Context, data string) (running, error) {
	f, err := fleet.Start(ctx, fleet.Config{Dir: data, Copies: 2, Env: []string{
		"ROSTER_DNS_SERVER=" + suite.DNS.Addr(), "ROSTER_CHECKPOINTS=" + checkpoints.String(), "ROSTER_APP_ORIGINS=" + appOrigin, "ROSTER_TRUSTED_PROXIES=1",
		"ROSTER_PROVIDER_NETWORKS=" + loopback.String(), "ROSTER_PROVIDER_PLAIN=true"}})
	if err != nil {
		return running{}, err
	}
	suite.URL, suite.broker, suite.Mail, suite.conn = f.URL, f.ConnectNATS, f.Mail, f.Conn()
	return running{f.Claim, func(service string) string { return f.DSN(service, service+"_owner") }, f.Stop}, nil
}

// prepare makes the first operator, and opens the databases.
func prepare(ctx context.Context, r running) error {
	claimed, err := identityv1.NewOperatorServiceClient(suite.conn).ClaimOperator(ctx, &identityv1.ClaimOperatorRequest{Token: r.claim})
	if err != nil {
		return err
	}
	suite.operator, suite.claim = claimed.GetApiKey(), r.claim
	suite.owners = make(map[string]*pgxpool.Pool)
	for service := range dev.Migrations {
		if suite.owners[service], err = pgxpool.New(ctx, r.owner(service)); err != nil {
			return err
		}
	}
	return nil
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "e2e:", err)
	return 1
}

// transports are the ways to call the suite. Scenarios that are about the API run over each.
var transports = []string{"gRPC", "REST"}

// client is somebody who calls the suite.
type client struct {
	identityv1.AccountServiceClient
	identityv1.SessionServiceClient
	identityv1.PasswordServiceClient
	identityv1.FactorServiceClient
	identityv1.ApiKeyServiceClient
	identityv1.EmailServiceClient
	identityv1.ExportServiceClient
	identityv1.AvatarServiceClient
	identityv1.FederatedSignInServiceClient
	identityv1.FederatedIdentityServiceClient
	identityv1.OperatorServiceClient
	identityv1.OperatorProviderServiceClient
	identityv1.ServiceAccountServiceClient
	identityv1.TokenServiceClient
	membershipv1.OrganizationServiceClient
	membershipv1.RoleServiceClient
	membershipv1.MemberServiceClient
	membershipv1.MemberSessionServiceClient
	membershipv1.BulkMemberServiceClient
	membershipv1.GroupServiceClient
	membershipv1.ProjectServiceClient
	membershipv1.OwnershipServiceClient
	membershipv1.AvailabilityServiceClient
	membershipv1.AvailabilityProviderServiceClient
	membershipv1.AccessServiceClient
	membershipv1.DomainServiceClient
	membershipv1.IdentityProviderServiceClient
	membershipv1.AuditServiceClient
	membershipv1.PermissionServiceClient
	membershipv1.OrganizationServiceAccountServiceClient
	invitationv1.InvitationServiceClient
	billingv1.SeatUsageServiceClient
	billingv1.SeatLimitServiceClient
}

// connect returns a client over one transport, with a session or a key, or anonymous when token is empty.
func connect(transport, token string) client {
	conn := wire(transport, token)
	return client{
		identityv1.NewAccountServiceClient(conn), identityv1.NewSessionServiceClient(conn), identityv1.NewPasswordServiceClient(conn),
		identityv1.NewFactorServiceClient(conn),
		identityv1.NewApiKeyServiceClient(conn),
		identityv1.NewEmailServiceClient(conn),
		identityv1.NewExportServiceClient(conn),
		identityv1.NewAvatarServiceClient(conn),
		identityv1.NewFederatedSignInServiceClient(conn), identityv1.NewFederatedIdentityServiceClient(conn), identityv1.NewOperatorServiceClient(conn),
		identityv1.NewOperatorProviderServiceClient(conn),
		identityv1.NewServiceAccountServiceClient(conn), identityv1.NewTokenServiceClient(conn),
		membershipv1.NewOrganizationServiceClient(conn), membershipv1.NewRoleServiceClient(conn),
		membershipv1.NewMemberServiceClient(conn), membershipv1.NewMemberSessionServiceClient(conn), membershipv1.NewBulkMemberServiceClient(conn), membershipv1.NewGroupServiceClient(conn), membershipv1.NewProjectServiceClient(conn),
		membershipv1.NewOwnershipServiceClient(conn),
		membershipv1.NewAvailabilityServiceClient(conn), membershipv1.NewAvailabilityProviderServiceClient(conn),
		membershipv1.NewAccessServiceClient(conn), membershipv1.NewDomainServiceClient(conn),
		membershipv1.NewIdentityProviderServiceClient(conn),
		membershipv1.NewAuditServiceClient(conn), membershipv1.NewPermissionServiceClient(conn),
		membershipv1.NewOrganizationServiceAccountServiceClient(conn),
		invitationv1.NewInvitationServiceClient(conn),
		billingv1.NewSeatUsageServiceClient(conn), billingv1.NewSeatLimitServiceClient(conn),
	}
}

// wire carries the calls of somebody over one transport.
func wire(transport, token string) grpc.ClientConnInterface {
	if transport == "REST" {
		return &rest.Conn{URL: suite.URL, Token: token, HTTP: http.DefaultClient}
	}
	return bearer{suite.conn, token}
}

// bearer sends a credential with every call.
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

func (b bearer) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	if b.token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+b.token)
	}
	return b.ClientConnInterface.NewStream(ctx, desc, method, opts...)
}

// each runs a scenario over every transport that was asked for.
func each(t *testing.T, scenario func(t *testing.T, transport string)) {
	t.Helper()
	for _, transport := range transports {
		if *only != "" && *only != transport {
			continue
		}
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			scenario(t, transport)
		})
	}
}

// eventually waits for something that follows soon.
func eventually(t *testing.T, holds func() bool, what string) {
	t.Helper()
	require.Eventually(t, holds, 20*time.Second, 20*time.Millisecond, what)
}

// scenario runs one requirement's scenario over every transport. Its name begins with the ids that it proves.
func scenario(t *testing.T, name string, prove func(t *testing.T, over string)) {
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		each(t, prove)
	})
}
