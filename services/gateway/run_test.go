package gateway

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestServe(t *testing.T) {
	t.Parallel()
	t.Run("WhoseRequestCameBeforeTheEndLeavesTheConnectionToo", func(t *testing.T) {
		t.Parallel()
		for name, answer := range map[string]func(http.ResponseWriter){
			"status":  func(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) },
			"body":    func(w http.ResponseWriter) { _, _ = io.WriteString(w, "fine") },
			"nothing": func(http.ResponseWriter) {},
		} {
			ctx, end := context.WithCancel(t.Context())
			came := make(chan struct{})
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				close(came)
				<-ctx.Done()
				answer(w)
			})}
			served := make(chan error, 1)
			go func() { served <- serve(ctx, server, listener, time.Second) }()
			go func() {
				<-came
				end()
			}()
			res, err := http.Get("http://" + listener.Addr().String())
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			require.True(t, res.Close, name)
			require.NoError(t, <-served)
		}
	})
}
