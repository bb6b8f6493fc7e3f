package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"

	"github.com/rosterhq/roster/services/internal/fleet"
	"github.com/rosterhq/roster/services/internal/freeport"
)

// stage is a suite with a proxy in each of its connections, and with disks that can be filled.
type stage struct {
	fleet   *fleet.Fleet
	proxies *toxiproxy.ApiServer

	mu    sync.Mutex
	links []*link
	disks []*disk // none, where nothing can be mounted
}

// link is a connection of one process to another.
type link struct {
	from, to string
	*toxiproxy.Proxy
}

// raise starts everything.
func raise(ctx context.Context, dir string) (*stage, error) {
	s := &stage{proxies: toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	nats := &disk{name: "disk of NATS full", path: filepath.Join(dir, "nats"), size: 512 << 20}
	if nats.mount() == nil {
		s.disks = append(s.disks, nats)
	}
	var err error
	if s.fleet, err = fleet.Start(ctx, fleet.Config{Dir: dir, Copies: 2, Through: s.through}); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if len(s.disks) > 0 {
		if err := s.separateLog(ctx, dir); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	return s, nil
}

// through puts a proxy into a connection.
func (s *stage) through(from, to, address string) (string, error) {
	lis, err := freeport.Listen() // a port that stays the proxy's while it refuses connections
	if err != nil {
		return "", err
	}
	at := lis.Addr().String()
	if err := lis.Close(); err != nil {
		return "", err
	}
	l := &link{from, to, toxiproxy.NewProxy(s.proxies, from+" to "+to, at, address)}
	if err := l.Start(); err != nil {
		return "", fmt.Errorf("proxy from %s to %s: %w", from, to, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.links = append(s.links, l)
	return at, nil
}

// linksTo returns the connections to one of these, such as "postgres".
func (s *stage) linksTo(names ...string) (found []*link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.links {
		if slices.Contains(names, l.to) {
			found = append(found, l)
		}
	}
	return found
}

// between returns the connections between roles.
func (s *stage) between() (found []*link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.links {
		role, _, copied := strings.Cut(l.to, "-")
		if own, _, _ := strings.Cut(l.from, "-"); copied && own != role {
			found = append(found, l)
		}
	}
	return found
}

// separateLog moves PostgreSQL's log of changes to a disk of its own, small enough to be filled.
func (s *stage) separateLog(ctx context.Context, dir string) error {
	conn, err := pgx.Connect(ctx, s.fleet.DSN("postgres", "postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	var data string
	for _, statement := range []string{
		`ALTER SYSTEM SET max_wal_size = '96MB'`, `ALTER SYSTEM SET min_wal_size = '32MB'`, `ALTER SYSTEM SET wal_recycle = off`,
	} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return err
		}
	}
	if err := conn.QueryRow(ctx, `SHOW data_directory`).Scan(&data); err != nil {
		return err
	}
	if err := s.fleet.Postgres.Crash(); err != nil {
		return err
	}
	log := filepath.Join(data, "pg_wal")
	info, err := os.Stat(log)
	if err != nil {
		return err
	}
	owner := info.Sys().(*syscall.Stat_t)
	wal := &disk{name: "disk of PostgreSQL's log full", path: log, size: 256 << 20}
	aside := filepath.Join(dir, "wal")
	if err := os.Rename(log, aside); err != nil {
		return err
	}
	if err := os.Mkdir(log, 0o700); err != nil {
		return err
	}
	if err := wal.mount(); err != nil {
		return err
	}
	s.disks = append(s.disks, wal)
	if said, err := exec.CommandContext(ctx, "cp", "-a", aside+"/.", log).CombinedOutput(); err != nil {
		return fmt.Errorf("copy PostgreSQL's log: %w: %s", err, said)
	}
	if err := os.Chown(log, int(owner.Uid), int(owner.Gid)); err != nil {
		return err
	}
	if err := os.Chmod(log, 0o700); err != nil {
		return err
	}
	return s.fleet.Postgres.Restart(ctx)
}

// close ends everything.
func (s *stage) close() error {
	var err error
	if s.fleet != nil {
		err = s.fleet.Stop()
	}
	for _, l := range s.links {
		l.Stop()
	}
	for _, d := range s.disks {
		err = errors.Join(err, d.unmount())
	}
	return err
}
