package devpg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func TestDataSurvivesARestart(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	c := mustStart(t, dir)
	execute(t, c, "CREATE TABLE kept AS SELECT 42 AS answer")
	for range 2 { // stopping twice is harmless
		if err := c.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	if exists(c.socket) {
		t.Errorf("%s is still there", c.socket)
	}

	c = mustStart(t, dir)
	if got := query(t, c, "SELECT answer::text FROM kept"); got != "42" {
		t.Errorf("the answer is %s after the restart, want 42", got)
	}
}

func TestClustersRunSideBySide(t *testing.T) {
	t.Parallel()
	one, two := mustStart(t, folder(t)), mustStart(t, folder(t))
	execute(t, one, "CREATE TABLE only_here ()")
	if got := query(t, two, "SELECT count(*)::text FROM pg_tables WHERE tablename = 'only_here'"); got != "0" {
		t.Error("both are the same cluster")
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for _, kind := range []struct {
		name    string
		options Options
		want    map[string]string
	}{
		{"DevelopmentIsDurable", Options{}, map[string]string{
			"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "max_connections": "200", "shared_buffers": "128MB",
		}},
		{"TestsAreFast", Options{Fast: true, MaxConnections: 30}, map[string]string{
			"fsync": "off", "synchronous_commit": "on", "full_page_writes": "off", "max_connections": "30", "shared_buffers": "64MB",
		}},
	} {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer // read after the server has ended
			kind.options.Log = &log
			dir := folder(t)
			c, err := Start(t.Context(), dir, kind.options)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Destroy() })
			for setting, want := range map[string]string{
				"listen_addresses": "", "server_encoding": "UTF8", "lc_collate": "C.UTF-8", "data_checksums": "on", "autovacuum": "on",
			} {
				kind.want[setting] = want
			}
			for setting, want := range kind.want {
				if got := query(t, c, "SHOW "+setting); got != want {
					t.Errorf("%s is %q, want %q", setting, got, want)
				}
			}
			if err := c.Stop(); err != nil {
				t.Error(err)
			}
			if !strings.Contains(log.String(), "database system is shut down") {
				t.Errorf("the log lacks the shutdown: %s", log.String())
			}
			if exists(filepath.Join(dir, "postgres.log")) {
				t.Error("there is a log file as well")
			}
		})
	}
}

// A folder below a private folder of root is where a checkout often lies in a container.
func TestPrivateParent(t *testing.T) {
	t.Parallel()
	parent := folder(t)
	if err := os.Chmod(parent, 0o700); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(parent, "checkout")
	c := mustStart(t, dir)
	execute(t, c, "CREATE TABLE kept ()")
	if root, elsewhere := os.Geteuid() == 0, exists(filepath.Join(dir, "postgres.location")); root != elsewhere {
		t.Errorf("root: %t, but data elsewhere: %t", root, elsewhere)
	}
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}

	c = mustStart(t, dir)
	execute(t, c, "SELECT FROM kept")
	if err := c.Destroy(); err != nil {
		t.Fatal(err)
	}
	if exists(c.data()) || exists(filepath.Join(dir, "postgres.location")) {
		t.Error("destroying it left something behind")
	}
}

func TestSocketPathIsShort(t *testing.T) {
	t.Parallel()
	c := mustStart(t, filepath.Join(folder(t), strings.Repeat("deep/", 40)))
	if path := filepath.Join(c.socket, ".s.PGSQL."+c.port); len(path) > 107 {
		t.Errorf("%s has %d bytes", path, len(path))
	}
	info, err := os.Stat(c.socket)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o700 {
		t.Errorf("the socket's folder is %v, so others may enter", info.Mode())
	}
}

func TestContextEnds(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	for _, patience := range []time.Duration{0, 100 * time.Millisecond} { // before initdb, within initdb
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		_, err := Start(ctx, dir, Options{Fast: true})
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("after %v: %v", patience, err)
		}
		if exists(filepath.Join(dir, "data")) {
			t.Fatalf("after %v: half a cluster is left", patience)
		}
		if exists(filepath.Join(dir, "postgres.location")) {
			t.Fatalf("after %v: the folder was taken for unreachable", patience)
		}
	}
	mustStart(t, dir) // what was left does no harm
}

func TestRunningClusterIsNamed(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	c := mustStart(t, dir)
	_, err := Start(t.Context(), dir, Options{Fast: true})
	if want := fmt.Sprintf("process %d", c.server.pid()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("the error %v does not name %s", err, want)
	}
	execute(t, c, "SELECT 1") // the first one is unharmed
}

func TestServerThatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	_, err := Start(t.Context(), folder(t), Options{Fast: true, MaxConnections: 1_000_000_000})
	if err == nil || !strings.Contains(err.Error(), "max_connections") {
		t.Errorf("the error does not give the reason: %v", err)
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	both := []installation{{"/path/sixteen", 16}, {"/eighteen", 18}, {"/fifteen", 15}}
	for _, c := range []struct {
		name          string
		installations []installation
		version       string
		want, fails   string
	}{
		{"FirstWinsForANewCluster", both, "", "/path/sixteen", ""},
		{"OldOnesArePassedOver", []installation{{"/fourteen", 14}, {"/broken", 0}, {"/fifteen", 15}}, "", "/fifteen", ""},
		{"DataNeedsTheVersionThatMadeIt", both, "15", "/fifteen", ""},
		{"DataOfAMissingVersionIsRefused", both, "17", "", "PostgreSQL 17, which was not found"},
		{"NothingFoundSaysWhatToDo", nil, "", "", "run `make setup`, or pass --postgres DSN"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := choose(c.installations, c.version)
			if got != c.want || (err == nil) != (c.fails == "") || err != nil && !strings.Contains(err.Error(), c.fails) {
				t.Errorf("got %q, %v; want %q, %q", got, err, c.want, c.fails)
			}
		})
	}
}

func TestMakePrivateRefusesWhatOthersMade(t *testing.T) {
	t.Parallel()
	parent := folder(t)
	link := filepath.Join(parent, "link")
	if err := os.Symlink("/", link); err != nil {
		t.Fatal(err)
	}
	if err := (account{}).makePrivate(link); err == nil {
		t.Error("a link was taken for our folder")
	}
	if os.Geteuid() != 0 {
		return // only root can make a folder for somebody else
	}
	foreign := filepath.Join(parent, "foreign")
	if err := errors.Join(os.Mkdir(foreign, 0o755), os.Chown(foreign, 12345, 12345)); err != nil {
		t.Fatal(err)
	}
	if err := (account{}).makePrivate(foreign); err == nil {
		t.Error("somebody else's folder was taken for ours")
	}
}

// folder is a temporary folder that PostgreSQL's user can enter, unlike t.TempDir when root tests.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "roster-devpg-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

func mustStart(t *testing.T, dir string) *Cluster {
	t.Helper()
	c, err := Start(t.Context(), dir, Options{Fast: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Destroy() })
	return c
}

func query(t *testing.T, c *Cluster, sql string) (text string) {
	t.Helper()
	conn := connect(t, c)
	defer conn.Close(context.WithoutCancel(t.Context()))
	if err := conn.QueryRow(t.Context(), sql).Scan(&text); err != nil {
		t.Fatal(err)
	}
	return text
}

func execute(t *testing.T, c *Cluster, sql string) {
	t.Helper()
	conn := connect(t, c)
	defer conn.Close(context.WithoutCancel(t.Context()))
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func connect(t *testing.T, c *Cluster) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), c.DSN("postgres", "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	return conn
}
