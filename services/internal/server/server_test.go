package server

import (
	"context"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"

	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"

	"github.com/rosterhq/roster/services/internal/network"
)

// TestConnections speaks HTTP/2 by hand, as no gRPC client would.
func TestConnections(t *testing.T) {
	t.Parallel()
	lis, creds, err := network.Plain().Listen("tested", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(serve(t, New(creds, Config{Role: "tested", Log: slog.New(slog.DiscardHandler)}), lis))
	open := func(t *testing.T) *http2.Framer {
		conn, err := net.Dial("tcp", lis.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close() })
		require.NoError(t, conn.SetDeadline(time.Now().Add(30*time.Second)))
		_, err = io.WriteString(conn, http2.ClientPreface)
		require.NoError(t, err)
		framer := http2.NewFramer(conn, conn)
		require.NoError(t, framer.WriteSettings())
		return framer
	}

	t.Run("R60_StreamsAndHeadersAreLimited", func(t *testing.T) {
		t.Parallel()
		frame, err := open(t).ReadFrame()
		require.NoError(t, err)
		settings, ok := frame.(*http2.SettingsFrame)
		require.True(t, ok, frame)
		streams, _ := settings.Value(http2.SettingMaxConcurrentStreams)
		require.EqualValues(t, maxStreams, streams)
		headers, _ := settings.Value(http2.SettingMaxHeaderListSize)
		require.EqualValues(t, maxHeaders, headers)
	})

	t.Run("R60_WhoPingsAllTheTimeIsSentAway", func(t *testing.T) {
		t.Parallel()
		framer := open(t)
		for range 10 {
			if framer.WritePing(false, [8]byte{}) != nil {
				break // sent away already
			}
		}
		for {
			frame, err := framer.ReadFrame()
			require.NoError(t, err)
			if away, ok := frame.(*http2.GoAwayFrame); ok {
				require.Equal(t, http2.ErrCodeEnhanceYourCalm, away.ErrCode)
				return
			}
		}
	})
}

func TestServe(t *testing.T) {
	t.Parallel()

	t.Run("RunningCallsFinish", func(t *testing.T) {
		t.Parallel()
		begun, finish := make(chan struct{}), make(chan struct{})
		h := start(t, func(context.Context) error {
			close(begun)
			<-finish
			return nil
		})
		conn := h.dial(t, "")
		watching, leave := context.WithCancel(t.Context())
		defer leave()
		watch, err := grpc_health_v1.NewHealthClient(conn).Watch(watching, &grpc_health_v1.HealthCheckRequest{})
		require.NoError(t, err)
		answer, err := watch.Recv()
		require.NoError(t, err)
		require.Equal(t, grpc_health_v1.HealthCheckResponse_SERVING, answer.GetStatus())

		called := make(chan error, 1)
		go func() { called <- usage(t.Context(), conn, asAccount) }()
		<-begun
		h.stop()
		answer, err = watch.Recv()
		require.NoError(t, err)
		require.Equal(t, grpc_health_v1.HealthCheckResponse_NOT_SERVING, answer.GetStatus())
		leave()
		close(finish)
		require.NoError(t, <-called)
	})

	t.Run("ItServesOnWhileItLingers", func(t *testing.T) {
		t.Parallel()
		h := start(t, fine, func(c *Config) { c.Linger = 3 * time.Second })
		conn := h.dial(t, "")
		watching, leave := context.WithCancel(t.Context())
		watch, err := grpc_health_v1.NewHealthClient(conn).Watch(watching, &grpc_health_v1.HealthCheckRequest{})
		require.NoError(t, err)
		_, err = watch.Recv()
		require.NoError(t, err)
		h.stop()
		answer, err := watch.Recv()
		require.NoError(t, err)
		require.Equal(t, grpc_health_v1.HealthCheckResponse_NOT_SERVING, answer.GetStatus())
		leave()
		require.NoError(t, usage(t.Context(), h.dial(t, ""), asAccount), "a new connection too")
	})

	t.Run("TheRestIsCut", func(t *testing.T) {
		t.Parallel()
		begun := make(chan struct{})
		h := start(t, func(ctx context.Context) error {
			close(begun)
			<-ctx.Done()
			return ctx.Err()
		})
		h.server.drain = time.Millisecond
		called := make(chan error, 1)
		go func() { called <- usage(t.Context(), h.dial(t, ""), asAccount) }()
		<-begun
		h.stop()
		require.Error(t, <-called)
	})

	t.Run("AClosedListenerIsAnError", func(t *testing.T) {
		t.Parallel()
		lis, creds, err := network.Memory().Listen("tested", "")
		require.NoError(t, err)
		require.NoError(t, lis.Close())
		require.Error(t, New(creds, Config{Role: "tested"}).Serve(t.Context(), lis))
	})

	t.Run("StoppedBeforeItBeginsIsNone", func(t *testing.T) {
		t.Parallel()
		lis, creds, err := network.Memory().Listen("tested", "")
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.NoError(t, New(creds, Config{Role: "tested"}).Serve(ctx, lis))
	})
}

func TestRolesOfOneProcessRegisterAtOnce(t *testing.T) {
	t.Parallel()
	s := New(insecure.NewCredentials(), Config{Role: "edge"})
	var registering sync.WaitGroup
	for _, register := range []func(){
		func() { billingv1.RegisterSeatServiceServer(s, billingv1.UnimplementedSeatServiceServer{}) },
		func() { billingv1.RegisterSeatUsageServiceServer(s, billingv1.UnimplementedSeatUsageServiceServer{}) },
		func() { billingv1.RegisterSeatLimitServiceServer(s, billingv1.UnimplementedSeatLimitServiceServer{}) },
		func() { billingv1.RegisterSeatOwnerServiceServer(s, billingv1.UnimplementedSeatOwnerServiceServer{}) },
	} {
		registering.Go(register)
	}
	registering.Wait()
	require.NotNil(t, s.rules["/roster.billing.v1.SeatService/OccupySeat"])
}
