package dev

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/rosterhq/roster/services/billing"
	"github.com/rosterhq/roster/services/identity"
	"github.com/rosterhq/roster/services/internal/devpg"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/invitation"
	"github.com/rosterhq/roster/services/membership"
)

// databases are the four databases of the suite, one for each service, each with an owner that migrates and a role
// that runs.
type databases struct {
	admin    string
	dsn      func(database, user string) string
	password string // of the roles; empty in a private cluster, which nobody else reaches
}

func (d databases) owner(service string) string   { return d.dsn(service, service+"_owner") }
func (d databases) runtime(service string) string { return d.dsn(service, service) }

// openPostgres starts the private cluster, or goes to the one it is pointed to.
func openPostgres(ctx context.Context, data string, c Config) (d databases, stop func(), err error) {
	if c.Postgres != "" {
		d, err = pointedTo(c.Postgres, filepath.Join(data, "key"))
		return d, func() {}, err
	}
	folder := filepath.Join(data, "postgres")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return d, nil, fmt.Errorf("data folder: %w", err)
	}
	cluster, err := devpg.Start(ctx, folder, devpg.Options{})
	if err != nil {
		return d, nil, err
	}
	stop = func() {
		if err := cluster.Stop(); err != nil {
			c.Log.Warn("PostgreSQL did not stop well", "error", err)
		}
	}
	return databases{admin: cluster.DSN("postgres", "postgres"), dsn: cluster.DSN}, stop, nil
}

// pointedTo derives the DSNs of the roles from the one of an administrator. Their password follows from the key in the
// data folder, so that the next start knows it.
func pointedTo(admin, keyFile string) (d databases, err error) {
	base, err := url.Parse(admin)
	if err != nil || base.Scheme != "postgres" && base.Scheme != "postgresql" {
		return d, errors.New("--postgres must be a URL: postgres://user:password@host:5432/postgres")
	}
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return d, err
	}
	derived, err := hkdf.Key(sha256.New, key, nil, "database password", 24)
	if err != nil {
		return d, err
	}
	password := hex.EncodeToString(derived)
	return databases{admin: admin, password: password, dsn: func(database, user string) string {
		dsn := *base
		dsn.User, dsn.Path = url.UserPassword(user, password), "/"+database
		return dsn.String()
	}}, nil
}

// migrate makes the databases where they are absent and brings them to the newest version.
func (d databases) migrate(ctx context.Context) error {
	admin, err := pgx.Connect(ctx, d.admin)
	if err != nil {
		return fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	defer admin.Close(ctx)
	group, migrating := errgroup.WithContext(ctx)
	for service, migrations := range Migrations {
		if err := postgres.Provision(ctx, admin, service, d.password); err != nil {
			return errors.Join(err, group.Wait())
		}
		group.Go(func() error {
			if err := postgres.Migrate(migrating, d.owner(service), migrations); err != nil {
				return fmt.Errorf("%s: %w", service, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// Migrations are the schemas of the services, by name.
var Migrations = map[string]fs.FS{
	"membership": membership.Migrations,
	"invitation": invitation.Migrations,
	"identity":   identity.Migrations,
	"billing":    billing.Migrations,
}
