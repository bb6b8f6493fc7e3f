package fleet_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/fleet"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/newcomer"
	"github.com/rosterhq/roster/services/internal/rest"
	"github.com/rosterhq/roster/services/internal/testkit"
)

// forwarded sends requests as the proxy before the gateway does, with what it says of where they come from.
type forwarded string

func (f forwarded) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Forwarded-For", string(f))
	return http.DefaultTransport.RoundTrip(r)
}

// A gateway behind a proxy, and few attempts for each network. The tests of the other roles count none: they are all at one address.
func TestAttemptsOfNetworks(t *testing.T) {
	t.Parallel()
	const each, all = 3, 20 * 3
	f := start(t, fleet.Config{Env: []string{"ROSTER_TRUSTED_PROXIES=1", fmt.Sprint("ROSTER_ATTEMPTS=", each)}})
	ada, err := newcomer.SignUp(t.Context(), f.Conn(), newcomer.In(f.Mail), "ada@example.com")
	require.NoError(t, err)
	// signIn returns the answer's status and reason.
	signIn := func(t *testing.T, from, email, password string) string {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.URL+"/v1/sessions",
			strings.NewReader(fmt.Sprintf(`{"email":%q,"password":%q,"delivery":"DELIVERY_TOKEN"}`, email, password)))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/problem+json")
		req.Header.Set("X-Forwarded-For", from)
		answer, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer answer.Body.Close()
		var problem struct{ Reason string }
		require.NoError(t, json.NewDecoder(answer.Body).Decode(&problem))
		if answer.StatusCode == http.StatusTooManyRequests {
			require.NotEmpty(t, answer.Header.Get("Retry-After"))
		}
		return strings.TrimSpace(fmt.Sprint(answer.StatusCode, " ", problem.Reason))
	}
	const ok, wrong, limited = "200", "401 CREDENTIALS_INVALID", "429 RATE_LIMITED"
	const home = "198.51.100.7"
	require.Equal(t, ok, signIn(t, home, ada.Email, newcomer.Password))

	conn := func(from string) *rest.Conn {
		return &rest.Conn{URL: f.URL, HTTP: &http.Client{Transport: forwarded(from)}}
	}
	key, mine := testkit.NewPasskey(t, f.URL), conn(home)
	mine.Token = ada.Session
	made, err := identityv1.NewFactorServiceClient(mine).BeginPasskey(t.Context(), &identityv1.BeginPasskeyRequest{})
	require.NoError(t, err)
	_, err = identityv1.NewFactorServiceClient(mine).ConfirmPasskey(t.Context(), &identityv1.ConfirmPasskeyRequest{Passkey: key.Create(t, made.GetOptions())})
	require.NoError(t, err)

	failed := 0
	t.Run("R61 a network has so many failures, whoever they are about, and others have their own", func(t *testing.T) { // not parallel: they count together
		for ; failed < each; failed++ { // from all over one /64
			require.Equal(t, wrong, signIn(t, fmt.Sprintf("2001:db8:1:2:%d::1", failed+1), fmt.Sprintf("nobody-%d@example.com", failed), "wrong"))
		}
		require.Equal(t, limited, signIn(t, "2001:db8:1:2:9::1", ada.Email, newcomer.Password))
		require.Equal(t, limited, signIn(t, "192.0.2.1, 2001:db8:1:2:9::1", ada.Email, newcomer.Password), "whatever it says of itself")
		require.Equal(t, ok, signIn(t, "2001:db8:1:3::1", ada.Email, newcomer.Password))
	})
	t.Run("R61 R63 a network begins so many sign-ins that come to no end, whatever there is, and others have their own", func(t *testing.T) { // not parallel: they count together
		const flood, underWay = "203.0.113.200", 10 * each
		begin := func(from string) (*identityv1.BeginPasskeySignInResponse, error) {
			return identityv1.NewSessionServiceClient(conn(from)).BeginPasskeySignIn(t.Context(), &identityv1.BeginPasskeySignInRequest{})
		}
		// leave begins to sign in with an identity provider that there is not.
		leave := func(from string) (status int, page, retry string) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.URL+"/signin/oidc/"+id.NewProvider().String(), nil)
			require.NoError(t, err)
			req.Header.Set("Accept", "text/html")
			answer, err := (&http.Client{Transport: forwarded(from)}).Do(req)
			require.NoError(t, err)
			defer answer.Body.Close()
			text, err := io.ReadAll(answer.Body)
			require.NoError(t, err)
			return answer.StatusCode, string(text), answer.Header.Get("Retry-After")
		}
		begun, limited := 0, false
		for !limited { // the budget grows while the test runs
			_, err := begin(flood)
			if err == nil {
				begun++
				require.Less(t, begun, 10*underWay)
				continue
			}
			require.Equal(t, errorv1.Reason_REASON_RATE_LIMITED, fault.ReasonOf(err))
			require.NotZero(t, fault.From(err).Retry)
			status, page, retry := leave(flood)
			if limited = status == http.StatusTooManyRequests; limited {
				require.Contains(t, page, "There was too much of this from your network.")
				require.NotEmpty(t, retry)
			}
		}
		require.GreaterOrEqual(t, begun, underWay)
		status, _, _ := leave(home)
		require.Equal(t, http.StatusNotFound, status)

		for range underWay + 5 { // an office comes to work
			begun, err := begin(home)
			require.NoError(t, err)
			_, err = identityv1.NewSessionServiceClient(conn(home)).FinishPasskeySignIn(t.Context(), &identityv1.FinishPasskeySignInRequest{
				Passkey: key.Sign(t, begun.GetOptions()), Delivery: identityv1.Delivery_DELIVERY_TOKEN})
			require.NoError(t, err)
		}
	})
	t.Run("R61 while too many fail everywhere only who is known where they are gets in", func(t *testing.T) { // not parallel: they count together
		for ; failed < all; failed++ {
			require.Equal(t, wrong, signIn(t, fmt.Sprintf("203.0.113.%d", failed), fmt.Sprintf("nobody-%d@example.com", failed), "wrong"))
		}
		refused := 0
		for i := range 10 { // the budget grows while the test runs
			if signIn(t, fmt.Sprintf("192.0.2.%d", 100+i), "nobody@example.com", "wrong") == limited {
				refused++
			}
		}
		require.NotZero(t, refused)
		require.Equal(t, ok, signIn(t, home, ada.Email, newcomer.Password))
	})
}
