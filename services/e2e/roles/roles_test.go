package roles

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/rosterhq/roster/services/internal/network"
)

func TestRoles(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	t.Run("WhatIsMissingIsSaid", s.whatIsMissingIsSaid)
	s.startAll(t)
	for _, role := range all {
		s.awaitReady(t, role)
	}
	t.Run("MainJob", s.mainJob)
	t.Run("Metrics", s.metrics)
	t.Run("Health", s.health)
	t.Run("R55_NoRoleCallsWhatIsNotForIt", s.noRoleCallsWhatIsNotForIt)
	t.Run("R55_NoClientCallsWhatIsForServices", s.noClientCallsWhatIsForServices)
	t.Run("R55_OnlyACertificateOfOursOpensADoor", s.onlyACertificateOfOursOpensADoor)
	s.stop(t)
}

// startAll starts each role in another way: flags, the environment, a file, and all of them together.
func (s *suite) startAll(t *testing.T) {
	t.Helper()
	shared := func(role string) map[string]string { // what every role is told
		settings := map[string]string{
			"admin": s.admin[role], "public-url": "http://" + s.web, "nats-url": s.nats,
			"tls-ca": s.cert("ca.pem"), "tls-cert": s.cert(role + ".pem"), "tls-key": s.cert(role + ".key"),
		}
		for _, service := range stateful {
			settings[service] = s.internal[service]
		}
		return settings
	}
	own := func(service string) map[string]string { // and what those with a database are told beside it
		settings := shared(service)
		settings["database-url"] = s.dsn(service, service)
		settings["key-file"] = filepath.Join(s.folder, service+".secret")
		settings["smtp-addr"] = s.mail.Addr()
		settings["nats-replicas"] = "1"
		return settings
	}

	byFlags := own("membership")
	byFlags["public-listen"] = s.public
	s.start(t, "membership", flags(byFlags))

	s.start(t, "invitation", nil, variables(own("invitation"))...)

	inFile := own("identity")
	inFile["database-url-file"] = s.write(t, "identity.dsn", inFile["database-url"]+"\n")
	delete(inFile, "database-url")
	s.start(t, "identity", []string{"--config", s.write(t, "identity.yaml", file(inFile))})

	mixed := own("billing")
	s.start(t, "billing", []string{"--nats-replicas", mixed["nats-replicas"]},
		"ROSTER_CONFIG="+s.write(t, "billing.yaml", file(with(mixed, "nats-replicas", "9", "nats-url", "nats://nobody:1"))),
		"ROSTER_NATS_URL="+mixed["nats-url"], "ROSTER_NATS_REPLICAS=7")

	s.start(t, "gateway", []string{"--http", s.web}, variables(shared("gateway"))...)
}

func (s *suite) whatIsMissingIsSaid(t *testing.T) {
	good := map[string]string{
		"tls-ca": s.cert("ca.pem"), "tls-cert": s.cert("billing.pem"), "tls-key": s.cert("billing.key"),
		"database-url": s.dsn("billing", "billing"), "key-file": filepath.Join(s.folder, "billing.secret"),
		"smtp-addr": s.mail.Addr(), "nats-url": s.nats, "listen": "127.0.0.1:0",
	}
	for name, c := range map[string]struct {
		change []string // settings and their values; "" takes one away
		says   string
	}{
		"NoCertificate":              {[]string{"tls-cert", ""}, "ROSTER_TLS_CERT, ROSTER_TLS_KEY and ROSTER_TLS_CA are required"},
		"NoDatabase":                 {[]string{"database-url", ""}, "ROSTER_DATABASE_URL or ROSTER_DATABASE_URL_FILE is required"},
		"NoKey":                      {[]string{"key-file", ""}, "ROSTER_KEY_FILE is required"},
		"NoMailServer":               {[]string{"smtp-addr", ""}, "ROSTER_SMTP_ADDR is required"},
		"ACertificateThatIsNotThere": {[]string{"tls-cert", "/nowhere/billing.pem"}, "/nowhere/billing.pem: no such file"},
		"AnotherRolesCertificate":    {[]string{"tls-cert", s.cert("gateway.pem"), "tls-key", s.cert("gateway.key")}, `is the certificate of "gateway", not of "billing"`},
		"AKeyThatIsNotThere":         {[]string{"key-file", "/nowhere/key"}, "/nowhere/key: no such file"},
		"AKeyThatIsNone":             {[]string{"key-file", s.cert("billing.key")}, "billing.key"},
		"ADatabaseThatIsNotThere":    {[]string{"database-url", s.dsn("nowhere", "billing")}, "billing database"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, s.refused(t, append([]string{"billing"}, flags(with(good, c.change...))...)...), c.says)
		})
	}
}

// awaitReady waits until a role says that it is ready.
func (s *suite) awaitReady(t *testing.T, role string) {
	t.Helper()
	require.Eventually(t, func() bool {
		answer, err := http.Get("http://" + s.admin[role] + "/readyz")
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	}, grace, 20*time.Millisecond, role+" is ready")
}

func (s *suite) metrics(t *testing.T) {
	for role, metric := range map[string]string{
		"membership": "rpc_server_call_duration_seconds", "invitation": "rpc_server_call_duration_seconds",
		"identity": "rpc_server_call_duration_seconds", "billing": "rpc_server_call_duration_seconds",
		"gateway": "rpc_client_call_duration_seconds",
	} {
		for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
			answer, err := http.Get("http://" + s.admin[role] + path)
			require.NoError(t, err)
			body, err := io.ReadAll(answer.Body)
			answer.Body.Close()
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, answer.StatusCode, "%s%s: %s", role, path, body)
			if path == "/metrics" {
				require.True(t, strings.Contains(string(body), "process_cpu_seconds_total"), role)
				require.True(t, strings.Contains(string(body), metric), "%s tells %s", role, metric)
			}
		}
	}
}

// health asks each service as another role does, with a certificate, and membership as a client does, without.
func (s *suite) health(t *testing.T) {
	asGateway, err := network.TLS(network.TLSFiles{Cert: s.cert("gateway.pem"), Key: s.cert("gateway.key"), CA: s.cert("ca.pem")})
	require.NoError(t, err)
	for _, service := range stateful {
		conn, err := asGateway.Dial("gateway", service, s.internal[service])
		require.NoError(t, err)
		serving(t, conn)
		stranger, err := network.Plain().Dial("", service, s.internal[service])
		require.NoError(t, err)
		_, err = grpc_health_v1.NewHealthClient(stranger).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
		require.Error(t, err, "%s answers nobody without a certificate", service)
		require.NoError(t, stranger.Close())
	}
	conn, err := network.Plain().Dial("", "membership", s.public)
	require.NoError(t, err)
	serving(t, conn)
}

func serving(t *testing.T, conn *grpc.ClientConn) {
	t.Helper()
	defer conn.Close()
	health, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	require.NoError(t, err)
	require.Equal(t, grpc_health_v1.HealthCheckResponse_SERVING, health.GetStatus())
}
