package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/rosterhq/roster/services/internal/network"
)

// startBroker starts a NATS server with the configuration of production: mutual TLS, and permissions by certificate.
func (f *Fleet) startBroker(ctx context.Context) error {
	server, err := build(ctx, f.path("nats-server"), "github.com/nats-io/nats-server/v2")
	if err != nil {
		return err
	}
	config, err := BrokerConfig(ctx)
	if err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(f.monitor)
	if err != nil {
		return err
	}
	f.Broker = &Process{
		Name: "nats", Role: "nats",
		path: server, args: []string{"-c", config, "--name", "fleet", "-m", port}, log: f.path("nats.log"),
		env: []string{
			"ROSTER_NATS_LISTEN=" + strings.TrimPrefix(f.NATS, "tls://"), "ROSTER_NATS_STORE=" + f.path("nats"),
			"ROSTER_NATS_TLS_CERT=" + f.path("certs/nats.pem"), "ROSTER_NATS_TLS_KEY=" + f.path("certs/nats.key"),
			"ROSTER_NATS_TLS_CA=" + f.path("certs/ca.pem"),
		},
		readyz: "http://" + f.monitor + "/healthz?js-enabled-only=true",
	}
	if err := f.Broker.Start(ctx); err != nil {
		return err
	}
	return f.Broker.Ready(ctx)
}

// BrokerConfig finds the configuration of the NATS server in this repository.
func BrokerConfig(ctx context.Context) (file string, err error) {
	said, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/rosterhq/roster/services").Output()
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	file = filepath.Join(string(bytes.TrimSpace(said)), "..", "deploy", "nats", "nats-server.conf")
	_, err = os.Stat(file)
	return file, err
}

// ConnectNATS connects to NATS as an operator, who hears everything. Close the connection before the fleet stops.
func (f *Fleet) ConnectNATS() (*nats.Conn, error) {
	config, err := network.TLSClient(network.TLSFiles{
		Cert: f.path("certs/operator.pem"), Key: f.path("certs/operator.key"), CA: f.path("certs/ca.pem"),
	}, "operator", "nats")
	if err != nil {
		return nil, err
	}
	return nats.Connect(f.NATS, nats.Secure(config), nats.CustomInboxPrefix("_INBOX.operator"), nats.MaxReconnects(-1))
}

// Wipe deletes what the NATS server has stored. The server must not run.
func (f *Fleet) Wipe() error {
	stored, err := filepath.Glob(f.path("nats/*")) // not the folder, which may be a disk of its own
	for _, path := range stored {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}
