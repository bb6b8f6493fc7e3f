package fleet_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/fleet"
	"github.com/rosterhq/roster/services/internal/newcomer"
)

// Two of every role, with all that they remember. Who signs out at one gateway is signed out at the other, and at the services
// themselves; without NATS as well. What is remembered is used for half a minute: it is refused long before.
func TestSessionsEndEverywhere(t *testing.T) {
	t.Parallel()
	f := start(t, fleet.Config{Copies: 2})
	const longBefore = 15 * time.Second

	get := func(gateway int, token, path string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.URLs[gateway]+path, nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+token)
		answer, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		return answer.StatusCode
	}
	paths := []string{"/v1/me", "/v1/sessions", "/v1/organizations"} // of two services
	// endsAfter signs out at the first gateway, and returns how long the other and the services still believe the session.
	endsAfter := func(t *testing.T, token string) time.Duration {
		direct := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token)
		me := func() codes.Code {
			_, err := identityv1.NewAccountServiceClient(f.Conn()).GetMe(direct, &identityv1.GetMeRequest{})
			return status.Code(err)
		}
		for _, path := range paths {
			require.Equal(t, http.StatusOK, get(1, token, path), path)
		}
		require.Equal(t, codes.OK, me())
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.URLs[0]+"/v1/sessions:signOut", http.NoBody)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+token)
		answer, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, http.StatusOK, answer.StatusCode)
		begin := time.Now()
		for _, path := range paths {
			for get(1, token, path) != http.StatusUnauthorized {
				require.Less(t, time.Since(begin), longBefore, path)
			}
		}
		for me() != codes.Unauthenticated {
			require.Less(t, time.Since(begin), longBefore, "directly")
		}
		return time.Since(begin)
	}

	ada, err := newcomer.SignUp(t.Context(), f.Conn(), newcomer.In(f.Mail), "ada@example.com")
	require.NoError(t, err)
	grace, err := newcomer.SignUp(t.Context(), f.Conn(), newcomer.In(f.Mail), "grace@example.com")
	require.NoError(t, err)
	t.Run("R43 WithinASecond", func(t *testing.T) {
		t.Log("after", endsAfter(t, ada.Session))
	})
	t.Run("R87 WithinFiveSecondsWhenNATSIsCut", func(t *testing.T) {
		f.Broker.Pause()
		defer f.Broker.Resume()
		t.Log("after", endsAfter(t, grace.Session))
	})
}
