package certs_test

import (
	"crypto/tls"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/rosterhq/roster/services/internal/certs"
	"github.com/rosterhq/roster/services/internal/network"
)

var now = time.Now()

const day = 24 * time.Hour

func renew(t *testing.T, dir string, at time.Time, roles ...string) map[string]certs.Certificate {
	t.Helper()
	all, err := certs.Renew(dir, roles, nil, at)
	require.NoError(t, err)
	byName := make(map[string]certs.Certificate)
	for _, c := range all {
		byName[c.Name] = c
	}
	return byName
}

func tlsFiles(dir, role string) network.TLSFiles {
	return network.TLSFiles{Cert: filepath.Join(dir, role+".pem"), Key: filepath.Join(dir, role+".key"), CA: filepath.Join(dir, "ca.pem")}
}

// call lets one role call another over TLS, each with the certificates of a folder.
func call(t *testing.T, from, to string, fromDir, toDir string) error {
	t.Helper()
	server, err := network.TLS(tlsFiles(toDir, to))
	require.NoError(t, err)
	lis, creds, err := server.Listen(to, "localhost:0")
	require.NoError(t, err)
	serving := grpc.NewServer(grpc.Creds(creds))
	grpc_health_v1.RegisterHealthServer(serving, health.NewServer())
	go serving.Serve(lis)
	defer serving.Stop()

	client, err := network.TLS(tlsFiles(fromDir, from))
	require.NoError(t, err)
	conn, err := client.Dial(from, to, lis.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	_, err = grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	return err
}

func TestRenew(t *testing.T) {
	t.Parallel()

	t.Run("RolesBelieveEachOther", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		renew(t, dir, now, "membership", "billing")
		require.NoError(t, call(t, "membership", "billing", dir, dir))
		require.NoError(t, call(t, "billing", "membership", dir, dir))
	})

	t.Run("AnotherAuthorityIsNotBelieved", func(t *testing.T) {
		t.Parallel()
		ours, theirs := t.TempDir(), t.TempDir()
		renew(t, ours, now, "billing")
		renew(t, theirs, now, "membership")
		require.Error(t, call(t, "membership", "billing", theirs, ours))
	})

	t.Run("ACertificateNamesItsRoleForAYear", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		made := renew(t, dir, now, "gateway")["gateway"]
		pair, err := tls.LoadX509KeyPair(made.File, filepath.Join(dir, "gateway.key"))
		require.NoError(t, err)
		require.Equal(t, []*url.URL{{Scheme: "roster", Host: "gateway"}}, pair.Leaf.URIs)
		require.False(t, pair.Leaf.IsCA)
		require.WithinDuration(t, now.Add(365*day), made.Until, time.Second)
		require.True(t, pair.Leaf.NotBefore.Before(now))
	})

	t.Run("KeysAreForTheirOwnerOnly", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		renew(t, dir, now, "gateway")
		for file, mode := range map[string]os.FileMode{"ca.key": 0o600, "gateway.key": 0o600, "ca.pem": 0o644, "gateway.pem": 0o644} {
			info, err := os.Stat(filepath.Join(dir, file))
			require.NoError(t, err)
			require.Equal(t, mode, info.Mode(), file)
		}
		left, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Len(t, left, 4, "nothing half made stays")
	})

	t.Run("AgainKeepsWhatIsGood", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		first := renew(t, dir, now, "gateway")
		require.True(t, first["ca"].Made)
		require.True(t, first["gateway"].Made)
		second := renew(t, dir, now.Add(200*day), "gateway", "billing")
		require.False(t, second["ca"].Made)
		require.False(t, second["gateway"].Made)
		require.True(t, second["billing"].Made, "a role that is new")
	})

	t.Run("NearTheEndItIsRenewed", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		renew(t, dir, now, "gateway")
		renewed := renew(t, dir, now.Add(300*day), "gateway")
		require.False(t, renewed["ca"].Made)
		require.True(t, renewed["gateway"].Made)
		require.WithinDuration(t, now.Add(665*day), renewed["gateway"].Until, time.Second)
	})

	t.Run("ARenewedAuthorityIsBelievedByWhoHasTheOldOne", func(t *testing.T) {
		t.Parallel()
		dir, late := t.TempDir(), t.TempDir()
		renew(t, dir, now.Add(-9*365*day))
		copyFile(t, filepath.Join(dir, "ca.pem"), filepath.Join(late, "ca.pem"))
		copyFile(t, filepath.Join(dir, "ca.key"), filepath.Join(late, "ca.key"))
		renew(t, late, now.Add(-300*day), "billing")
		require.True(t, renew(t, dir, now.Add(-day), "gateway")["ca"].Made)
		require.NoError(t, call(t, "gateway", "billing", dir, late))
		require.NoError(t, call(t, "billing", "gateway", late, dir))
	})

	t.Run("SpoiltFilesOfARoleAreMadeAgain", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		renew(t, dir, now, "gateway", "billing")
		copyFile(t, filepath.Join(dir, "billing.key"), filepath.Join(dir, "gateway.key"))
		again := renew(t, dir, now, "gateway", "billing")
		require.True(t, again["gateway"].Made)
		require.False(t, again["billing"].Made)
		copyFile(t, filepath.Join(dir, "billing.key"), filepath.Join(dir, "gateway.key"))
		copyFile(t, filepath.Join(dir, "billing.pem"), filepath.Join(dir, "gateway.pem"))
		require.True(t, renew(t, dir, now, "gateway")["gateway"].Made, "another role's")
	})

	t.Run("AServerIsKnownByItsHosts", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		made := func(hosts ...string) certs.Certificate {
			all, err := certs.Renew(dir, []string{"nats", "gateway"}, map[string][]string{"nats": hosts}, now)
			require.NoError(t, err)
			return all[1]
		}
		made("nats.internal", "10.0.0.7")
		pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "nats.pem"), filepath.Join(dir, "nats.key"))
		require.NoError(t, err)
		require.NoError(t, pair.Leaf.VerifyHostname("nats.internal"))
		require.NoError(t, pair.Leaf.VerifyHostname("10.0.0.7"))
		require.Equal(t, []*url.URL{{Scheme: "roster", Host: "nats"}}, pair.Leaf.URIs)
		require.False(t, made("nats.internal", "10.0.0.7").Made)
		require.True(t, made("nats.internal", "10.0.0.8").Made, "it moved")
		pair, err = tls.LoadX509KeyPair(filepath.Join(dir, "gateway.pem"), filepath.Join(dir, "gateway.key"))
		require.NoError(t, err)
		require.Error(t, pair.Leaf.VerifyHostname("nats.internal"))
	})

	t.Run("HalfAnAuthorityIsRefused", func(t *testing.T) {
		t.Parallel()
		for _, missing := range []string{"ca.pem", "ca.key"} {
			dir := t.TempDir()
			renew(t, dir, now, "gateway")
			require.NoError(t, os.Remove(filepath.Join(dir, missing)))
			_, err := certs.Renew(dir, []string{"gateway"}, nil, now)
			require.ErrorContains(t, err, "one is missing")
		}
	})

	t.Run("ANameThatIsNoRoleIsRefused", func(t *testing.T) {
		t.Parallel()
		for _, role := range []string{"", "ca", "../ca", "Membership", "a/b", "a b"} {
			_, err := certs.Renew(t.TempDir(), []string{role}, nil, now)
			require.ErrorContains(t, err, "no name for a certificate", role)
		}
	})
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(to, content, 0o600))
}
