package gateway

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheAddressOfAFormLeadsToTheStart(t *testing.T) {
	t.Parallel()
	h := start(t)
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, path := range []string{"/verify", "/sign-out", "/invite/accept", "/invite/decline"} {
		resp, err := browser.Get(h.url + path)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusSeeOther, resp.StatusCode, path)
		require.Equal(t, "/", resp.Header.Get("Location"), path)
	}
}
