package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

// TestSessions is about where somebody is signed in, and what was tried with their account.
func TestSessions(t *testing.T) {
	t.Parallel()
	sessions := func(t *testing.T, c *person) []*identityv1.Session {
		t.Helper()
		answer, err := c.ListSessions(t.Context(), &identityv1.ListSessionsRequest{})
		require.NoError(t, err)
		return answer.GetSessions()
	}
	// ends waits until a session is refused.
	ends := func(t *testing.T, c *person) {
		t.Helper()
		require.Eventually(t, func() bool {
			_, err := c.GetMe(t.Context(), &identityv1.GetMeRequest{})
			if err != nil {
				refused(t, err, errorv1.Reason_REASON_UNAUTHENTICATED)
			}
			return err != nil
		}, 20*time.Second, 10*time.Millisecond)
	}

	scenario(t, "R42 one sees where one is signed in, and ends one session or all others", func(t *testing.T, over string) {
		person, stranger := signUp(t, over), signUp(t, over)
		here, one, two := signIn(t, over, person.Email), signIn(t, over, person.Email), signIn(t, over, person.Email)
		listed := sessions(t, here)
		for _, s := range listed {
			require.NotEmpty(t, s.GetDevice())
			require.EqualValues(t, 1, s.GetLevel())
			require.NotZero(t, s.GetLastUseTime())
		}
		require.True(t, listed[2].GetCurrent())
		_, err := here.DeleteSession(t.Context(), &identityv1.DeleteSessionRequest{SessionId: sessions(t, stranger)[0].GetId()})
		refused(t, err, errorv1.Reason_REASON_SESSION_NOT_FOUND)
		_, err = here.DeleteSession(t.Context(), &identityv1.DeleteSessionRequest{SessionId: listed[1].GetId()})
		require.NoError(t, err)
		ends(t, one)
		require.NotEmpty(t, sessions(t, two))
		_, err = here.SignOutOthers(t.Context(), &identityv1.SignOutOthersRequest{})
		require.NoError(t, err)
		ends(t, two)
		require.Len(t, sessions(t, here), 1)
	})

	scenario(t, "R43 a session that was used everywhere ends everywhere", func(t *testing.T, over string) {
		person := signUp(t, over)
		used, other := signIn(t, over, person.Email), signIn(t, over, person.Email)
		for range 3 {
			require.NotEmpty(t, sessions(t, used)) // what it stands for is remembered now
		}
		_, err := other.ChangePassword(t.Context(), &identityv1.ChangePasswordRequest{CurrentPassword: password, Password: newPassword})
		require.NoError(t, err)
		ends(t, used)
	})

	scenario(t, "S2-46 R46 one sees what was tried with one's account", func(t *testing.T, over string) {
		person := signUp(t, over)
		_, err := connect(over, "").CreateSession(t.Context(), &identityv1.CreateSessionRequest{
			Email: person.Email, Password: newPassword, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
		refused(t, err, errorv1.Reason_REASON_CREDENTIALS_INVALID)
		me := signIn(t, over, person.Email)
		answer, err := me.ListMyLoginActivity(t.Context(), &identityv1.ListMyLoginActivityRequest{})
		require.NoError(t, err)
		latest, failed := answer.GetActivity()[0], answer.GetActivity()[1]
		require.True(t, latest.GetSuccess())
		require.Equal(t, identityv1.LoginAction_LOGIN_ACTION_SIGN_IN, latest.GetAction())
		require.Equal(t, identityv1.LoginMethod_LOGIN_METHOD_PASSWORD, latest.GetMethod())
		require.False(t, failed.GetSuccess())
		require.Equal(t, identityv1.LoginFailure_LOGIN_FAILURE_WRONG_PASSWORD, failed.GetFailure())
		require.NotEmpty(t, failed.GetDevice())
		require.NotZero(t, failed.GetTime())
	})
}
