// Package fleet runs the suite as production does, on one machine: every role a process of the binary that is
// shipped, one or several of each, with its own database, key and certificate, a PostgreSQL cluster and a NATS server
// beside them. Nothing but sockets connects them, so that each can be killed, stopped and cut off alone. Tests, the chaos
// program and `make processes` stand on it; it is no way to run Roster in production.
package fleet

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/rosterhq/roster/services/internal/devmail"
	"github.com/rosterhq/roster/services/internal/devpg"
	"github.com/rosterhq/roster/services/internal/freeport"
)

// Services are the roles with a database; Roles are all of them, in the order in which they start.
var (
	Services = []string{"identity", "billing", "membership", "invitation"}
	Roles    = []string{"identity", "billing", "membership", "invitation", "gateway"}
)

// Config says what to run. The zero value of everything but Dir works.
type Config struct {
	Dir     string   // everything is kept here, and found again by the next start; made when absent
	Rosterd string   // the binary; empty: built into Dir
	Copies  int      // processes of each role, 1 by default
	Env     []string // more environment of every role, NAME=value
	HTTP    string   // address of the first gateway; a free one by default

	// Through is asked for every link of a process: from "billing-1" to "identity-2", "nats", "postgres" or "mail" at an
	// address. It returns the address to use instead, of a proxy for example. Nil: the address itself.
	Through func(from, to, address string) (string, error)
}

// Fleet is a suite that runs.
type Fleet struct {
	URL       string   // of the first gateway
	URLs      []string // of all gateways
	NATS      string   // address of the NATS server; see ConnectNATS
	Claim     string   // one-time token of the first operator; empty when there is one
	Mail      *devmail.Inbox
	Postgres  *devpg.Cluster
	Broker    *Process // the NATS server
	Processes []*Process

	config   Config
	password string                // of every user of PostgreSQL, over TCP
	at       map[string]*addresses // by process
	monitor  string                // of the NATS server
	conn     *router
}

// addresses are where a process listens.
type addresses struct{ internal, public, admin, web string }

// grace is how long a process may take to start, and to end.
const grace = 60 * time.Second

// Build builds rosterd into a folder, with flags of `go build`.
func Build(ctx context.Context, dir string, flags ...string) (rosterd string, err error) {
	return build(ctx, filepath.Join(dir, "rosterd"), "github.com/rosterhq/roster/services/cmd/rosterd", flags...)
}

func build(ctx context.Context, binary, of string, flags ...string) (string, error) {
	args := append(append([]string{"build", "-o", binary}, flags...), of)
	if said, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w: %s", filepath.Base(binary), err, bytes.TrimSpace(said))
	}
	return binary, nil
}

// Start prepares the ground as an administrator does (databases, migrations, keys, certificates), starts every process
// and returns when all are ready. What runs ends with Stop, or with this process.
func Start(ctx context.Context, c Config) (*Fleet, error) {
	c.Copies = max(c.Copies, 1)
	f := &Fleet{config: c, at: make(map[string]*addresses)}
	for _, step := range []func(context.Context) error{
		f.prepareFolder, f.startPostgres, f.startMail, f.prepareServices, f.settle, f.startBroker, f.startRoles, f.readClaim, f.openConn,
	} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, f.Stop())
		}
	}
	return f, nil
}

// Stop ends every process, in the order in which they depend on each other.
func (f *Fleet) Stop() error {
	var all sync.WaitGroup
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if f.conn != nil {
		f.conn.close()
	}
	failed := make([]error, len(f.Processes))
	for i, p := range f.Processes {
		all.Go(func() { failed[i] = p.Stop(ctx) })
	}
	all.Wait()
	err := errors.Join(failed...)
	if f.Broker != nil {
		err = errors.Join(err, f.Broker.Stop(ctx))
	}
	if f.Mail != nil {
		err = errors.Join(err, f.Mail.Stop())
	}
	if f.Postgres != nil {
		err = errors.Join(err, f.Postgres.Stop())
	}
	return err
}

// Of returns the processes of a role.
func (f *Fleet) Of(role string) (found []*Process) {
	for _, p := range f.Processes {
		if p.Role == role {
			found = append(found, p)
		}
	}
	return found
}

// Public is where clients reach a process: gRPC, or the gateway's REST.
func (f *Fleet) Public(p *Process) string {
	return cmp.Or(f.at[p.Name].web, f.at[p.Name].public)
}

// DSN addresses a database as one of its users, by the cluster's socket: "membership" as "membership" or
// "membership_owner", any as "postgres".
func (f *Fleet) DSN(database, user string) string { return f.Postgres.DSN(database, user) }

func (f *Fleet) path(name string) string { return filepath.Join(f.config.Dir, name) }

