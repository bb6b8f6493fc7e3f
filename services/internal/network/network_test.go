package network_test

import (
	"context"
	"crypto/tls"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/rosterhq/roster/pkg/fault"
	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/network"
)

// seats answers every call with the role that it heard.
type seats struct {
	billingv1.UnimplementedSeatServiceServer
	heard chan string
	wait  bool // for the end of the call, instead of answering
}

func (s seats) OccupySeat(ctx context.Context, _ *billingv1.OccupySeatRequest) (*billingv1.OccupySeatResponse, error) {
	if s.wait {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	s.heard <- network.PeerRole(ctx)
	return &billingv1.OccupySeatResponse{}, nil
}

// serve runs a server for a role until the test ends. heard gets the caller's role at each call.
func serve(t *testing.T, n network.Network, role, address string) (at string, heard chan string) {
	t.Helper()
	lis, creds, err := n.Listen(role, address)
	require.NoError(t, err)
	heard = make(chan string, 1)
	serveWith(t, lis, creds, seats{heard: heard})
	return lis.Addr().String(), heard
}

func serveWith(t *testing.T, lis net.Listener, creds credentials.TransportCredentials, s seats) {
	server := grpc.NewServer(grpc.Creds(creds))
	billingv1.RegisterSeatServiceServer(server, s)
	done := make(chan error, 1)
	go func() { done <- server.Serve(lis) }()
	t.Cleanup(func() {
		server.Stop()
		require.NoError(t, <-done)
	})
}

// call makes one call over a connection of its own.
func call(t *testing.T, n network.Network, from, to, address string) error {
	t.Helper()
	conn, err := n.Dial(from, to, address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return callOn(t.Context(), conn)
}

func callOn(ctx context.Context, conn *grpc.ClientConn) error {
	_, err := billingv1.NewSeatServiceClient(conn).OccupySeat(ctx, &billingv1.OccupySeatRequest{})
	return err
}

func requireReason(t *testing.T, want errorv1.Reason, err error) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, want, fault.ReasonOf(err), err)
}

func TestMemory(t *testing.T) {
	t.Parallel()

	t.Run("TheServerHearsWhoDials", func(t *testing.T) {
		t.Parallel()
		n := network.Memory()
		_, heard := serve(t, n, "billing", "")
		for _, role := range []string{"membership", "invitation"} {
			require.NoError(t, call(t, n, role, "billing", ""))
			require.Equal(t, role, <-heard)
		}
	})

	t.Run("NobodyListens", func(t *testing.T) {
		t.Parallel()
		requireReason(t, errorv1.Reason_REASON_UNAVAILABLE, call(t, network.Memory(), "membership", "billing", ""))
	})

	t.Run("AnAddressIsTakenUntilClosed", func(t *testing.T) {
		t.Parallel()
		n := network.Memory()
		lis, _, err := n.Listen("billing", "a")
		require.NoError(t, err)
		_, _, err = n.Listen("billing", "a")
		require.Error(t, err)
		require.NoError(t, lis.Close())
		again, _, err := n.Listen("billing", "a")
		require.NoError(t, err)
		require.NoError(t, lis.Close()) // twice: must not take the new listener's address
		_, _, err = n.Listen("billing", "a")
		require.Error(t, err)
		require.NoError(t, again.Close())
	})

	t.Run("AConnectionSurvivesARestart", func(t *testing.T) {
		t.Parallel()
		n := network.Memory()
		conn, err := n.Dial("membership", "billing", "")
		require.NoError(t, err)
		defer conn.Close()
		require.Error(t, callOn(t.Context(), conn)) // not up yet
		_, heard := serve(t, n, "billing", "")
		_, err = billingv1.NewSeatServiceClient(conn).OccupySeat(t.Context(), &billingv1.OccupySeatRequest{}, grpc.WaitForReady(true))
		require.NoError(t, err)
		require.Equal(t, "membership", <-heard)
	})
}

func TestPlain(t *testing.T) {
	t.Parallel()
	address, heard := serve(t, network.Plain(), "billing", "localhost:0")
	require.NoError(t, call(t, network.Plain(), "membership", "billing", address))
	require.Empty(t, <-heard, "a role without proof")
}

