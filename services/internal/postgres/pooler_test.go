package postgres_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rosterhq/roster/services/internal/freeport"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/testkit"
)

// The services do not run behind PgBouncer, and say so. Row-level security would hold there: the tenant ends with its
// transaction, whoever's connection is next.
func TestPooler(t *testing.T) {
	t.Parallel()
	database := testkit.Database(t, "notes", notes)
	const (
		ignored = "ignore_startup_parameters = role, statement_timeout, lock_timeout, idle_in_transaction_session_timeout"
		asApp   = "connect_query = 'SET ROLE roster_app'"
	)

	for name, c := range map[string]struct{ database, pooler string }{
		"AsItIs":                            {"", "pool_mode = transaction"},
		"WithWhatWeAskForIgnored":           {"", "pool_mode = transaction\n" + ignored},
		"WithOurRoleForAll":                 {asApp, "pool_mode = transaction\n" + ignored},
		"WithAServerForEachClientSoItSeems": {asApp, "pool_mode = session\n" + ignored},
	} {
		t.Run("R78_ItIsRefused"+name, func(t *testing.T) {
			t.Parallel()
			behind := testkit.DSNs{Service: "notes", Runtime: pgbouncer(t, database.Runtime, c.database, c.pooler)}
			db, err := postgres.Open(t.Context(), behind.Service, behind.Runtime, nil, postgres.Options{})
			if err == nil {
				db.Close()
			}
			if err == nil || !strings.Contains(err.Error(), "notes database: ") || !strings.Contains(err.Error(), "give the address of PostgreSQL itself") {
				t.Errorf("got %v, want a refusal that says what to do", err)
			}
		})
	}

	t.Run("R78_InterleavedTenantsSeeTheirOwnRows", func(t *testing.T) {
		t.Parallel()
		direct := database.Open(t, postgres.Options{})
		tenants := make([]id.Organization, 4)
		for i := range tenants {
			tenants[i] = id.NewOrganization()
			if err := direct.InTx(t.Context(), postgres.In(tenants[i]), func(tx *postgres.Tx) error {
				tx.Write(insertNote, tenants[i], tenants[i].String())
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		config, err := pgxpool.ParseConfig(pgbouncer(t, database.Runtime, asApp, "pool_mode = transaction\ndefault_pool_size = 2"))
		if err != nil {
			t.Fatal(err)
		}
		config.MaxConns = 8 // which share the two
		config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
		pool, err := pgxpool.NewWithConfig(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)

		var seen sync.Map // servers
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				for n := range 50 {
					tenant := tenants[(i+n)%len(tenants)]
					var found []string
					var server int
					err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error { // several trips: others come in between
						if _, err := tx.Exec(t.Context(), `SELECT set_config('app.aggregate_id', $1, true)`, setting(tenant)); err != nil {
							return err
						}
						rows, _ := tx.Query(t.Context(), `SELECT text FROM notes`) // collecting reports the error
						var err error
						if found, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
							return err
						}
						return tx.QueryRow(t.Context(), `SELECT pg_backend_pid()`).Scan(&server)
					})
					if err != nil || len(found) != 1 || found[0] != tenant.String() {
						t.Errorf("%s sees %v, %v", tenant, found, err)
					}
					seen.Store(server, nil)
					var rest int // of the tenant before, for a statement of nobody's
					if err := pool.QueryRow(t.Context(), `SELECT count(*) FROM notes`).Scan(&rest); err != nil || rest != 0 {
						t.Errorf("nobody sees %d rows, %v", rest, err)
					}
				}
			})
		}
		all.Wait()
		servers := 0
		seen.Range(func(any, any) bool { servers++; return true })
		if servers != 2 {
			t.Errorf("%d servers took turns, want 2", servers)
		}
	})
}

func setting(o id.Organization) string { return fmt.Sprintf("%x", o[:]) }

// pgbouncer runs one in front of a database until the test ends, and returns the DSN by which it is reached.
func pgbouncer(t *testing.T, dsn, database, settings string) string {
	t.Helper()
	to, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	program, err := exec.LookPath("pgbouncer")
	if errors.Is(err, exec.ErrNotFound) {
		program, err = exec.LookPath("/usr/sbin/pgbouncer")
	}
	if err != nil {
		t.Fatalf("PgBouncer was not found: run `deploy/setup.sh --test` (%v)", err)
	}
	lis, err := freeport.Listen()
	if err != nil {
		t.Fatal(err)
	}
	address := lis.Addr().String()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	lis.Close()
	config := fmt.Sprintf(`[databases]
%[1]s = host=%[2]s port=%[3]d user=%[4]s %[5]s
[pgbouncer]
listen_addr = %[6]s
listen_port = %[7]s
unix_socket_dir =
auth_type = any
%[8]s
`, to.Database, to.Host, to.Port, to.User, database, host, port, settings)

	cluster, err := os.Stat(to.Host) // the folder of the socket, which nobody but its owner may enter
	if err != nil {
		t.Fatal(err)
	}
	owner := cluster.Sys().(*syscall.Stat_t)
	dir := t.TempDir()
	file := filepath.Join(dir, "pgbouncer.ini")
	for _, err := range []error{
		os.Chmod(filepath.Dir(dir), 0o711), os.Chmod(dir, 0o711), os.WriteFile(file, []byte(config), 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	var said strings.Builder
	cmd := exec.Command(program, file)
	cmd.Stdout, cmd.Stderr = &said, &said
	if os.Geteuid() == 0 { // it refuses to run as root
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}}
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		cmd.Wait()
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Log(said.String())
		}
	})
	for {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			return fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", to.User, address, to.Database)
		}
		select {
		case <-ended:
			t.Fatal("PgBouncer ended: " + said.String())
		case <-time.After(10 * time.Millisecond):
		}
	}
}
