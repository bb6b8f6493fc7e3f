package server

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/metadata"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/certs"
	"github.com/rosterhq/roster/services/internal/network"
)

func TestCaller(t *testing.T) {
	t.Parallel()
	// seen returns whom the verb sees.
	seen := func(t *testing.T, peer string, headers ...string) (who caller.Caller) {
		h := start(t, func(ctx context.Context) error {
			who = caller.From(ctx)
			return nil
		})
		ctx := metadata.AppendToOutgoingContext(t.Context(), headers...)
		require.NoError(t, usage(ctx, h.dial(t, peer), asAccount))
		return who
	}

	t.Run("TheEdgeSpeaksForItsClient", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, caller.Caller{Service: "gateway", Account: account, Session: session, Address: "192.0.2.7", UserAgent: "Lynx"},
			seen(t, "gateway", caller.AddressHeader, "192.0.2.7", caller.UserAgentHeader, "Lynx"))
	})

	t.Run("R56_NobodyElseDoes", func(t *testing.T) {
		t.Parallel()
		for _, peer := range []string{"", "membership"} {
			who := seen(t, peer, caller.AddressHeader, "192.0.2.7", caller.UserAgentHeader, "Lynx")
			require.Equal(t, peer, who.Service)
			require.Empty(t, who.Address)
			require.Contains(t, who.UserAgent, "grpc-go")
		}
	})

	t.Run("R56_AnAddressIsThePeers", func(t *testing.T) {
		t.Parallel()
		var who caller.Caller
		n := network.Plain()
		lis, creds, err := n.Listen("tested", "127.0.0.1:0")
		require.NoError(t, err)
		s := New(creds, Config{Role: "tested", Authenticate: authenticate, Log: slog.New(slog.DiscardHandler)})
		register(s, func(ctx context.Context) error {
			who = caller.From(ctx)
			return nil
		})
		stop := serve(t, s, lis)
		defer stop()
		conn, err := n.Dial("gateway", "tested", lis.Addr().String())
		require.NoError(t, err)
		defer conn.Close()
		require.NoError(t, usage(metadata.AppendToOutgoingContext(t.Context(), caller.AddressHeader, "192.0.2.7"), conn, asAccount))
		require.Equal(t, "127.0.0.1", who.Address)
		require.Empty(t, who.Service)
	})

	t.Run("R56_TheAddressOfAServiceIsNoClients", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		_, err := certs.Renew(dir, []string{"tested", "membership"}, map[string][]string{"tested": {"127.0.0.1"}}, time.Now())
		require.NoError(t, err)
		files := func(role string) network.TLSFiles {
			return network.TLSFiles{Cert: filepath.Join(dir, role+".pem"), Key: filepath.Join(dir, role+".key"), CA: filepath.Join(dir, "ca.pem")}
		}
		there, err := network.TLS(files("tested"))
		require.NoError(t, err)
		here, err := network.TLS(files("membership"))
		require.NoError(t, err)
		lis, creds, err := there.Listen("tested", "127.0.0.1:0")
		require.NoError(t, err)
		var who caller.Caller
		s := New(creds, Config{Role: "tested", Authenticate: authenticate, Log: slog.New(slog.DiscardHandler)})
		register(s, func(ctx context.Context) error {
			who = caller.From(ctx)
			return nil
		})
		stop := serve(t, s, lis)
		defer stop()
		conn, err := here.Dial("membership", "tested", lis.Addr().String())
		require.NoError(t, err)
		defer conn.Close()
		require.NoError(t, usage(t.Context(), conn, asAccount))
		require.Equal(t, "membership", who.Service)
		require.Empty(t, who.Address)
	})

	t.Run("R56_BadCredentialsAreRefused", func(t *testing.T) {
		t.Parallel()
		conn := start(t, fine).dial(t, "gateway")
		for _, presented := range [][]string{
			{"Bearer unknown"}, {"Bearer"}, {"Bearer "}, {""}, {"Basic an-account"}, {"an-account"}, {"Bearer  an-account"},
			{"Bearer an-account x"}, {asAccount, asOperator}, {asAccount, asAccount},
		} {
			requireReason(t, signIn, usage(t.Context(), conn, presented...), presented)
		}
		require.NoError(t, usage(t.Context(), conn, "bearer an-account")) // schemes have no case
		requireReason(t, errorv1.Reason_REASON_UNAVAILABLE, usage(t.Context(), conn, "Bearer away"))
	})

	t.Run("WithoutAnAuthenticatorEveryCredentialIs", func(t *testing.T) {
		t.Parallel()
		h := start(t, fine, func(c *Config) { c.Authenticate = nil })
		requireReason(t, signIn, usage(t.Context(), h.dial(t, ""), asAccount))
	})
}
