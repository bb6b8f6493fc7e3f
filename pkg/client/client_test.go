package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

// accounts is an account service that answers GetMe.
type accounts struct {
	identityv1.UnimplementedAccountServiceServer
	getMe func(context.Context) (*identityv1.GetMeResponse, error)
}

func (a accounts) GetMe(ctx context.Context, _ *identityv1.GetMeRequest) (*identityv1.GetMeResponse, error) {
	return a.getMe(ctx)
}

// serve returns the address, on this machine, of a server that answers GetMe.
func serve(t *testing.T, getMe func(context.Context) (*identityv1.GetMeResponse, error), opts ...grpc.ServerOption) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer(opts...)
	identityv1.RegisterAccountServiceServer(server, accounts{getMe: getMe})
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}

func getMe(t *testing.T, c Config) (*identityv1.GetMeResponse, error) {
	t.Helper()
	client, err := Dial(c)
	require.NoError(t, err)
	defer client.Close()
	return client.Accounts.GetMe(t.Context(), &identityv1.GetMeRequest{})
}

// presented answers with what the call presented, as the name of the account.
func presented(ctx context.Context) (*identityv1.GetMeResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	account := &identityv1.Account{}
	if header := md.Get("authorization"); len(header) == 1 {
		account.DisplayName = header[0]
	}
	return &identityv1.GetMeResponse{Account: account}, nil
}

func TestDial(t *testing.T) {
	t.Parallel()

	t.Run("TheTokenGoesWithTheCall", func(t *testing.T) {
		t.Parallel()
		me, err := getMe(t, Config{Address: serve(t, presented), Token: "secret"})
		require.NoError(t, err)
		require.Equal(t, "Bearer secret", me.GetAccount().GetDisplayName())
	})

	t.Run("NobodyPresentsNothing", func(t *testing.T) {
		t.Parallel()
		me, err := getMe(t, Config{Address: serve(t, presented)})
		require.NoError(t, err)
		require.Empty(t, me.GetAccount().GetDisplayName())
	})

	t.Run("TheZeroValueWorks", func(t *testing.T) {
		t.Parallel()
		client, err := Dial(Config{})
		require.NoError(t, err)
		require.Equal(t, "dns:///localhost:9090", client.conn.Target())
		require.NoError(t, client.Close())
	})

	t.Run("WhatIsNoAddressIsRefused", func(t *testing.T) {
		t.Parallel()
		for _, address := range []string{"localhost", "localhost:", "https://roster.example.com"} {
			_, err := Dial(Config{Address: address})
			require.ErrorContains(t, err, "must be host:port", address)
		}
	})

	t.Run("ATokenWithALineBreakIsRefused", func(t *testing.T) {
		t.Parallel()
		_, err := Dial(Config{Token: "secret\n"})
		require.ErrorContains(t, err, "one word")
		require.NotContains(t, err.Error(), "secret")
	})
}

// elsewhere is a connection to another machine. What is written to it waits for ever.
type elsewhere struct{ net.Conn }

func (elsewhere) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 9090} }

func TestPlaintext(t *testing.T) {
	t.Parallel()

	t.Run("OnlyLoopbackCountsAsThisMachine", func(t *testing.T) {
		t.Parallel()
		for _, host := range []string{"localhost", "LOCALHOST.", "roster.localhost", "127.0.0.1", "127.1.2.3", "::1"} {
			require.True(t, onThisMachine(host), host)
		}
		for _, host := range []string{"", "10.0.0.1", "0.0.0.0", "::", "localhost.example.com", "notlocalhost", "127.0.0.1.example.com"} {
			require.False(t, onThisMachine(host), host)
		}
	})

	t.Run("AnotherMachineIsCalledWithTLSOrNotAtAll", func(t *testing.T) {
		t.Parallel()
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer listener.Close()
		heard := make(chan []byte, 1)
		go func() {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			first := make([]byte, 512)
			n, _ := conn.Read(first)
			heard <- first[:n]
			conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) // what a server without TLS says to it
		}()
		_, port, err := net.SplitHostPort(listener.Addr().String())
		require.NoError(t, err)

		_, err = getMe(t, Config{Address: "0.0.0.0:" + port, Token: "secret"}) // leads here, but is no loopback address
		require.Equal(t, errorv1.Reason_REASON_UNAVAILABLE, fault.ReasonOf(err))
		require.ErrorContains(t, err, "does not speak TLS, and without it nothing is sent to another machine")
		require.NotContains(t, string(<-heard), "secret")
	})

	t.Run("ANameThatLeadsToAnotherMachineIsRefused", func(t *testing.T) {
		t.Parallel()
		client, err := dial(Config{Address: "localhost:9090", Token: "secret"},
			grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
				here, there := net.Pipe()
				t.Cleanup(func() { there.Close() })
				return elsewhere{here}, nil
			}))
		require.NoError(t, err)
		defer client.Close()
		_, err = client.Accounts.GetMe(t.Context(), &identityv1.GetMeRequest{})
		require.Equal(t, errorv1.Reason_REASON_UNAVAILABLE, fault.ReasonOf(err))
		require.ErrorContains(t, err, "leads to another machine, and without TLS nothing is sent there")
	})

	t.Run("TLSIsUsedWhereItIsGiven", func(t *testing.T) {
		t.Parallel()
		pki := httptest.NewUnstartedServer(nil)
		pki.StartTLS()
		defer pki.Close()
		address := serve(t, presented, grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: pki.TLS.Certificates})))
		roots := x509.NewCertPool()
		roots.AddCert(pki.Certificate())

		me, err := getMe(t, Config{Address: address, Token: "secret", TLS: &tls.Config{RootCAs: roots}})
		require.NoError(t, err)
		require.Equal(t, "Bearer secret", me.GetAccount().GetDisplayName())

		_, err = getMe(t, Config{Address: address, Token: "secret", TLS: &tls.Config{RootCAs: x509.NewCertPool()}})
		require.Equal(t, errorv1.Reason_REASON_UNAVAILABLE, fault.ReasonOf(err))
	})
}

