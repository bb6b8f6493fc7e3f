// Package dev is the whole suite in one process: every role as it runs alone, with its own database and its own
// address, on a private PostgreSQL and an embedded NATS. Nothing but gRPC and events connects the roles; only the
// sockets between them are in memory.
package dev

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"google.golang.org/grpc/credentials"

	"github.com/rosterhq/roster/services/billing"
	"github.com/rosterhq/roster/services/gateway"
	"github.com/rosterhq/roster/services/identity"
	"github.com/rosterhq/roster/services/internal/credential"
	"github.com/rosterhq/roster/services/internal/denial"
	"github.com/rosterhq/roster/services/internal/devmail"
	"github.com/rosterhq/roster/services/internal/devnats"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/network"
	"github.com/rosterhq/roster/services/internal/role"
	"github.com/rosterhq/roster/services/internal/seal"
	"github.com/rosterhq/roster/services/internal/server"
	"github.com/rosterhq/roster/services/internal/telemetry"
	"github.com/rosterhq/roster/services/invitation"
	"github.com/rosterhq/roster/services/membership"
)

// Config says where the suite keeps its data and where it listens. The zero value of an address takes a free port.
type Config struct {
	Data     string // folder of everything; made when absent
	HTTP     string
	GRPC     string
	NATS     string
	Admin    string // metrics and health; empty: none
	Postgres string // postgres:// DSN that may create databases and roles, instead of a private cluster
	DNS      string // DNS server where proofs of domains are looked for, instead of the system's
	Log      *slog.Logger

	AppOrigins []string       // of apps whose pages may call the API
	Providers  []netip.Prefix // networks in which identity providers may be although they are not public; http is spoken there, too

	TrustedProxies int // before the gateway, which append to X-Forwarded-For

	Checkpoints time.Duration // how long a history grows before it is signed; 0: as everywhere

	// Started is called once everything answers.
	Started func(Addresses)
}

// Addresses is where a running suite is.
type Addresses struct {
	URL   string // of the gateway
	GRPC  string
	NATS  string
	Claim string // one-time token of the first operator; empty when there is one
	Mail  *devmail.Inbox

	// Owner returns the DSN that owns a service's database. For tests, which move time by moving rows.
	Owner func(service string) string
}

