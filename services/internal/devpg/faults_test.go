package devpg

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const password = "it's"

// dial connects through the port.
func dial(ctx context.Context, c *Cluster, password string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig("postgres://postgres@" + c.Address() + "/postgres?sslmode=disable")
	if err != nil {
		return nil, err
	}
	config.Password = password
	return pgx.ConnectConfig(ctx, config)
}

func mustStartWithPort(t *testing.T) *Cluster {
	t.Helper()
	c, err := Start(t.Context(), folder(t), Options{Fast: true, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Destroy(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestPortAsksForThePassword(t *testing.T) {
	t.Parallel()
	c := mustStartWithPort(t)
	conn, err := dial(t.Context(), c, password)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close(t.Context())
	var refused *pgconn.PgError
	if _, err := dial(t.Context(), c, "guess"); !errors.As(err, &refused) || refused.Code != "28P01" {
		t.Errorf("a wrong password: %v", err)
	}
	execute(t, c, "SELECT 1") // through the socket
}

func TestCrash(t *testing.T) {
	t.Parallel()
	c := mustStartWithPort(t)
	address := c.Address()
	execute(t, c, "CREATE TABLE kept AS SELECT 42 AS answer")
	open := connect(t, c)
	if err := c.Crash(); err != nil {
		t.Fatal(err)
	}
	if _, err := open.Exec(t.Context(), "SELECT 1"); err == nil {
		t.Error("a session outlived the crash")
	}
	if err := c.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := query(t, c, "SELECT answer::text FROM kept"); got != "42" || c.Address() != address {
		t.Errorf("after the restart the answer is %s at %s, want 42 at %s", got, c.Address(), address)
	}
	if err := c.Restart(t.Context()); err != nil { // of one that runs
		t.Fatal(err)
	}
	execute(t, c, "SELECT FROM kept")
}

func TestStandby(t *testing.T) {
	t.Parallel()
	primary := mustStartWithPort(t)
	execute(t, primary, "CREATE TABLE kept AS SELECT 1 AS n")
	standby, err := Standby(t.Context(), filepath.Join(folder(t), "standby"), primary, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := standby.Destroy(); err != nil {
			t.Error(err)
		}
	})

	// Commits wait for the standby.
	if err := standby.Pause(); err != nil {
		t.Fatal(err)
	}
	waiting := connect(t, primary)
	defer waiting.Close(context.WithoutCancel(t.Context()))
	committed := make(chan error, 1)
	go func() {
		_, err := waiting.Exec(t.Context(), "INSERT INTO kept VALUES (2)")
		committed <- err
	}()
	for deadline := time.Now().Add(30 * time.Second); query(t, primary, "SELECT (count(*) > 0)::text FROM pg_stat_activity WHERE wait_event = 'SyncRep'") != "true"; {
		if time.Now().After(deadline) {
			t.Fatal("the commit does not wait")
		}
	}
	if len(committed) > 0 {
		t.Errorf("committed without the standby: %v", <-committed)
	}
	if err := standby.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := <-committed; err != nil {
		t.Fatal(err)
	}

	// What was committed survives the primary.
	if err := primary.Crash(); err != nil {
		t.Fatal(err)
	}
	if err := standby.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	execute(t, standby, "INSERT INTO kept VALUES (3)")
	if got := query(t, standby, "SELECT sum(n)::text || ' ' || left(pg_walfile_name(pg_current_wal_lsn()), 8) FROM kept"); got != "6 00000002" {
		t.Errorf("sum and timeline are %s, want 6 00000002", got)
	}
}

func TestRestartAfterItEndedByItself(t *testing.T) {
	t.Parallel()
	c := mustStartWithPort(t)
	if err := c.Crash(); err != nil {
		t.Fatal(err)
	}
	c.server.err = errors.New("exit status 1") // as when it had no room to write
	if err := c.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := connect(t, c).Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestRestartOfOneThatDoesNotEndWell(t *testing.T) {
	t.Parallel()
	c := mustStartWithPort(t)
	// A process of its own dies on the way down, as where the disk is full.
	if err := exec.Command("pkill", "-KILL", "-P", strconv.Itoa(c.server.pid()), "-f", "checkpointer").Run(); err != nil {
		t.Fatal(err)
	}
	if err := c.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	execute(t, c, "SELECT 1")
}
