// Package roles proves that every role runs alone: five processes of the binary that is shipped, each with its own
// database, key, certificate and addresses, joined by nothing but gRPC and events.
package roles

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/internal/devmail"
	"github.com/rosterhq/roster/services/internal/devnats"
	"github.com/rosterhq/roster/services/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const grace = 15 * time.Second // to start, and to end

var (
	stateful = []string{"membership", "invitation", "identity", "billing"}
	all      = append(slices.Clone(stateful), "gateway")
)

// suite is what the roles stand on, and where they are.
type suite struct {
	rosterd string // the binary
	folder  string
	mail    *devmail.Inbox
	nats    string
	dsn     func(database, user string) string

	internal, admin map[string]string // addresses, by role
	public, web     string            // of membership for clients, and of the gateway

	running map[string]*process
}

// newSuite builds the binary and prepares the ground as an administrator does: databases, migrations, keys, certificates.
func newSuite(t *testing.T) *suite {
	t.Helper()
	s := &suite{folder: t.TempDir(), dsn: testkit.Cluster(t).DSN, running: make(map[string]*process)}
	s.rosterd = filepath.Join(s.folder, "rosterd")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", s.rosterd, "../../cmd/rosterd")
	said, err := build.CombinedOutput()
	require.NoError(t, err, "%s", said)

	broker, err := devnats.Start(t.TempDir(), "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(broker.Stop)
	s.nats = broker.URL()
	s.mail, err = devmail.Start(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { s.mail.Stop() })

	for _, service := range stateful {
		s.do(t, "provision", service, "--admin-database-url", s.dsn("postgres", "postgres"))
		s.do(t, "migrate", service, "--owner-database-url", s.dsn(service, service+"_owner"))
		s.write(t, service+".secret", base64.StdEncoding.EncodeToString(random()))
	}
	s.do(t, "certs", "--out", filepath.Join(s.folder, "certs"))
	s.settle(t)
	return s
}

// settle finds free addresses for everything that listens.
func (s *suite) settle(t *testing.T) {
	t.Helper()
	var held []net.Listener // until all are found, so that none is found twice
	address := func() string {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		held = append(held, lis)
		return lis.Addr().String()
	}
	s.internal, s.admin = make(map[string]string), make(map[string]string)
	for _, role := range all {
		s.internal[role], s.admin[role] = address(), address()
	}
	s.public, s.web = address(), address()
	for _, lis := range held {
		require.NoError(t, lis.Close())
	}
}

func (s *suite) cert(file string) string { return filepath.Join(s.folder, "certs", file) }

func (s *suite) write(t *testing.T, name, content string) (path string) {
	t.Helper()
	path = filepath.Join(s.folder, name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// do runs a command that ends by itself.
func (s *suite) do(t *testing.T, args ...string) {
	t.Helper()
	said, err := exec.CommandContext(t.Context(), s.rosterd, args...).CombinedOutput()
	require.NoError(t, err, "rosterd %s: %s", strings.Join(args, " "), said)
}

// refused runs a command that must fail, and returns what it says.
func (s *suite) refused(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), grace)
	defer cancel()
	said, err := exec.CommandContext(ctx, s.rosterd, args...).CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit, "%s", said)
	require.Equal(t, 1, exit.ExitCode(), "%s", said)
	return string(said)
}

// process is a role that runs.
type process struct {
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
	err   error // how it ended; read after ended
}

// start starts a role with flags, and variables of the environment.
func (s *suite) start(t *testing.T, role string, flags []string, env ...string) {
	t.Helper()
	log, err := os.Create(filepath.Join(s.folder, role+".log"))
	require.NoError(t, err)
	defer log.Close()
	p := &process{cmd: exec.Command(s.rosterd, append([]string{role}, flags...)...), log: log.Name(), ended: make(chan struct{})}
	p.cmd.Env = append(env, "PATH="+os.Getenv("PATH"))
	p.cmd.Stdout, p.cmd.Stderr = log, log
	require.NoError(t, p.cmd.Start())
	go func() {
		defer close(p.ended)
		p.err = p.cmd.Wait()
	}()
	s.running[role] = p
	t.Cleanup(func() {
		p.cmd.Process.Kill() // unless it has ended
		<-p.ended
		if t.Failed() {
			text, _ := os.ReadFile(p.log)
			t.Logf("--- %s said\n%s", role, text)
		}
	})
}

// stop asks all roles to end, at once, and expects that they do so well and soon.
func (s *suite) stop(t *testing.T) {
	t.Helper()
	for _, p := range s.running {
		require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	}
	late := time.After(grace)
	for role, p := range s.running {
		select {
		case <-p.ended:
			require.NoError(t, p.err, "%s ends well", role)
		case <-late:
			require.Fail(t, role+" does not end")
		}
	}
}

func random() []byte {
	bytes := make([]byte, 32)
	rand.Read(bytes) // never fails
	return bytes
}

// flags, variables and file are the three ways to give settings to a role.
func flags(settings map[string]string) (args []string) {
	for name, value := range settings {
		args = append(args, "--"+name+"="+value)
	}
	return args
}

func variables(settings map[string]string) (env []string) {
	for name, value := range settings {
		env = append(env, "ROSTER_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))+"="+value)
	}
	return env
}

func file(settings map[string]string) string {
	var b strings.Builder
	for name, value := range settings {
		fmt.Fprintf(&b, "%s: %q\n", name, value)
	}
	return b.String()
}

// with returns settings of which some are changed, or with "" taken away.
func with(settings map[string]string, changes ...string) map[string]string {
	changed := maps.Clone(settings)
	for pair := range slices.Chunk(changes, 2) {
		if changed[pair[0]] = pair[1]; pair[1] == "" {
			delete(changed, pair[0])
		}
	}
	return changed
}