// Run runs the suite until ctx ends.
func Run(ctx context.Context, c Config) error {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if err := os.MkdirAll(c.Data, 0o755); err != nil { // PostgreSQL's user has to pass through
		return fmt.Errorf("data folder: %w", err)
	}
	data, err := filepath.Abs(c.Data)
	if err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	locked, err := lock(data)
	if err != nil {
		return err
	}
	defer locked.Close()
	if err := free(c); err != nil {
		return err
	}
	key, err := seal.LoadOrCreate(filepath.Join(data, "key"))
	if err != nil {
		return fmt.Errorf("key: %w", err)
	}
	tel, err := telemetry.Start(ctx, "dev", telemetry.Options{Listen: c.Admin})
	if err != nil {
		return err
	}
	defer tel.Close(context.WithoutCancel(ctx))
	databases, stop, err := openPostgres(ctx, data, c)
	if err != nil {
		return err
	}
	defer stop()
	if err := databases.migrate(ctx); err != nil {
		return err
	}
	nats, err := devnats.Start(filepath.Join(data, "nats"), c.NATS)
	if err != nil {
		return fmt.Errorf("NATS: %w", err)
	}
	defer nats.Stop()
	inbox, err := devmail.Start(filepath.Join(data, "mail"))
	if err != nil {
		return fmt.Errorf("development inbox: %w", err)
	}
	defer inbox.Stop()
	web, err := net.Listen("tcp", c.HTTP)
	if err != nil {
		return err
	}
	defer web.Close()
	rpc, creds, err := network.Plain().Listen("dev", c.GRPC)
	if err != nil {
		return err
	}
	defer rpc.Close()

	addresses := Addresses{URL: "http://" + local(web.Addr()), GRPC: local(rpc.Addr()), NATS: nats.URL(), Mail: inbox, Owner: databases.owner}
	var ready sync.WaitGroup
	common := role.Common{
		PublicURL:  addresses.URL,
		Membership: "memory", Invitation: "memory", Identity: "memory", Billing: "memory",
		Embedded: role.Embedded{
			Network: network.Memory(),
			Connect: func() (*natsgo.Conn, error) { return nats.Connect() },
			Mail:    &mail.SMTP{Addr: inbox.Addr(), From: "Roster <no-reply@localhost>", TLS: mail.None},
			Log:     c.Log,
			Ready:   ready.Done,
			Checks:  tel.Ready,
		},
	}
	edge, denials, base, err := openEdge(ctx, creds, common)
	if err != nil {
		return err
	}
	defer base.Close()
	common.Public = edge
	service := func(name string) role.Config {
		own := role.Config{Common: common, DatabaseURL: databases.runtime(name), Conns: 16, NATSReplicas: 1, Checkpoints: c.Checkpoints}
		own.Key = key.Derive(name)
		return own
	}
	claim := func(token string) { addresses.Claim = token }
	ready.Add(5)
	return role.Together(ctx,
		func(ctx context.Context) error {
			return membership.Run(ctx, membership.Config{Config: service("membership"), DNS: c.DNS})
		},
		func(ctx context.Context) error {
			return invitation.Run(ctx, invitation.Config{Config: service("invitation")})
		},
		denials.Run,
		func(ctx context.Context) error { return billing.Run(ctx, service("billing")) },
		func(ctx context.Context) error {
			return identity.Run(ctx, identity.Config{
				Config: service("identity"), Claim: claim, ProviderNetworks: c.Providers, ProviderPlain: len(c.Providers) > 0,
			})
		},
		func(ctx context.Context) error {
			return gateway.Run(ctx, gateway.Config{Common: common, AppOrigins: c.AppOrigins, TrustedProxies: c.TrustedProxies, Listener: web, DevMail: inbox.Handler()})
		},
		func(ctx context.Context) error {
			if err := wait(ctx, &ready); err != nil {
				return nil // another role says why
			}
			if c.Started != nil {
				c.Started(addresses)
			}
			return edge.Serve(ctx, rpc)
		},
	)
}

// openEdge makes the server where clients find the gRPC services of all roles. It asks identity about a session or a
// key, as each role's own public listener does.
func openEdge(ctx context.Context, creds credentials.TransportCredentials, common role.Common) (*server.Server, *denial.Recorder, *role.Base, error) {
	common.Ready = nil
	base, err := role.Open(ctx, "gateway", common)
	if err != nil {
		return nil, nil, nil, err
	}
	sessions, keys, err := base.Sessions()
	if err != nil {
		base.Close()
		return nil, nil, nil, err
	}
	denials, err := base.Denials(nil)
	if err != nil {
		base.Close()
		return nil, nil, nil, err
	}
	authenticator := &credential.Authenticator{Resolver: sessions, Verifier: credential.NewVerifier(base.Name, credential.KeysOf(keys), time.Now)}
	config := server.Config{Role: "edge", Log: base.Log, Authenticate: authenticator.AuthenticateClient, Follow: sessions.Follow, Reflection: true, Denied: denials.Add}
	return server.New(creds, config), denials, base, nil
}

func wait(ctx context.Context, ready *sync.WaitGroup) error {
	done := make(chan struct{})
	go func() {
		ready.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Minute):
		return errors.New("the roles did not start within a minute")
	}
}

// local is an address as a client on this machine writes it.
func local(a net.Addr) string {
	tcp := a.(*net.TCPAddr)
	if tcp.IP.IsUnspecified() || tcp.IP.IsLoopback() {
		return fmt.Sprintf("localhost:%d", tcp.Port)
	}
	return tcp.String()
}
