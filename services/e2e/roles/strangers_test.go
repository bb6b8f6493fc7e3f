package roles

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/rosterhq/roster/pkg/fault"
	accessv1 "github.com/rosterhq/roster/pkg/gen/roster/access/v1"
	_ "github.com/rosterhq/roster/pkg/gen/roster/billing/v1" // known to the registry
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	_ "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	_ "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	_ "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/e2e/callers"
	"github.com/rosterhq/roster/services/internal/certs"
	"github.com/rosterhq/roster/services/internal/network"
	"github.com/rosterhq/roster/services/internal/server"
)

// noRoleCallsWhatIsNotForIt calls every method everywhere with every certificate there is, the empty request in hand and nobody
// signed in: where there is the method, the services that the table of callers names pass, whatever becomes of it then, and no other does.
func (s *suite) noRoleCallsWhatIsNotForIt(t *testing.T) {
	conns := make(map[string]*grpc.ClientConn) // by caller and service
	certificates := append(slices.Clone(all), "nats")
	for _, from := range certificates {
		as, err := network.TLS(network.TLSFiles{Cert: s.cert(from + ".pem"), Key: s.cert(from + ".key"), CA: s.cert("ca.pem")})
		require.NoError(t, err)
		for _, to := range stateful {
			conns[from+" "+to] = dial(t, as, from, to, s.internal[to])
		}
	}
	_, rows, err := callers.Table()
	require.NoError(t, err)
	for _, row := range rows {
		m := named(t, row.Method)
		if m.rule.GetCaller() == accessv1.Rule_CALLER_ANYONE {
			continue
		}
		no := errorv1.Reason_REASON_UNAUTHENTICATED
		if m.rule.GetCaller() == accessv1.Rule_CALLER_SERVICE {
			no = errorv1.Reason_REASON_CALLER_REFUSED
		}
		served := 0
		for _, to := range stateful {
			heard := make(map[bool][]errorv1.Reason) // by whether the table names the caller
			for _, from := range certificates {
				listed := slices.Contains(row.Services, from)
				heard[listed] = append(heard[listed], fault.ReasonOf(m.call(t, conns[from+" "+to])))
			}
			if slices.Contains(heard[false], errorv1.Reason_REASON_ROUTE_NOT_FOUND) {
				require.Subset(t, []errorv1.Reason{errorv1.Reason_REASON_ROUTE_NOT_FOUND}, append(heard[true], heard[false]...), "%s at %s", m.name, to)
				continue
			}
			served++
			require.NotContains(t, heard[true], no, "%s at %s", m.name, to)
			require.NotEmpty(t, heard[false])
			require.Subset(t, []errorv1.Reason{no}, heard[false], "%s at %s", m.name, to)
		}
		require.NotZero(t, served, m.name)
	}
}

// noClientCallsWhatIsForServices does so at the door for clients, where nobody shows a certificate: there are no such methods.
func (s *suite) noClientCallsWhatIsForServices(t *testing.T) {
	conn := dial(t, network.Plain(), "", "membership", s.public)
	asked := 0
	for _, m := range methods() {
		if m.rule.GetCaller() != accessv1.Rule_CALLER_SERVICE || !strings.HasPrefix(m.name, "/roster.membership.") {
			continue
		}
		asked++
		require.Equal(t, errorv1.Reason_REASON_ROUTE_NOT_FOUND, fault.ReasonOf(m.call(t, conn)), m.name)
	}
	require.NotZero(t, asked)
}

// method is one of the suite's.
type method struct {
	name string // /roster.billing.v1.SeatService/OccupySeat
	desc protoreflect.MethodDescriptor
	rule *accessv1.Rule
}

func (m method) call(t *testing.T, conn *grpc.ClientConn) error {
	return conn.Invoke(t.Context(), m.name, dynamicpb.NewMessage(m.desc.Input()), dynamicpb.NewMessage(m.desc.Output()))
}

// methods are all that the suite has.
func methods() (found []method) {
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for name, rule := range server.Rules(service) {
				if rule != nil {
					found = append(found, method{name, service.Methods().ByName(protoreflect.Name(filepath.Base(name))), rule})
				}
			}
		}
		return true
	})
	return found
}

