package outbound

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	t.Run("R76 only public addresses are reached", func(t *testing.T) {
		t.Parallel()
		for _, at := range []string{
			"127.0.0.1:443", "127.8.8.8:443", "0.0.0.0:443", "10.0.0.1:443", "172.16.0.1:443", "172.31.255.255:443", "192.168.1.1:443",
			"169.254.169.254:443", "100.64.0.1:443", "192.0.0.8:443", "192.0.2.1:443", "198.18.0.1:443", "198.51.100.1:443", "203.0.113.1:443",
			"224.0.0.1:443", "240.0.0.1:443", "255.255.255.255:443", "[::]:443", "[::1]:443", "[fe80::1%eth0]:443", "[fc00::1]:443", "[fd00:ec2::254]:443",
			"[ff02::1]:443", "[::ffff:127.0.0.1]:443", "[::ffff:10.0.0.1]:443", "[::127.0.0.1]:443", "[64:ff9b::7f00:1]:443", "[64:ff9b:1::1]:443",
			"[2001:db8::1]:443", "[2001::1]:443", "[2002:7f00:1::]:443", "[100::1]:443", "[fec0::1]:443", "[3fff::1]:443",
		} {
			require.ErrorIs(t, Options{}.check(at), ErrAddress, at)
		}
		for _, at := range []string{"93.184.216.34:443", "1.1.1.1:8443", "[2606:4700::1111]:443", "172.32.0.1:443", "100.128.0.1:443"} {
			require.NoError(t, Options{}.check(at), at)
		}
	})
	t.Run("R76 at the ports of HTTPS", func(t *testing.T) {
		t.Parallel()
		for _, at := range []string{"1.1.1.1:80", "1.1.1.1:22", "1.1.1.1:5432", "[2606:4700::1111]:25"} {
			require.ErrorIs(t, Options{}.check(at), ErrPort, at)
		}
	})
	t.Run("R76 and what the operator allows", func(t *testing.T) {
		t.Parallel()
		allowed := Options{Networks: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}}
		require.NoError(t, allowed.check("10.1.2.3:9000"))
		require.NoError(t, allowed.check("[::ffff:10.1.2.3]:9000"))
		require.ErrorIs(t, allowed.check("10.2.0.1:443"), ErrAddress)
	})
}

func TestClient(t *testing.T) {
	t.Parallel()
	reached := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reached <- r.URL.Path
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, "/there", http.StatusFound)
		case "/endless":
			for range 2 * MaxBody / 1024 {
				if _, err := io.WriteString(w, strings.Repeat("x", 1024)); err != nil {
					return
				}
			}
		case "/whole":
			_, _ = io.WriteString(w, strings.Repeat("x", MaxBody))
		}
	}))
	t.Cleanup(server.Close)
	loopback := Options{Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Plain: true}
	get := func(o Options, url string) (int, int, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		require.NoError(t, err)
		answer, err := Client(o).Do(req)
		if err != nil {
			return 0, 0, err
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		return answer.StatusCode, len(body), err
	}

	t.Run("R76 a name that leads to a private address is refused as it is dialed", func(t *testing.T) {
		_, port, _ := strings.Cut(strings.TrimPrefix(server.URL, "http://"), ":")
		_, _, err := get(Options{Plain: true}, "http://localhost:"+port)
		require.ErrorIs(t, err, ErrAddress)
		require.Empty(t, reached)
	})
	t.Run("R76 only https is spoken", func(t *testing.T) {
		_, _, err := get(Options{Networks: loopback.Networks}, server.URL)
		require.ErrorIs(t, err, ErrScheme)
		require.Empty(t, reached)
	})
	t.Run("R76 redirects are not followed", func(t *testing.T) {
		status, _, err := get(loopback, server.URL+"/away")
		require.NoError(t, err)
		require.Equal(t, http.StatusFound, status)
		require.Equal(t, "/away", <-reached)
		require.Empty(t, reached)
	})
	t.Run("R76 an answer without end is no answer", func(t *testing.T) {
		_, _, err := get(loopback, server.URL+"/endless")
		require.ErrorIs(t, err, ErrTooLong)
		_, n, err := get(loopback, server.URL+"/whole")
		require.NoError(t, err)
		require.Equal(t, MaxBody, n)
	})
}
