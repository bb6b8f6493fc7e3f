package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// longAgo signs in and makes that an hour old, before anybody has asked about the session.
func longAgo(t *testing.T, transport, email string) client {
	t.Helper()
	session, err := connect(transport, "").CreateSession(t.Context(), &identityv1.CreateSessionRequest{
		Email: email, Password: password, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
	require.NoError(t, err)
	key, err := id.ParseSession(session.GetSession().GetId())
	require.NoError(t, err)
	_, err = suite.owners["identity"].Exec(t.Context(), `UPDATE sessions SET auth_time = now() - interval '1 hour' WHERE id = $1`, key)
	require.NoError(t, err)
	return connect(transport, session.GetToken())
}

// TestAssurance is about how well, and when, somebody has proven who they are.
func TestAssurance(t *testing.T) {
	t.Parallel()

	scenario(t, "RB16 what cannot be undone asks again who is there", func(t *testing.T, over string) {
		org := create(t, over, portal)
		gone := func(c client) error {
			_, err := c.DeleteOrganization(t.Context(), &membershipv1.DeleteOrganizationRequest{OrganizationId: org.ID})
			return err
		}
		stale := longAgo(t, over, org.owner.Email)
		f := refused(t, gone(stale), errorv1.Reason_REASON_STEP_UP_REQUIRED)
		require.Equal(t, "10", f.Metadata["minutes"])
		require.NotEmpty(t, org.people(t, org.owner), "nothing has happened")
		_, err := stale.Reauthenticate(t.Context(), &identityv1.ReauthenticateRequest{Password: password + "?"})
		refused(t, err, errorv1.Reason_REASON_CREDENTIALS_INVALID)
		again, err := stale.Reauthenticate(t.Context(), &identityv1.ReauthenticateRequest{Password: password})
		require.NoError(t, err)
		require.NoError(t, gone(connect(over, again.GetToken())))
	})

	scenario(t, "R39 who proves again who they are has another session", func(t *testing.T, over string) {
		person := signUp(t, over)
		before := signIn(t, over, person.Email)
		answer, err := before.Reauthenticate(t.Context(), &identityv1.ReauthenticateRequest{Password: password})
		require.NoError(t, err)
		require.NotEqual(t, before.Token, answer.GetToken())
		after := connect(over, answer.GetToken())
		listed, err := after.ListSessions(t.Context(), &identityv1.ListSessionsRequest{})
		require.NoError(t, err)
		require.Len(t, listed.GetSessions(), 2, "the first sign-in, and this one in the place of the second")
		eventually(t, func() bool {
			_, err := before.ListSessions(t.Context(), &identityv1.ListSessionsRequest{})
			return fault.ReasonOf(err) == errorv1.Reason_REASON_UNAUTHENTICATED
		}, "the first one is nobody's")
	})
}