func TestFailures(t *testing.T) {
	t.Parallel()
	failing := func(err error) func(context.Context) (*identityv1.GetMeResponse, error) {
		return func(context.Context) (*identityv1.GetMeResponse, error) { return nil, err }
	}

	t.Run("ARefusalIsAFault", func(t *testing.T) {
		t.Parallel()
		refusal := fault.New(errorv1.Reason_REASON_SEAT_LIMIT_REACHED, "No seat is free.").
			With("total", "5").WithHelp("https://example.com/upgrade").WithRetry(time.Second)
		_, err := getMe(t, Config{Address: serve(t, failing(refusal))})
		var got *fault.Fault
		require.ErrorAs(t, err, &got)
		require.Equal(t, refusal, got)
		require.Equal(t, codes.ResourceExhausted, status.Code(err))
	})

	t.Run("AReasonOfALaterVersionStaysAStatus", func(t *testing.T) {
		t.Parallel()
		_, err := getMe(t, Config{Address: serve(t, failing(status.Error(codes.FailedPrecondition, "not today")))})
		require.Equal(t, codes.FailedPrecondition, status.Code(err))
		require.Nil(t, fault.From(err))
	})

	t.Run("AServerThatIsAwayIsUnavailable", func(t *testing.T) {
		t.Parallel()
		_, err := getMe(t, Config{Address: "127.0.0.1:1"})
		require.Equal(t, errorv1.Reason_REASON_UNAVAILABLE, fault.ReasonOf(err))
		require.Equal(t, codes.Unavailable, status.Code(err))
		require.ErrorContains(t, err, "Roster at 127.0.0.1:1 does not answer.")
		require.ErrorContains(t, err, "connection refused")
	})

	t.Run("ANameWithoutAnAddressIsCalledThat", func(t *testing.T) {
		t.Parallel()
		empty := manual.NewBuilderWithScheme("dns")
		empty.InitialState(resolver.State{})
		client, err := dial(Config{Address: "roster.example.com:9090"}, grpc.WithResolvers(empty))
		require.NoError(t, err)
		defer client.Close()
		_, err = client.Accounts.GetMe(t.Context(), &identityv1.GetMeRequest{})
		require.ErrorContains(t, err, "The name in roster.example.com:9090 has no address.")
	})

	t.Run("AMissingMethodIsNotTakenForANetworkError", func(t *testing.T) {
		t.Parallel()
		client, err := Dial(Config{Address: serve(t, presented)})
		require.NoError(t, err)
		defer client.Close()
		_, err = client.Sessions.ListSessions(t.Context(), &identityv1.ListSessionsRequest{})
		require.Equal(t, errorv1.Reason_REASON_ROUTE_NOT_FOUND, fault.ReasonOf(err))
		require.ErrorContains(t, err, "/roster.identity.v1.SessionService/ListSessions")
	})

	t.Run("CancellingIsACancellation", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		address := serve(t, func(called context.Context) (*identityv1.GetMeResponse, error) {
			cancel()
			<-called.Done()
			return nil, called.Err()
		})
		client, err := Dial(Config{Address: address})
		require.NoError(t, err)
		defer client.Close()
		_, err = client.Accounts.GetMe(ctx, &identityv1.GetMeRequest{})
		require.Equal(t, errorv1.Reason_REASON_CANCELLED, fault.ReasonOf(err))
		require.True(t, errors.Is(err, context.Canceled))
	})

	t.Run("EveryCallHasADeadline", func(t *testing.T) {
		t.Parallel()
		var left time.Duration
		address := serve(t, func(ctx context.Context) (*identityv1.GetMeResponse, error) {
			deadline, _ := ctx.Deadline()
			left = time.Until(deadline)
			return &identityv1.GetMeResponse{}, nil
		})
		_, err := getMe(t, Config{Address: address})
		require.NoError(t, err)
		require.InDelta(t, longestCall.Seconds(), left.Seconds(), 10)
	})
}
