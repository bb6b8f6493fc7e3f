package e2e

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// resetPassword resets the password of a member.
func (o *organization) resetPassword(t *testing.T, by client, who *person, method membershipv1.OrganizationPolicy_Reset) (*membershipv1.ResetMemberPasswordResponse, error) {
	t.Helper()
	return by.ResetMemberPassword(t.Context(), &membershipv1.ResetMemberPasswordRequest{OrganizationId: o.ID, AccountId: who.ID, Method: method})
}

// key is an account's id as the databases hold it.
func key(t *testing.T, who *person) id.Account {
	t.Helper()
	key, err := id.ParseAccount(who.ID)
	require.NoError(t, err)
	return key
}

// open signs in with whatever password.
func open(t *testing.T, over, email, password string) (*identityv1.CreateSessionResponse, error) {
	t.Helper()
	return connect(over, "").CreateSession(t.Context(), &identityv1.CreateSessionRequest{
		Email: email, Password: password, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
}

// TestMemberPasswords is about admins who reset the passwords of members.
func TestMemberPasswords(t *testing.T) {
	t.Parallel()
	const (
		asPolicySays = membershipv1.OrganizationPolicy_RESET_UNSPECIFIED
		link         = membershipv1.OrganizationPolicy_RESET_LINK
	)

	scenario(t, "S2-24 S2-44 S2-45 R10 R12 a temporary password ends all sessions and opens nothing but the choice of the next", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		bob := org.join(t, "member")
		req := &membershipv1.ResetMemberPasswordRequest{OrganizationId: org.ID, AccountId: bob.ID, RequestId: unique("reset")}
		issued, err := org.owner.ResetMemberPassword(t.Context(), req)
		require.NoError(t, err)
		require.Equal(t, membershipv1.OrganizationPolicy_RESET_TEMP_PASSWORD, issued.GetMethod())
		temporary := issued.GetTemporaryPassword()
		require.GreaterOrEqual(t, len(temporary), 16)
		again, err := org.owner.ResetMemberPassword(t.Context(), req)
		require.NoError(t, err)
		require.Equal(t, temporary, again.GetTemporaryPassword(), "the same request")
		require.Equal(t, 1, org.events(t, "membership", "member.password_reset"))
		var live int
		require.NoError(t, suite.owners["identity"].QueryRow(t.Context(), `SELECT count(*) FROM sessions WHERE account_id = $1`, key(t, bob)).Scan(&live))
		require.Zero(t, live)
		_, err = open(t, over, bob.Email, password)
		refused(t, err, errorv1.Reason_REASON_CREDENTIALS_INVALID)

		in, err := open(t, over, bob.Email, temporary)
		require.NoError(t, err)
		require.True(t, in.GetPasswordChangeRequired())
		half := connect(over, in.GetToken())
		for _, closed := range []func() error{
			func() error { _, err := half.ListSessions(t.Context(), &identityv1.ListSessionsRequest{}); return err },
			func() error { _, err := half.GetMe(t.Context(), &identityv1.GetMeRequest{}); return err },
			func() error {
				_, err := half.ListOrganizations(t.Context(), &membershipv1.ListOrganizationsRequest{})
				return err
			},
		} {
			f := refused(t, closed(), errorv1.Reason_REASON_SIGN_IN_INCOMPLETE)
			require.Equal(t, "PASSWORD_CHANGE", f.Metadata["stage"])
		}
		_, err = half.ChangePassword(t.Context(), &identityv1.ChangePasswordRequest{CurrentPassword: temporary, Password: temporary})
		refused(t, err, errorv1.Reason_REASON_PASSWORD_REFUSED)
		changed, err := half.ChangePassword(t.Context(), &identityv1.ChangePasswordRequest{CurrentPassword: temporary, Password: newPassword})
		require.NoError(t, err)
		mine, err := connect(over, changed.GetToken()).ListOrganizations(t.Context(), &membershipv1.ListOrganizationsRequest{})
		require.NoError(t, err)
		require.Len(t, mine.GetOrganizations(), 1)
		_, err = open(t, over, bob.Email, temporary)
		refused(t, err, errorv1.Reason_REASON_CREDENTIALS_INVALID)
		in, err = open(t, over, bob.Email, newPassword)
		require.NoError(t, err)
		require.False(t, in.GetPasswordChangeRequired())
		tried, err := connect(over, in.GetToken()).ListMyLoginActivity(t.Context(), &identityv1.ListMyLoginActivityRequest{})
		require.NoError(t, err)
		require.True(t, slices.ContainsFunc(tried.GetActivity(), func(a *identityv1.LoginActivity) bool {
			return a.GetFailure() == identityv1.LoginFailure_LOGIN_FAILURE_PASSWORD_CHANGE_DUE && a.GetAction() == identityv1.LoginAction_LOGIN_ACTION_SIGN_IN
		}), "it says what was due")
		require.False(t, slices.ContainsFunc(tried.GetActivity(), func(a *identityv1.LoginActivity) bool {
			return a.GetFailure() == identityv1.LoginFailure_LOGIN_FAILURE_CODE_DUE
		}))
	})

	scenario(t, "R9 a temporary password expires, and a newer one ends it", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		bob := org.join(t, "member")
		first, err := org.resetPassword(t, org.owner.client, bob, asPolicySays)
		require.NoError(t, err)
		second, err := org.resetPassword(t, org.owner.client, bob, asPolicySays)
		require.NoError(t, err)
		_, err = open(t, over, bob.Email, first.GetTemporaryPassword())
		refused(t, err, errorv1.Reason_REASON_CREDENTIALS_INVALID)
		_, err = open(t, over, bob.Email, second.GetTemporaryPassword())
		require.NoError(t, err)
		_, err = suite.owners["identity"].Exec(t.Context(), `UPDATE credentials SET temporary_until = now() WHERE account_id = $1`, key(t, bob))
		require.NoError(t, err)
		_, err = open(t, over, bob.Email, second.GetTemporaryPassword())
		refused(t, err, errorv1.Reason_REASON_CREDENTIALS_INVALID)
	})

	scenario(t, "R11 a temporary password is no way around the second factor", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		bob := org.join(t, "member")
		phone, _, _ := enrol(t, over, bob.client)
		issued, err := org.resetPassword(t, org.owner.client, bob, asPolicySays)
		require.NoError(t, err)
		in, err := open(t, over, bob.Email, issued.GetTemporaryPassword())
		require.NoError(t, err)
		require.NotNil(t, in.GetChallenge())
		change := &identityv1.ChangePasswordRequest{CurrentPassword: issued.GetTemporaryPassword(), Password: newPassword}
		_, err = connect(over, in.GetToken()).ChangePassword(t.Context(), change)
		f := refused(t, err, errorv1.Reason_REASON_SIGN_IN_INCOMPLETE)
		require.Equal(t, "CHALLENGE", f.Metadata["stage"])
		answered, err := answerChallenge(t, connect(over, in.GetToken()), phone.code(t))
		require.NoError(t, err)
		require.True(t, answered.GetPasswordChangeRequired())
		half := connect(over, answered.GetToken())
		_, err = half.ListSessions(t.Context(), &identityv1.ListSessionsRequest{})
		refused(t, err, errorv1.Reason_REASON_SIGN_IN_INCOMPLETE)
		changed, err := half.ChangePassword(t.Context(), change)
		require.NoError(t, err)
		require.EqualValues(t, 2, changed.GetSession().GetLevel())
		_, err = connect(over, changed.GetToken()).ListSessions(t.Context(), &identityv1.ListSessionsRequest{})
		require.NoError(t, err)
	})

	scenario(t, "RB20 C21 who has an account of their own gets a link, not a temporary password", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		ada := signUp(t, over)
		org.invite(t, ada.Email, "member")
		_, err := ada.AcceptInvitation(t.Context(), &invitationv1.AcceptInvitationRequest{LinkToken: mailLink(t, ada.Email, "/invite/")})
		require.NoError(t, err)
		_, err = org.resetPassword(t, org.owner.client, ada, asPolicySays)
		f := refused(t, err, errorv1.Reason_REASON_ACCOUNT_NOT_MANAGED)
		require.Equal(t, "LINK", f.Metadata["method"])
		_, err = open(t, over, ada.Email, password)
		require.NoError(t, err)
		require.Zero(t, org.events(t, "membership", "member.password_reset"))
		sent, err := org.resetPassword(t, org.owner.client, ada, link)
		require.NoError(t, err)
		require.Empty(t, sent.GetTemporaryPassword()+sent.GetResetUrl())
		_, err = connect(over, "").ResetPassword(t.Context(), &identityv1.ResetPasswordRequest{Token: mailLink(t, ada.Email, "/reset/"), Password: newPassword})
		require.NoError(t, err)
		_, err = open(t, over, ada.Email, newPassword)
		require.NoError(t, err)
	})

	scenario(t, "S0-27 C21 resetting a password is a link, which the admin sees only where it cannot be mailed", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		invited, err := org.owner.CreateInvitation(t.Context(), org.invitation(t, ""))
		require.NoError(t, err)
		bob := org.accept(t, lastSegment(invited.GetLink()))
		answer, err := org.resetPassword(t, org.owner.client, bob, asPolicySays)
		require.NoError(t, err)
		require.Equal(t, link, answer.GetMethod())
		require.Empty(t, answer.GetTemporaryPassword())
		_, err = bob.ListSessions(t.Context(), &identityv1.ListSessionsRequest{})
		require.NoError(t, err, "sessions end when the link is used")
		_, err = connect(over, "").ResetPassword(t.Context(), &identityv1.ResetPasswordRequest{Token: lastSegment(answer.GetResetUrl()), Password: newPassword})
		require.NoError(t, err)
		var live int
		require.NoError(t, suite.owners["identity"].QueryRow(t.Context(), `SELECT count(*) FROM sessions WHERE account_id = $1`, key(t, bob)).Scan(&live))
		require.Zero(t, live)
		_, err = org.resetPassword(t, org.owner.client, bob, membershipv1.OrganizationPolicy_RESET_TEMP_PASSWORD)
		refused(t, err, errorv1.Reason_REASON_FEATURE_OFF)
	})

	scenario(t, "S2-43 who has no password is not given one", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		bob := org.join(t, "member")
		_, err := suite.owners["identity"].Exec(t.Context(), `DELETE FROM credentials WHERE account_id = $1`, key(t, bob))
		require.NoError(t, err)
		for _, method := range []membershipv1.OrganizationPolicy_Reset{asPolicySays, link} {
			_, err := org.resetPassword(t, org.owner.client, bob, method)
			refused(t, err, errorv1.Reason_REASON_PASSWORD_MISSING)
		}
	})

	scenario(t, "RB3 nobody resets the password of an owner, of who may do more, or their own", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		admin, bob := org.join(t, "admin"), org.join(t, "member")
		for _, c := range []struct {
			by, who *person
			reason  errorv1.Reason
		}{
			{admin, org.owner, errorv1.Reason_REASON_OWNER_PROTECTED},
			{admin, admin, errorv1.Reason_REASON_SELF_ACTION},
			{bob, admin, errorv1.Reason_REASON_PERMISSION_MISSING},
		} {
			_, err := org.resetPassword(t, c.by.client, c.who, asPolicySays)
			refused(t, err, c.reason)
		}
		_, err := org.resetPassword(t, admin.client, bob, asPolicySays)
		require.NoError(t, err)
		_, err = org.resetPassword(t, longAgo(t, over, admin.Email), bob, asPolicySays)
		refused(t, err, errorv1.Reason_REASON_STEP_UP_REQUIRED)
	})
}