func (f *Fleet) prepareFolder(ctx context.Context) (err error) {
	if f.config.Dir, err = filepath.Abs(f.config.Dir); err != nil {
		return err
	}
	if err := os.MkdirAll(f.config.Dir, 0o755); err != nil { // PostgreSQL's user has to pass through
		return err
	}
	if f.config.Rosterd == "" {
		f.config.Rosterd, err = Build(ctx, f.config.Dir)
	}
	return err
}

func (f *Fleet) startPostgres(ctx context.Context) (err error) {
	if f.password, err = secret(f.path("postgres.secret")); err != nil {
		return err
	}
	f.Postgres, err = devpg.Start(ctx, f.path("postgres"), devpg.Options{Password: f.password, MaxConnections: 100 + 100*f.config.Copies})
	return err
}

func (f *Fleet) startMail(context.Context) (err error) {
	f.Mail, err = devmail.Start(f.path("mail"))
	return err
}

// prepareServices makes the databases, brings them to the newest version, and makes what is secret.
func (f *Fleet) prepareServices(ctx context.Context) error {
	for _, service := range Services {
		if err := f.do(ctx, "provision", service, "--admin-database-url", f.DSN("postgres", "postgres"),
			"--password-file", f.path("postgres.secret")); err != nil {
			return err
		}
		if err := f.do(ctx, "migrate", service, "--owner-database-url", f.DSN(service, service+"_owner")); err != nil {
			return err
		}
		if _, err := secret(f.path(service + ".secret")); err != nil {
			return err
		}
	}
	return f.do(ctx, "certs", "--out", f.path("certs"), "--client", "operator")
}

// RotateKeys replaces the key that identity signs internal tokens with, as an operator does; with the command's flags.
func (f *Fleet) RotateKeys(ctx context.Context, flags ...string) error {
	return f.do(ctx, append([]string{"rotate-keys", "--database-url", f.DSN("identity", "identity"), "--key-file", f.path("identity.secret")}, flags...)...)
}

// do runs a command of rosterd that ends by itself.
func (f *Fleet) do(ctx context.Context, args ...string) error {
	if said, err := exec.CommandContext(ctx, f.config.Rosterd, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("rosterd %s: %w: %s", strings.Join(args[:min(2, len(args))], " "), err, bytes.TrimSpace(said))
	}
	return nil
}

// secret returns what a file holds, 32 bytes in base64, which it makes unless it is there.
func secret(file string) (string, error) {
	if text, err := os.ReadFile(file); !errors.Is(err, os.ErrNotExist) {
		return string(text), err
	}
	key := make([]byte, 32)
	rand.Read(key) // never fails
	text := base64.StdEncoding.EncodeToString(key)
	return text, os.WriteFile(file, []byte(text), 0o600)
}

// settle finds free addresses for everything that listens.
func (f *Fleet) settle(context.Context) error {
	var held []net.Listener // until all are found, so that none is found twice
	defer func() {
		for _, lis := range held {
			lis.Close()
		}
	}()
	var wrong error
	free := func() string {
		lis, err := freeport.Listen()
		if err != nil {
			wrong = err
			return ""
		}
		held = append(held, lis)
		return lis.Addr().String()
	}
	for _, role := range Roles {
		for n := range f.config.Copies {
			p := &Process{Name: fmt.Sprintf("%s-%d", role, n+1), Role: role}
			at := &addresses{internal: free(), public: free(), admin: free()}
			if role == "gateway" {
				at.web = free()
				if n == 0 && f.config.HTTP != "" {
					at.web = f.config.HTTP
				}
				f.URLs = append(f.URLs, "http://"+strings.Replace(at.web, "127.0.0.1", "localhost", 1)) // passkeys need a name
			}
			f.at[p.Name] = at
			f.Processes = append(f.Processes, p)
		}
	}
	f.URL = f.URLs[0]
	f.NATS, f.monitor = "tls://"+free(), free()
	return wrong
}

// startRoles starts every process and waits until all are ready.
func (f *Fleet) startRoles(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	for _, p := range f.Processes {
		env, err := f.settings(p)
		if err != nil {
			return err
		}
		p.path, p.args, p.env, p.log = f.config.Rosterd, []string{p.Role}, append(env, f.config.Env...), f.path(p.Name+".log")
		p.readyz = "http://" + f.at[p.Name].admin + "/readyz"
		if err := p.Start(ctx); err != nil {
			return err
		}
	}
	for _, p := range f.Processes {
		if err := p.Ready(ctx); err != nil {
			return err
		}
	}
	return nil
}

var claimed = regexp.MustCompile(`roster operator claim (\S+)`)

// readClaim finds the token that every process of identity prints where there is no operator.
func (f *Fleet) readClaim(context.Context) error {
	for _, p := range f.Of("identity") {
		said, err := os.ReadFile(p.LogFile())
		if err != nil {
			return err
		}
		if found := claimed.FindSubmatch(said); found != nil {
			f.Claim = string(found[1])
		}
	}
	return nil
}
