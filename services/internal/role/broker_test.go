package role

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/events"

	"github.com/rosterhq/roster/services/internal/certs"
	"github.com/rosterhq/roster/services/internal/id"
)

const soon = 30 * time.Second

// consumers are the durable consumers of each service, and whom they hear.
var consumers = map[string]struct {
	name  string
	hears []string
}{
	"membership": {"membership-people", []string{"membership", "invitation", "billing", "identity"}},
	"invitation": {"invitation-organizations", []string{"membership", "identity"}},
	"billing":    {"billing-organizations", []string{"membership"}},
	"identity":   {"identity-members", []string{"membership"}},
}

// natsServer builds the server once.
var natsServer = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "roster-nats-*")
	if err != nil {
		return "", err
	}
	said, err := exec.Command("go", "build", "-o", filepath.Join(dir, "nats-server"), "github.com/nats-io/nats-server/v2").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, said)
	}
	return filepath.Join(dir, "nats-server"), nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if server, err := natsServer(); err == nil {
		os.RemoveAll(filepath.Dir(server))
	}
	os.Exit(code)
}

// broker is a NATS server of its own process, with the configuration of production.
type broker struct {
	certs        string
	url          string
	organization string // that the subscriber may hear
}

func startBroker(t *testing.T) *broker {
	t.Helper()
	b := &broker{certs: newCerts(t), organization: id.NewOrganization().String()}
	config, err := os.ReadFile("../../../deploy/nats/nats-server.conf")
	require.NoError(t, err)
	example := "org_00000000000000000000000000"
	require.Equal(t, 1, strings.Count(string(config), example))
	file := filepath.Join(t.TempDir(), "nats-server.conf")
	require.NoError(t, os.WriteFile(file, []byte(strings.ReplaceAll(string(config), example, b.organization)), 0o600))
	address := free(t, 1)[0]
	b.url = "tls://" + address
	runServer(t, b.certs, file, address)
	return b
}

func newCerts(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	names := append(events.Services(), "gateway", "nats", "operator", "subscriber", "stranger")
	_, err := certs.Renew(dir, names, map[string][]string{"nats": {"localhost", "127.0.0.1"}}, time.Now())
	require.NoError(t, err)
	return dir
}

func runServer(t *testing.T, certs, config, address string, env ...string) {
	t.Helper()
	server, err := natsServer()
	require.NoError(t, err)
	cmd := exec.Command(server, "-c", config)
	cmd.Env = append(env, "ROSTER_NATS_LISTEN="+address, "ROSTER_NATS_STORE="+t.TempDir(),
		"ROSTER_NATS_TLS_CERT="+filepath.Join(certs, "nats.pem"), "ROSTER_NATS_TLS_KEY="+filepath.Join(certs, "nats.key"),
		"ROSTER_NATS_TLS_CA="+filepath.Join(certs, "ca.pem"))
	log, err := os.Create(filepath.Join(t.TempDir(), "nats.log"))
	require.NoError(t, err)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			said, _ := os.ReadFile(log.Name())
			t.Logf("--- the NATS server's log ends with\n%s", said[max(0, len(said)-2000):])
		}
		log.Close()
	})
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	}, soon, 10*time.Millisecond, "the NATS server listens")
}

// free finds addresses where nobody listens.
func free(t *testing.T, n int) (found []string) {
	t.Helper()
	for range n {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer lis.Close() // when all are found, so that none is found twice
		found = append(found, lis.Addr().String())
	}
	return found
}

func (b *broker) settings(name string) Common {
	return Common{NATS: b.url, TLSCert: filepath.Join(b.certs, name+".pem"), TLSKey: filepath.Join(b.certs, name+".key"), TLSCA: filepath.Join(b.certs, "ca.pem")}
}

// as connects as a role does, or another user of NATS.
func (b *broker) as(t *testing.T, name string) *nats.Conn {
	t.Helper()
	conn, err := connect(name, b.settings(name), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	require.Eventually(t, conn.IsConnected, soon, 10*time.Millisecond, "%s: %v", name, conn.LastError())
	return conn
}

func (b *broker) js(t *testing.T, name string) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(b.as(t, name))
	require.NoError(t, err)
	return js
}

// mayPublish asks the server, which says a refusal before it answers the ping of Flush.
func mayPublish(t *testing.T, conn *nats.Conn, subject string) bool {
	t.Helper()
	require.NoError(t, conn.Publish(subject, nil))
	return allowed(t, conn, fmt.Sprintf("Publish to %q", subject))
}

func maySubscribe(t *testing.T, conn *nats.Conn, subject string) bool {
	t.Helper()
	subscription, err := conn.SubscribeSync(subject)
	require.NoError(t, err)
	defer subscription.Unsubscribe()
	return allowed(t, conn, fmt.Sprintf("Subscription to %q", subject))
}

func allowed(t *testing.T, conn *nats.Conn, what string) bool {
	t.Helper()
	require.NoError(t, conn.FlushTimeout(soon))
	refusal := conn.LastError()
	return refusal == nil || !strings.Contains(refusal.Error(), what)
}
