package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/devmail"
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

	scenario(t, "R46 R81 RB20 an organization sees how members sign in whose accounts it manages, and signs them out", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		member, free := org.join(t, "member"), signUp(t, over) // an account that was made for the organization, and a person's own
		org.invite(t, free.Email, "member")
		_, err := free.AcceptInvitation(t.Context(), &invitationv1.AcceptInvitationRequest{LinkToken: mailLink(t, free.Email, "/invite/")})
		require.NoError(t, err)
		_, err = connect(over, "").CreateSession(t.Context(), &identityv1.CreateSessionRequest{
			Email: member.Email, Password: newPassword, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
		refused(t, err, errorv1.Reason_REASON_CREDENTIALS_INVALID)
		seen := func(by client, account string) (*membershipv1.ListMemberSessionsResponse, *membershipv1.ListMemberLoginActivityResponse) {
			where, err := by.ListMemberSessions(t.Context(), &membershipv1.ListMemberSessionsRequest{OrganizationId: org.ID, AccountId: account})
			require.NoError(t, err)
			what, err := by.ListMemberLoginActivity(t.Context(), &membershipv1.ListMemberLoginActivityRequest{OrganizationId: org.ID, AccountId: account})
			require.NoError(t, err)
			return where, what
		}
		where, what := seen(org.owner.client, member.ID)
		require.True(t, where.GetManaged() && what.GetManaged())
		require.NotEmpty(t, where.GetSessions())
		require.Equal(t, identityv1.LoginFailure_LOGIN_FAILURE_WRONG_PASSWORD, what.GetActivity()[0].GetFailure())
		require.True(t, what.GetActivity()[1].GetSuccess())
		where, what = seen(org.owner.client, free.ID)
		require.False(t, where.GetManaged() || what.GetManaged())
		require.Empty(t, where.GetSessions())
		require.Empty(t, what.GetActivity())
		_, err = free.ListMemberSessions(t.Context(), &membershipv1.ListMemberSessionsRequest{OrganizationId: org.ID, AccountId: member.ID})
		refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)

		revoke := func(account string) error {
			_, err := org.owner.RevokeMemberSessions(t.Context(), &membershipv1.RevokeMemberSessionsRequest{OrganizationId: org.ID, AccountId: account})
			return err
		}
		refused(t, revoke(free.ID), errorv1.Reason_REASON_ACCOUNT_NOT_MANAGED)
		require.NotEmpty(t, sessions(t, free))
		require.NoError(t, revoke(member.ID))
		ends(t, member)
		where, _ = seen(org.owner.client, member.ID)
		require.Empty(t, where.GetSessions())

		// What a second organization is told of the account, when it belongs to both, is nothing; nor is the first any more.
		other := create(t, over, rbac)
		first := mailLink(t, member.Email, "/invite/")
		other.invite(t, member.Email, "member")
		_, err = signIn(t, over, member.Email).AcceptInvitation(t.Context(), &invitationv1.AcceptInvitationRequest{LinkToken: newLink(t, member.Email, first)})
		require.NoError(t, err)
		eventually(t, func() bool {
			where, what := seen(org.owner.client, member.ID)
			return !where.GetManaged() && !what.GetManaged() && len(where.GetSessions())+len(what.GetActivity()) == 0
		}, "the account is its person's own now")
		theirs, err := other.owner.ListMemberSessions(t.Context(), &membershipv1.ListMemberSessionsRequest{OrganizationId: other.ID, AccountId: member.ID})
		require.NoError(t, err)
		require.False(t, theirs.GetManaged())
		require.Empty(t, theirs.GetSessions())
	})

	scenario(t, "R47 R86 who signs in from a new place is told by mail", func(t *testing.T, over string) {
		person := signUp(t, over)
		signIn(t, over, person.Email)
		for _, other := range transports { // whose clients call themselves something else
			if other != over {
				signIn(t, other, person.Email)
			}
		}
		told := mailTo(t, person.Email, func(m devmail.Received) bool { return m.Subject == "A sign-in from a new place" })
		require.NotEmpty(t, linkWith(told, "/forgot"))
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
