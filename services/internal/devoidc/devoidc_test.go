package devoidc

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProvider(t *testing.T) {
	t.Parallel()
	p, err := Start(t.Context())
	require.NoError(t, err)
	defer p.Stop()
	answer, err := http.Get(p.Issuer + "/.well-known/openid-configuration")
	require.NoError(t, err)
	defer answer.Body.Close()
	require.Equal(t, http.StatusOK, answer.StatusCode)
	id, secret, err := p.Register(t.Context(), "http://127.0.0.1:1/callback")
	require.NoError(t, err)
	require.NotEmpty(t, id)
	require.NotEmpty(t, secret)
}