// named is the method of that name: no two services have the same.
func named(t *testing.T, name string) method {
	t.Helper()
	all := methods()
	i := slices.IndexFunc(all, func(m method) bool { return filepath.Base(m.name) == name })
	require.NotEqual(t, -1, i, name)
	return all[i]
}

// onlyACertificateOfOursOpensADoor knocks at the internal door of every service.
func (s *suite) onlyACertificateOfOursOpensADoor(t *testing.T) {
	gateway, err := tls.LoadX509KeyPair(s.cert("gateway.pem"), s.cert("gateway.key"))
	require.NoError(t, err)

	expired := t.TempDir() // ours, from a year that is over
	for _, file := range []string{"ca.pem", "ca.key"} {
		require.NoError(t, os.Link(s.cert(file), filepath.Join(expired, file)))
	}
	ended := certificate(t, expired, time.Now().AddDate(-2, 0, 0))

	for name, c := range map[string]struct {
		client *tls.Config
		says   string // the server, in its alert; "" that it goes on
	}{
		"OurCertificate":              {&tls.Config{Certificates: []tls.Certificate{gateway}}, ""},
		"NoCertificate":               {&tls.Config{}, "certificate required"},
		"ACertificateOfOthers":        {&tls.Config{Certificates: []tls.Certificate{certificate(t, t.TempDir(), time.Now())}}, "unknown certificate authority"},
		"ACertificateThatHasEnded":    {&tls.Config{Certificates: []tls.Certificate{ended}}, "expired certificate"},
		"OurCertificateOverAnOldTLS":  {&tls.Config{Certificates: []tls.Certificate{gateway}, MaxVersion: tls.VersionTLS12}, "protocol version not supported"},
		"NoCertificateOverAnOldTLS":   {&tls.Config{MaxVersion: tls.VersionTLS12}, "protocol version not supported"},
		"AnotherProtocolThanTheirsIs": {&tls.Config{Certificates: []tls.Certificate{gateway}, NextProtos: []string{"imap"}}, "no application protocol"},
	} {
		c.client.InsecureSkipVerify = true // whom the server lets in is the question here
		if c.client.NextProtos == nil {
			c.client.NextProtos = []string{"h2"}
		}
		for _, service := range stateful {
			err := knock(s.internal[service], c.client)
			if c.says == "" {
				require.NoError(t, err, "%s: %s", name, service)
			} else {
				require.ErrorContains(t, err, c.says, "%s: %s", name, service)
			}
		}
	}

	asGateway, err := network.TLS(network.TLSFiles{Cert: s.cert("gateway.pem"), Key: s.cert("gateway.key"), CA: s.cert("ca.pem")})
	require.NoError(t, err)
	for name, conn := range map[string]*grpc.ClientConn{
		"PlainText": dial(t, network.Plain(), "", "billing", s.internal["billing"]),
		"Another":   dial(t, asGateway, "gateway", "billing", s.internal["identity"]), // who answers is not who was called
	} {
		_, err = grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
		require.Equal(t, codes.Unavailable, status.Code(err), "%s: %v", name, err)
	}
}

// knock opens a connection and waits for the first word of the server: with TLS 1.3 a refusal comes after the handshake.
func knock(address string, client *tls.Config) error {
	conn, err := tls.Dial("tcp", address, client)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(grace)); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 1))
	return err
}

// certificate makes one of the gateway, as it would have been made at that time, by the authority in the folder.
func certificate(t *testing.T, dir string, made time.Time) tls.Certificate {
	t.Helper()
	_, err := certs.Renew(dir, []string{"gateway"}, nil, made)
	require.NoError(t, err)
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "gateway.pem"), filepath.Join(dir, "gateway.key"))
	require.NoError(t, err)
	return pair
}

func dial(t *testing.T, n network.Network, from, to, address string) *grpc.ClientConn {
	t.Helper()
	conn, err := n.Dial(from, to, address)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}
