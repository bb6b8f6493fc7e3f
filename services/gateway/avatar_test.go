package gateway

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

func TestAvatar(t *testing.T) {
	t.Parallel()
	const known = "ABCDEFGHIJKLMNOPQRSTUVWX23"
	begin := func(t *testing.T) *harness {
		h := start(t)
		h.avatar = func(_ context.Context, req *identityv1.GetAvatarRequest) (*identityv1.GetAvatarResponse, error) {
			if req.GetAvatarId() != known {
				return &identityv1.GetAvatarResponse{}, nil
			}
			return &identityv1.GetAvatarResponse{Content: []byte("\x89PNG drawn")}, nil
		}
		return h
	}

	t.Run("IsShownToWhoeverHasItsURLAsAPictureAndNothingElse", func(t *testing.T) {
		t.Parallel()
		h := begin(t)
		a := h.do(http.MethodGet, "/avatars/"+known, "", "Cookie", cookieName+"=stale")
		require.Equal(t, http.StatusOK, a.StatusCode)
		require.Equal(t, "\x89PNG drawn", a.text)
		for name, value := range map[string]string{
			"Content-Type": "image/png", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox",
			"Cache-Control": "public, max-age=86400, immutable", "Cross-Origin-Resource-Policy": "cross-origin", "Set-Cookie": "",
		} {
			require.Equal(t, value, a.Header.Get(name), name)
		}
		require.Contains(t, h.log.String(), "/avatars/{avatar}")
		require.NotContains(t, h.log.String(), known)
	})
	t.Run("IsNotFoundWhenItIsGoneAndThatIsNotKept", func(t *testing.T) {
		t.Parallel()
		h := begin(t)
		for _, name := range []string{"ABCDEFGHIJKLMNOPQRSTUVWX22", "x", "..%2fv1", known + "A"} {
			a := h.do(http.MethodGet, "/avatars/"+name, "")
			require.Equal(t, http.StatusNotFound, a.StatusCode, name)
			require.Equal(t, "no-store", a.Header.Get("Cache-Control"), name)
		}
		require.Equal(t, []string{"GetAvatar"}, h.calls(), "identity is asked only about what may be an id")
	})
}