func TestListOfAddresses(t *testing.T) {
	t.Parallel()
	// copyOf is one copy of billing, which can end.
	copyOf := func(t *testing.T, heard chan string) (address string, end func()) {
		lis, creds, err := network.Plain().Listen("billing", "localhost:0")
		require.NoError(t, err)
		server := grpc.NewServer(grpc.Creds(creds))
		billingv1.RegisterSeatServiceServer(server, seats{heard: heard})
		go server.Serve(lis)
		t.Cleanup(server.Stop)
		return lis.Addr().String(), server.Stop
	}

	t.Run("EachGetsCalls", func(t *testing.T) {
		t.Parallel()
		first, second := make(chan string, 1000), make(chan string, 1000)
		one, _ := copyOf(t, first)
		other, end := copyOf(t, second)
		conn, err := network.Plain().Dial("membership", "billing", one+", "+other)
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close() })
		for len(first) == 0 || len(second) == 0 {
			require.NoError(t, callOn(t.Context(), conn))
		}
		end()
		require.Eventually(t, func() bool { return callOn(t.Context(), conn) == nil }, 20*time.Second, time.Millisecond)
		before := len(second)
		for range 20 {
			require.NoError(t, callOn(t.Context(), conn), "the one that is left serves alone")
		}
		require.Len(t, second, before)
	})

	t.Run("AConnectionThatIsReadyAndTakesNoCallIsTriedInPauses", func(t *testing.T) {
		t.Parallel()
		address, _ := copyOf(t, make(chan string, 1))
		tries := 0
		conn, err := network.Plain().Dial("membership", "billing", address, grpc.WithChainUnaryInterceptor(
			func(context.Context, string, any, any, *grpc.ClientConn, grpc.UnaryInvoker, ...grpc.CallOption) error {
				tries++
				return status.Error(codes.Unavailable, "no connection")
			}))
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close() })
		conn.Connect()
		for state := conn.GetState(); state != connectivity.Ready; state = conn.GetState() {
			require.True(t, conn.WaitForStateChange(t.Context(), state))
		}
		requireReason(t, errorv1.Reason_REASON_UNAVAILABLE, callOn(t.Context(), conn))
		require.Greater(t, tries, 1)
		require.Less(t, tries, 50)
	})

	t.Run("ACallThatFindsNobodyIsSentOnceSomebodyIsThere", func(t *testing.T) {
		t.Parallel()
		lis, creds, err := network.Plain().Listen("billing", "localhost:0")
		require.NoError(t, err)
		address := lis.Addr().String()
		require.NoError(t, lis.Close())
		conn, err := network.Plain().Dial("membership", "billing", address)
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close() })

		answered := make(chan error, 1)
		go func() { answered <- callOn(t.Context(), conn) }()
		for state := conn.GetState(); state != connectivity.TransientFailure; state = conn.GetState() {
			require.True(t, conn.WaitForStateChange(t.Context(), state))
		}
		lis, err = net.Listen("tcp", address)
		require.NoError(t, err)
		heard := make(chan string, 1)
		serveWith(t, lis, creds, seats{heard: heard})
		require.NoError(t, <-answered)
		require.Len(t, heard, 1)
	})
}

func TestCalls(t *testing.T) {
	t.Parallel()
	n := network.Memory()
	lis, creds, err := n.Listen("billing", "")
	require.NoError(t, err)
	serveWith(t, lis, creds, seats{wait: true})
	conn, err := n.Dial("membership", "billing", "")
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })

	t.Run("ADeadlineIsAFault", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		requireReason(t, errorv1.Reason_REASON_DEADLINE_EXCEEDED, callOn(ctx, conn))
	})

	t.Run("AnEndedCallIsAFault", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		requireReason(t, errorv1.Reason_REASON_CANCELLED, callOn(ctx, conn))
	})

	t.Run("OtherAnswersPassAsTheyAre", func(t *testing.T) {
		t.Parallel()
		_, err := billingv1.NewSeatServiceClient(conn).ReserveSeats(t.Context(), &billingv1.ReserveSeatsRequest{})
		require.Equal(t, codes.Unimplemented, status.Code(err))
	})
}

