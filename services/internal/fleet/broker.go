package fleet

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
)

// startBroker starts a NATS server that flushes every message before it confirms it.
func (f *Fleet) startBroker(ctx context.Context) error {
	server, err := build(ctx, f.path("nats-server"), "github.com/nats-io/nats-server/v2")
	if err != nil {
		return err
	}
	monitor, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	monitor.Close()
	config := fmt.Sprintf("server_name: fleet\nlisten: %q\nhttp: %q\njetstream { store_dir: %q, sync_interval: always }\n",
		strings.TrimPrefix(f.NATS, "nats://"), monitor.Addr(), f.path("nats"))
	if err := os.WriteFile(f.path("nats.conf"), []byte(config), 0o600); err != nil {
		return err
	}
	f.Broker = &Process{
		Name: "nats", Role: "nats",
		path: server, args: []string{"-c", f.path("nats.conf")}, log: f.path("nats.log"),
		readyz: "http://" + monitor.Addr().String() + "/healthz?js-enabled-only=true",
	}
	if err := f.Broker.Start(ctx); err != nil {
		return err
	}
	return f.Broker.Ready(ctx)
}

// Wipe deletes what the NATS server has stored. The server must not run.
func (f *Fleet) Wipe() error { return os.RemoveAll(f.path("nats")) }
