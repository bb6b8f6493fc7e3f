// Package devpg runs a private PostgreSQL for `rosterd dev` and for tests.
//
// A cluster lives in one folder, listens on a unix socket, unless told to open a port too, and ends
// with the process that started it, however that process ends. It is not a way to run PostgreSQL in
// production: there, Roster is given a DSN.
//
// What the folder holds:
//
//	data/              the cluster itself, or
//	postgres.location  where it is, when PostgreSQL's user cannot enter the folder (see settle)
//	postgres.log       what the server says, unless Options.Log takes it
//	hba.conf           who may enter through the port, if there is one
package devpg

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Options says how a cluster runs. The zero value is right for `rosterd dev`.
type Options struct {
	Fast           bool      // for tests: nothing is flushed, so a crash of the machine, though not of the server, loses the data
	MaxConnections int       // 200 when zero
	Log            io.Writer // the server's log; a file in the cluster's folder when nil

	// Password is the superuser's. With it the cluster listens on a TCP port of the loopback interface too, where
	// everybody needs a password: so that a proxy can be put in between.
	Password string
}

// Cluster is a running PostgreSQL.
type Cluster struct {
	options Options
	dir     string // the caller's folder
	home    string // the folder that holds data: dir, or a private one
	user    account
	bin     string // the folder of the programs
	socket  string // the folder of the unix socket
	port    string // names the socket, and is the TCP port if there is one
	server  *process
}

// socketPort names the socket when no TCP port is opened, so clusters side by side share the number.
const socketPort = "5432"

// Start makes the cluster in dir when it is absent, starts it and waits until it answers. One
// process at a time may start the cluster of a folder.
//
// The context bounds the start only: a running cluster ends with Stop, or with this process.
func Start(ctx context.Context, dir string, o Options) (*Cluster, error) {
	c, err := start(ctx, dir, o)
	if err != nil {
		return nil, fmt.Errorf("start PostgreSQL in %s: %w", dir, err)
	}
	return c, nil
}

func start(ctx context.Context, dir string, o Options) (*Cluster, error) {
	c, err := place(ctx, dir, o)
	if err != nil {
		return nil, err
	}
	if err := c.initialize(ctx); err != nil {
		return nil, err
	}
	if err := c.launch(ctx); err != nil {
		return nil, err
	}
	if o.Password == "" {
		return c, nil
	}
	return c, c.execute(ctx, `SET synchronous_commit = local`, // a standby may be away
		`ALTER ROLE postgres PASSWORD '`+strings.ReplaceAll(o.Password, `'`, `''`)+`'`)
}

// execute runs statements as the superuser.
func (c *Cluster) execute(ctx context.Context, statements ...string) error {
	conn, err := pgx.Connect(ctx, c.DSN("postgres", "postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// place decides where a cluster lives.
func place(ctx context.Context, dir string, o Options) (c *Cluster, err error) {
	c = &Cluster{options: o, port: socketPort}
	if c.dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return nil, err
	}
	if c.home, c.user, err = settle(ctx, c.dir); err != nil {
		return nil, err
	}
	if o.Password != "" {
		c.port, err = freePort()
	}
	return c, err
}

// DSN addresses a database of the cluster, in the keyword/value form of libpq. The socket's folder
// is the lock on the door: whoever can enter it may connect as any user. The superuser is
// "postgres".
func (c *Cluster) DSN(database, user string) string {
	quote := strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace
	return fmt.Sprintf("host='%s' port=%s user='%s' dbname='%s'", quote(c.socket), c.port, quote(user), quote(database))
}

// Address is where the cluster listens for TCP, when it has a password: host:port, the same after a restart.
func (c *Cluster) Address() string { return net.JoinHostPort(loopback, c.port) }

// Stop ends every session, shuts the server down and waits for its end. Calling it again is
// harmless.
func (c *Cluster) Stop() error {
	c.Resume() // nobody who is paused can end; it fails when it has ended already
	err := c.server.stop()
	os.Remove(c.socket) // empty by now, unless the server crashed
	if err != nil {
		return fmt.Errorf("stop PostgreSQL in %s: %w", c.dir, err)
	}
	return nil
}

// Destroy stops the cluster and deletes its data, wherever it is.
func (c *Cluster) Destroy() error {
	return errors.Join(
		c.Stop(),
		os.RemoveAll(c.socket),
		os.RemoveAll(c.data()),
		removeHome(c.dir, c.home),
	)
}

func (c *Cluster) data() string { return filepath.Join(c.home, "data") }

// initialize runs initdb unless the cluster exists, and finds the programs that suit it.
func (c *Cluster) initialize(ctx context.Context) error {
	version, err := os.ReadFile(filepath.Join(c.data(), "PG_VERSION"))
	if err == nil {
		c.bin, err = findBinaries(strings.TrimSpace(string(version)))
		return err
	}
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if c.bin, err = findBinaries(""); err != nil {
		return err
	}
	return c.fill(func(fresh string) error {
		args := []string{"-D", fresh, "-U", "postgres", "-A", "trust", "--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums"}
		if c.options.Fast {
			args = append(args, "--no-sync")
		}
		return run(ctx, c.user.command(filepath.Join(c.bin, "initdb"), args...))
	})
}

// fill makes the data aside and renames it, so that half a cluster is never taken for one.
func (c *Cluster) fill(write func(fresh string) error) error {
	fresh := filepath.Join(c.home, "data.new")
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	if err := c.user.makePrivate(fresh); err != nil {
		return err
	}
	if err := write(fresh); err != nil {
		return errors.Join(err, os.RemoveAll(fresh))
	}
	return os.Rename(fresh, c.data())
}

// launch starts the server and waits until it takes connections.
func (c *Cluster) launch(ctx context.Context) (err error) {
	if c.socket, err = socketFolder(ctx, c.data(), c.port, c.user); err != nil {
		return err
	}
	if err := c.awaitPredecessor(ctx); err != nil {
		return err
	}
	if err := c.letIn(); err != nil {
		return err
	}
	log, closeLog, err := c.openLog()
	if err != nil {
		return err
	}
	var last tail
	cmd := c.user.command(filepath.Join(c.bin, "postgres"), append([]string{"-D", c.data()}, c.settings()...)...)
	cmd.Stdout = io.MultiWriter(log, &last)
	cmd.Stderr = cmd.Stdout
	if c.server, err = spawn(cmd, closeLog); err != nil {
		return err
	}
	for !c.ready() {
		select {
		case <-time.After(10 * time.Millisecond): // PostgreSQL tells nobody when it is ready: look
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), c.Stop())
		case <-c.server.done:
			os.Remove(c.socket)
			if pid, _ := c.holder(); pid != 0 {
				return fmt.Errorf("it already runs there as process %d: stop that one first (kill -INT %d)", pid, pid)
			}
			return fmt.Errorf("the server ended at once: %s", last)
		}
	}
	return nil
}

