package testkit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rosterhq/roster/services/internal/devpg"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/seal"
)

// DSNs address a test's database.
type DSNs struct {
	Service string
	Owner   string // migrates, and sees every row
	Runtime string // what the service logs in as; the relay logs in so too, and takes another role
}

// Database makes a database for this test alone, migrated and empty, and drops it when the test ends.
// migrations are the service's own; nil leaves it at what every service has.
func Database(t testing.TB, service string, migrations fs.FS) DSNs {
	t.Helper()
	c := Cluster(t)
	template, err := templateFor(c, service, migrations)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("%s_%d", template, copies.Add(1))
	login, owner := quote(template), quote(template+"_owner")
	if err := administer(c, // copying files takes a sixth of what the log of all pages does, which is the default
		`CREATE DATABASE `+quote(name)+` OWNER `+owner+` TEMPLATE `+quote(template)+` STRATEGY FILE_COPY`,
		`REVOKE ALL ON DATABASE `+quote(name)+` FROM PUBLIC`, // a copy does not inherit these
		`GRANT CONNECT ON DATABASE `+quote(name)+` TO `+login,
	); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := administer(c, `DROP DATABASE `+quote(name)+` WITH (FORCE)`); err != nil {
			t.Error(err)
		}
	})
	return DSNs{Service: service, Owner: c.DSN(name, template+"_owner"), Runtime: c.DSN(name, template)}
}

// Open makes a database for this test alone and opens it as the running service does.
func Open(t testing.TB, service string, migrations fs.FS) *postgres.DB {
	t.Helper()
	return Database(t, service, migrations).Open(t, postgres.Options{})
}

// Open opens the database until the test ends. All who open it share a seal key.
func (d DSNs) Open(t testing.TB, o postgres.Options) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), d.Service, d.Runtime, sealKey, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

var sealKey = seal.NewKey(sha256.Sum256([]byte("tests")))

// copies numbers the databases of this test binary.
var copies atomic.Int64

// templates are the migrated databases that tests copy, by name. Migrating takes a second, a copy does not.
var templates sync.Map // of func() error

// templateFor returns the database to copy, made on first use. Its name, which the roles share, tells services and
// versions of their migrations apart.
func templateFor(c *devpg.Cluster, service string, migrations fs.FS) (name string, err error) {
	if migrations == nil { // goose insists on something to do
		migrations = fstest.MapFS{"00001_nothing.sql": {Data: []byte("-- +goose Up\nSELECT 1;\n")}}
	}
	digest, err := digestOf(migrations)
	if err != nil {
		return "", err
	}
	name = service + "_" + digest
	made, _ := templates.LoadOrStore(name, sync.OnceValue(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		provision := func(admin *pgx.Conn) error { return postgres.Provision(ctx, admin, name, "") }
		if err := withAdmin(ctx, c, provision); err != nil {
			return err
		}
		return postgres.Migrate(ctx, c.DSN(name, name+"_owner"), migrations)
	}))
	return name, made.(func() error)()
}

// digestOf is short for the contents of files: file systems themselves do not compare.
func digestOf(files fs.FS) (string, error) {
	sum := sha256.New()
	err := fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, path)
		fmt.Fprintf(sum, "%s %d\n%s", path, len(content), content)
		return err
	})
	return hex.EncodeToString(sum.Sum(nil)[:4]), err
}

// administer runs statements as the superuser. It does not use the test's context, which has ended when a test cleans up.
func administer(c *devpg.Cluster, statements ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return withAdmin(ctx, c, func(admin *pgx.Conn) error {
		for _, statement := range statements {
			if _, err := admin.Exec(ctx, statement); err != nil {
				return fmt.Errorf("%s: %w", statement, err)
			}
		}
		return nil
	})
}

func withAdmin(ctx context.Context, c *devpg.Cluster, do func(*pgx.Conn) error) error {
	admin, err := pgx.Connect(ctx, c.DSN("postgres", "postgres"))
	if err != nil {
		return err
	}
	defer admin.Close(ctx)
	return do(admin)
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }
