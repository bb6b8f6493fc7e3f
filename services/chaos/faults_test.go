package main

import (
	"bufio"
	"io"
	"math/rand/v2"
	"net"
	"regexp"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/internal/fleet"
)

// connected is a stage with one proxy, in front of a server that repeats what it is told.
func connected(t *testing.T) (s *stage, at string) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { lis.Close() })
	go func() {
		for {
			conn, err := lis.Accept()
			if err != nil {
				return
			}
			go io.Copy(conn, conn)
		}
	}()
	s = &stage{proxies: toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), fleet: &fleet.Fleet{}}
	at, err = s.through("billing-1", "nats", lis.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() {
		for _, l := range s.links {
			l.Stop()
		}
	})
	return s, at
}

func breakerOf(s *stage, seed uint64) *breaker {
	return &breaker{stage: s, only: regexp.MustCompile(""), held: make(map[string]bool), rand: rand.New(rand.NewPCG(seed, 0))}
}

// talk sends a line and returns what comes back.
func talk(conn net.Conn) (string, error) {
	if _, err := conn.Write([]byte("hello\n")); err != nil {
		return "", err
	}
	return bufio.NewReader(conn).ReadString('\n')
}

func TestLinks(t *testing.T) {
	t.Parallel()
	for rule, toxics := range map[string][]toxic{
		"ACutConnectionCarriesNothingAndIsWholeAgain": {hole("upstream"), hole("downstream")},
		"CutOneWay": {hole("downstream")},
		"Reset":     {{"reset_peer", "downstream", `"timeout": 0`}},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			s, at := connected(t)
			b := breakerOf(s, 1)
			conn, err := net.Dial("tcp", at)
			require.NoError(t, err)
			defer conn.Close()
			said, err := talk(conn)
			require.NoError(t, err)
			require.Equal(t, "hello\n", said)

			target, inflict := b.poison(b.linksTo("nats"), 500*time.Millisecond, toxics...)
			require.Equal(t, "billing-1 to nats", target)
			_, again := b.poison(b.linksTo("nats"), time.Second, toxics...)
			require.Nil(t, again, "it is broken already")
			done := make(chan error, 1)
			go func() {
				_, err := inflict(t.Context())
				done <- err
			}()
			require.Eventually(t, func() bool { // nothing comes back any more
				conn.SetDeadline(time.Now().Add(100 * time.Millisecond))
				_, err := talk(conn)
				return err != nil
			}, 20*time.Second, time.Millisecond)
			require.NoError(t, <-done)

			fresh, err := net.Dial("tcp", at)
			require.NoError(t, err)
			defer fresh.Close()
			fresh.SetDeadline(time.Now().Add(20 * time.Second))
			said, err = talk(fresh)
			require.NoError(t, err)
			require.Equal(t, "hello\n", said)
		})
	}
}

func TestTheSeedDecidesWhatBreaks(t *testing.T) {
	t.Parallel()
	drawn := func(seed uint64) (names []string) {
		s, _ := connected(t)
		b := breakerOf(s, seed)
		b.fleet.Processes = []*fleet.Process{{Name: "billing-1", Role: "billing"}, {Name: "billing-2", Role: "billing"}}
		b.only = regexp.MustCompile("kill|pause|NATS")
		for range 20 {
			f, target, _ := b.draw()
			names = append(names, f.name+" "+target)
			clear(b.held)
		}
		return names
	}
	require.Equal(t, drawn(1), drawn(1))
	require.NotEqual(t, drawn(1), drawn(2))
}