// openLog returns where the server's log goes, and what to call when the server has ended.
func (c *Cluster) openLog() (log io.Writer, ended func(), err error) {
	if c.options.Log != nil {
		return c.options.Log, func() {}, nil
	}
	file, err := os.OpenFile(filepath.Join(c.dir, "postgres.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, err
	}
	return file, func() { file.Close() }, nil
}

// settings are given on the command line, so that a cluster made by an older Roster gets them too.
func (c *Cluster) settings() []string {
	settings := []string{
		"port=" + c.port,
		`unix_socket_directories="` + c.socket + `"`,
		"max_connections=" + strconv.Itoa(cmp.Or(c.options.MaxConnections, 200)),
		"logging_collector=off",
		"log_checkpoints=off",
	}
	if c.options.Password != "" {
		settings = append(settings, "listen_addresses="+loopback, "hba_file="+c.hba())
	} else {
		settings = append(settings, "listen_addresses=")
	}
	if c.options.Fast {
		settings = append(settings, "shared_buffers=64MB", "fsync=off", "full_page_writes=off")
	} else {
		settings = append(settings, "shared_buffers=128MB")
	}
	var args []string
	for _, s := range settings {
		args = append(args, "-c", s)
	}
	return args
}

// awaitPredecessor lets the server of a process that was killed a moment ago finish its shutdown.
func (c *Cluster) awaitPredecessor(ctx context.Context) error {
	for deadline := time.Now().Add(grace); time.Now().Before(deadline); {
		if pid, status := c.holder(); pid == 0 || status != "stopping" {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// ready reports whether our own server, and not an older one, takes connections.
func (c *Cluster) ready() bool {
	pid, status := c.holder()
	return pid == c.server.pid() && status == "ready"
}

// holder returns the living process that holds the data, zero when there is none, and its status.
// The file and its lines are what pg_ctl goes by (src/include/utils/pidfile.h).
func (c *Cluster) holder() (pid int, status string) {
	content, err := os.ReadFile(filepath.Join(c.data(), "postmaster.pid"))
	if err != nil {
		return 0, ""
	}
	lines := strings.Split(string(content), "\n")
	pid, err = strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil || syscall.Kill(pid, 0) != nil {
		return 0, ""
	}
	if len(lines) >= 8 {
		status = strings.TrimSpace(lines[7])
	}
	return pid, status
}

// socketFolder makes the folder of the unix socket. It lies in the temporary folder because the
// path of a socket is limited to 107 bytes, and a checkout may lie deeper than that.
func socketFolder(ctx context.Context, data, port string, user account) (string, error) {
	limit := 107 - len("/.s.PGSQL."+port)
	for _, parent := range []string{os.TempDir(), "/tmp"} {
		folder := filepath.Join(parent, "roster-pg-"+hash(data))
		if len(folder) > limit {
			continue
		}
		reachable, err := user.canEnter(ctx, parent)
		if err != nil {
			return "", err
		}
		if reachable {
			return folder, user.makePrivate(folder)
		}
	}
	return "", fmt.Errorf("no temporary folder suits a unix socket: %s cannot enter /tmp", user.name)
}

// hash is a short name for a path.
func hash(path string) string {
	sum := sha256.Sum256([]byte(path))
	return hex.EncodeToString(sum[:4])
}
