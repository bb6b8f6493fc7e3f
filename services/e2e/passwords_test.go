package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

const newPassword = "marble lantern orchard 3"

// TestPasswords is about changing a password, and getting another one when it is forgotten.
func TestPasswords(t *testing.T) {
	t.Parallel()
	signsIn := func(over, email, password string) error {
		_, err := connect(over, "").CreateSession(t.Context(), &identityv1.CreateSessionRequest{
			Email: email, Password: password, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
		return err
	}

	scenario(t, "R6 who changes the password is signed out everywhere else", func(t *testing.T, over string) {
		person := signUp(t, over)
		here := signIn(t, over, person.Email)
		signIn(t, over, person.Email)
		_, err := here.ChangePassword(t.Context(), &identityv1.ChangePasswordRequest{CurrentPassword: newPassword, Password: newPassword})
		refused(t, err, errorv1.Reason_REASON_CREDENTIALS_INVALID)
		_, err = here.ChangePassword(t.Context(), &identityv1.ChangePasswordRequest{CurrentPassword: password, Password: newPassword})
		require.NoError(t, err)
		live, err := here.ListSessions(t.Context(), &identityv1.ListSessionsRequest{})
		require.NoError(t, err)
		require.Len(t, live.GetSessions(), 1)
		require.True(t, live.GetSessions()[0].GetCurrent())
		refused(t, signsIn(over, person.Email, password), errorv1.Reason_REASON_CREDENTIALS_INVALID)
		require.NoError(t, signsIn(over, person.Email, newPassword))
	})

	scenario(t, "R18 a mailed link sets another password, once, and does not sign in", func(t *testing.T, over string) {
		person := signUp(t, over)
		nobody := connect(over, "")
		_, err := nobody.RequestPasswordReset(t.Context(), &identityv1.RequestPasswordResetRequest{Email: person.Email})
		require.NoError(t, err)
		link := mailLink(t, person.Email, "/reset/")
		_, err = nobody.ResetPassword(t.Context(), &identityv1.ResetPasswordRequest{Token: link, Password: "too short"})
		refused(t, err, errorv1.Reason_REASON_PASSWORD_REFUSED)
		_, err = nobody.ResetPassword(t.Context(), &identityv1.ResetPasswordRequest{Token: link, Password: newPassword})
		require.NoError(t, err)
		_, err = nobody.ResetPassword(t.Context(), &identityv1.ResetPasswordRequest{Token: link, Password: password})
		refused(t, err, errorv1.Reason_REASON_LINK_INVALID)
		refused(t, signsIn(over, person.Email, password), errorv1.Reason_REASON_CREDENTIALS_INVALID)
		require.NoError(t, signsIn(over, person.Email, newPassword))
	})

	scenario(t, "R14 asking for a link says nothing about accounts", func(t *testing.T, over string) {
		person := signUp(t, over)
		for _, req := range []*identityv1.RequestPasswordResetRequest{{Email: person.Email}, {Email: unique("nobody") + "@example.com"}, {Username: "no one"}} {
			answer, err := connect(over, "").RequestPasswordReset(t.Context(), req)
			require.NoError(t, err)
			require.Empty(t, answer.String())
		}
	})
}
