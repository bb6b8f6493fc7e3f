package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // goose speaks database/sql
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var core embed.FS

// Migrate brings the database at the owner's dsn to the newest version: first what every service has, then the
// service's own. Several instances may start at once; a lease row lets one of them work.
func Migrate(ctx context.Context, dsn string, own fs.FS) error {
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	defer db.Close()
	for _, step := range []struct {
		table      string
		migrations fs.FS
	}{{"core_version", Migrations(core)}, {"service_version", own}} {
		store, err := database.NewStore(database.DialectPostgres, step.table)
		if err != nil {
			return fmt.Errorf("migrate: %w", err)
		}
		locker, err := lock.NewPostgresTableLocker()
		if err != nil {
			return fmt.Errorf("migrate: %w", err)
		}
		provider, err := goose.NewProvider("", db, step.migrations, goose.WithStore(store), goose.WithLocker(locker))
		if err != nil {
			return fmt.Errorf("migrate: %w", err)
		}
		if _, err := provider.Up(ctx); err != nil {
			return fmt.Errorf("migrate: %w", err)
		}
	}
	return nil
}

// Migrations returns the folder `migrations` of embedded files.
func Migrations(files embed.FS) fs.FS {
	inner, err := fs.Sub(files, "migrations")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	return inner
}

// Provision makes what a database administrator makes for a service: its database, an owner that migrates, and a login
// role for the running service that owns nothing. Doing it again changes nothing but the password, if one is given.
func Provision(ctx context.Context, admin *pgx.Conn, name, password string) error {
	owner := name + "_owner"
	for _, role := range []struct{ name, attributes string }{
		{AppRole, "NOLOGIN"},
		{RelayRole, "NOLOGIN"},
		{owner, "LOGIN"},
		{name, "LOGIN NOINHERIT IN ROLE " + AppRole + ", " + RelayRole},
	} {
		_, err := admin.Exec(ctx, `CREATE ROLE `+quote(role.name)+` `+role.attributes)
		if err != nil && !hasCode(err, "42710") && !hasCode(err, "23505") { // exists, or is being made by another
			return fmt.Errorf("create role %s: %w", role.name, err)
		}
	}
	// Forced row-level security holds for the owner too; a migration that changes rows must see them. Only a superuser
	// can grant that, so without one such a migration brings its own policy.
	if _, err := admin.Exec(ctx, `ALTER ROLE `+quote(owner)+` BYPASSRLS`); err != nil && !hasCode(err, "42501") {
		return fmt.Errorf("let %s migrate: %w", owner, err)
	}
	if password != "" {
		for _, login := range []string{name, owner} {
			if _, err := admin.Exec(ctx, `ALTER ROLE `+quote(login)+` PASSWORD '`+strings.ReplaceAll(password, `'`, `''`)+`'`); err != nil {
				return fmt.Errorf("set the password of %s: %w", login, err)
			}
		}
	}
	if _, err := admin.Exec(ctx, `GRANT `+quote(owner)+` TO CURRENT_USER`); err != nil && !hasCode(err, "0LP01") { // a superuser needs no grant
		return fmt.Errorf("act for %s: %w", owner, err)
	}
	_, err := admin.Exec(ctx, `CREATE DATABASE `+quote(name)+` OWNER `+quote(owner)+` TEMPLATE template0 ENCODING 'UTF8'`)
	if err != nil && !hasCode(err, "42P04") { // exists
		return fmt.Errorf("create database %s: %w", name, err)
	}
	for _, grant := range []string{
		`REVOKE ALL ON DATABASE ` + quote(name) + ` FROM PUBLIC`,
		`GRANT CONNECT ON DATABASE ` + quote(name) + ` TO ` + quote(name),
	} {
		if _, err := admin.Exec(ctx, grant); err != nil {
			return fmt.Errorf("close database %s: %w", name, err)
		}
	}
	return nil
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

func hasCode(err error, code string) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == code
}