func TestTLS(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	role := func(t *testing.T, role string) network.Network {
		return mutual(t, ca.files(t, "roster://"+role))
	}
	// Each refusal has a server of its own that must not hear the call.
	server := func(t *testing.T) string {
		address, heard := serve(t, role(t, "billing"), "billing", "localhost:0")
		t.Cleanup(func() { require.Empty(t, heard) })
		return address
	}
	dialWith := func(t *testing.T, address string, creds credentials.TransportCredentials) error {
		conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(creds))
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		return callOn(t.Context(), conn)
	}

	t.Run("R55_BothEndsKnowEachOther", func(t *testing.T) {
		t.Parallel()
		address, heard := serve(t, role(t, "billing"), "billing", "localhost:0")
		require.NoError(t, call(t, role(t, "membership"), "membership", "billing", address))
		require.Equal(t, "membership", <-heard)
	})

	t.Run("R55_ClientOfAnotherAuthorityIsRefused", func(t *testing.T) {
		t.Parallel()
		files := newAuthority(t).files(t, "roster://membership")
		files.CA = ca.path // it believes the server; the server must not believe it
		requireReason(t, errorv1.Reason_REASON_UNAVAILABLE, call(t, mutual(t, files), "membership", "billing", server(t)))
	})

	t.Run("R55_ServerOfAnotherAuthorityIsRefused", func(t *testing.T) {
		t.Parallel()
		files := ca.files(t, "roster://membership")
		files.CA = newAuthority(t).path
		requireReason(t, errorv1.Reason_REASON_UNAVAILABLE, call(t, mutual(t, files), "membership", "billing", server(t)))
	})

	t.Run("R55_ServerOfAnotherRoleIsRefused", func(t *testing.T) {
		t.Parallel()
		requireReason(t, errorv1.Reason_REASON_UNAVAILABLE, call(t, role(t, "membership"), "membership", "identity", server(t)))
	})

	t.Run("R55_NoCertificateIsRefused", func(t *testing.T) {
		t.Parallel()
		err := dialWith(t, server(t), credentials.NewTLS(&tls.Config{InsecureSkipVerify: true}))
		require.Equal(t, codes.Unavailable, status.Code(err), err)
	})

	t.Run("R55_PlaintextIsRefused", func(t *testing.T) {
		t.Parallel()
		err := dialWith(t, server(t), insecure.NewCredentials())
		require.Equal(t, codes.Unavailable, status.Code(err), err)
	})

	t.Run("R55_OlderTLSIsRefused", func(t *testing.T) {
		t.Parallel()
		own := ca.pair(t, "roster://membership")
		err := dialWith(t, server(t), credentials.NewTLS(&tls.Config{
			InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, Certificates: []tls.Certificate{own},
		}))
		require.Equal(t, codes.Unavailable, status.Code(err), err)
	})

	t.Run("R55_CertificatesThatNameNoOneRoleAreRefused", func(t *testing.T) {
		t.Parallel()
		address := server(t)
		for _, uris := range [][]string{
			nil, {"spiffe://membership"}, {"roster://membership/x"}, {"roster://a@membership"}, {"roster:membership"},
			{"roster://membership", "roster://billing"},
		} {
			err := dialWith(t, address, credentials.NewTLS(&tls.Config{
				InsecureSkipVerify: true, Certificates: []tls.Certificate{ca.pair(t, uris...)},
			}))
			require.Equal(t, codes.Unavailable, status.Code(err), uris)
			_, err = network.TLS(ca.files(t, uris...))
			require.Error(t, err, uris)
		}
	})

	t.Run("R55_ExpiredCertificateIsRefused", func(t *testing.T) {
		t.Parallel()
		old := *ca
		old.expiry = time.Now().Add(-time.Minute)
		requireReason(t, errorv1.Reason_REASON_UNAVAILABLE,
			call(t, mutual(t, old.files(t, "roster://membership")), "membership", "billing", server(t)))
	})

	t.Run("R55_ACertificateIsGoodForItsRoleOnly", func(t *testing.T) {
		t.Parallel()
		_, _, err := role(t, "membership").Listen("billing", "localhost:0")
		require.Error(t, err)
		_, err = role(t, "membership").Dial("billing", "identity", "localhost:1")
		require.Error(t, err)
	})

	t.Run("R55_RotatedFilesAreReadAgain", func(t *testing.T) {
		t.Parallel()
		files := newAuthority(t).files(t, "roster://membership")
		n := mutual(t, files)
		address, heard := serve(t, role(t, "billing"), "billing", "localhost:0")
		requireReason(t, errorv1.Reason_REASON_UNAVAILABLE, call(t, n, "membership", "billing", address))

		fresh := ca.files(t, "roster://membership")
		replace(t, files.Cert, fresh.Cert) // half a rotation: the pair does not fit, the old one stays
		requireReason(t, errorv1.Reason_REASON_UNAVAILABLE, call(t, n, "membership", "billing", address))
		replace(t, files.Key, fresh.Key)
		replace(t, files.CA, fresh.CA)
		require.NoError(t, call(t, n, "membership", "billing", address))
		require.Equal(t, "membership", <-heard)
	})
}

func mutual(t *testing.T, files network.TLSFiles) network.Network {
	t.Helper()
	n, err := network.TLS(files)
	require.NoError(t, err)
	return n
}
