package main

import (
	"context"
	"errors"
	"path/filepath"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/rosterhq/roster/services/internal/devpg"
	"github.com/rosterhq/roster/services/internal/fleet"
	"github.com/rosterhq/roster/services/internal/freeport"
)

// stuck is the process that reaches the old primary when nobody else does, and nothing but it, until it joins the others.
const stuck = "membership-2"

// stage is a suite on a pair of PostgreSQL servers, with a proxy on each way to either.
type stage struct {
	fleet       *fleet.Fleet
	standby     *devpg.Cluster
	proxies     *toxiproxy.ApiServer
	replication *toxiproxy.Proxy            // from the standby to the primary
	primaries   map[string]*toxiproxy.Proxy // by process
	standbys    map[string]*toxiproxy.Proxy // by process
}

// raise starts everything.
func raise(ctx context.Context, dir, rosterd string) (*stage, error) {
	s := &stage{
		proxies:   toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()),
		primaries: make(map[string]*toxiproxy.Proxy), standbys: make(map[string]*toxiproxy.Proxy),
	}
	err := s.start(ctx, dir, rosterd)
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *stage) start(ctx context.Context, dir, rosterd string) (err error) {
	if s.fleet, err = fleet.Start(ctx, fleet.Config{Dir: dir, Rosterd: rosterd, Copies: 2, Through: s.through}); err != nil {
		return err
	}
	if s.replication, err = s.proxy("replication", s.fleet.Postgres.Address()); err != nil {
		return err
	}
	if err := s.replication.Start(); err != nil {
		return err
	}
	if s.standby, err = devpg.Standby(ctx, filepath.Join(dir, "standby"), s.fleet.Postgres, s.replication.Listen); err != nil {
		return err
	}
	for process, proxy := range s.standbys {
		proxy.Upstream = s.standby.Address()
		if process == stuck {
			continue
		}
		if err := proxy.Start(); err != nil {
			return err
		}
	}
	return nil
}

// through gives each process a way to either server. The one to the standby opens when there is a standby.
func (s *stage) through(from, to, address string) (string, error) {
	if to != "postgres" {
		return address, nil
	}
	var err error
	if s.primaries[from], err = s.proxy(from+" to the primary", address); err != nil {
		return "", err
	}
	if err := s.primaries[from].Start(); err != nil {
		return "", err
	}
	if s.standbys[from], err = s.proxy(from+" to the standby", ""); err != nil {
		return "", err
	}
	return s.primaries[from].Listen + "," + s.standbys[from].Listen, nil
}

// proxy makes one that does not listen yet.
func (s *stage) proxy(name, upstream string) (*toxiproxy.Proxy, error) {
	lis, err := freeport.Listen()
	if err != nil {
		return nil, err
	}
	return toxiproxy.NewProxy(s.proxies, name, lis.Addr().String(), upstream), lis.Close()
}

// isolate cuts the primary off from its standby and from every process but one.
func (s *stage) isolate() {
	s.replication.Stop()
	for process, proxy := range s.primaries {
		if process != stuck {
			proxy.Stop()
		}
	}
}

// join lets the process that is stuck reach the standby, or what became of it.
func (s *stage) join() error { return s.standbys[stuck].Start() }

// close ends everything.
func (s *stage) close() (err error) {
	if s.fleet != nil {
		err = s.fleet.Stop()
	}
	if s.standby != nil {
		err = errors.Join(err, s.standby.Stop())
	}
	for _, proxies := range []map[string]*toxiproxy.Proxy{s.primaries, s.standbys, {"": s.replication}} {
		for _, proxy := range proxies {
			if proxy != nil {
				proxy.Stop()
			}
		}
	}
	return err
}
