package e2e

import (
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/devmail"
)

// TestEmails is about the addresses of an account.
func TestEmails(t *testing.T) {
	t.Parallel()
	add := func(t *testing.T, who *person) (address string) {
		t.Helper()
		address = unique("new") + "@works.example"
		_, err := who.AddEmail(t.Context(), &identityv1.AddEmailRequest{Email: address})
		require.NoError(t, err)
		return address
	}
	prove := func(t *testing.T, over, address string) {
		t.Helper()
		_, err := connect(over, "").VerifyEmail(t.Context(), &identityv1.VerifyEmailRequest{Token: mailLink(t, address, "/verify/")})
		require.NoError(t, err)
	}

	scenario(t, "R65 R66 an address counts when it is proven, and another primary one can be taken back", func(t *testing.T, over string) {
		me := signUp(t, over)
		org := createBy(t, me, pipeline)
		elsewhere := signIn(t, over, me.Email)
		address := add(t, me)
		_, err := me.SetPrimaryEmail(t.Context(), &identityv1.SetPrimaryEmailRequest{Email: address})
		refused(t, err, errorv1.Reason_REASON_EMAIL_UNVERIFIED)
		prove(t, over, address)
		require.Equal(t, me.ID, signIn(t, over, address).ID, "one signs in with any of them")
		changed, err := me.SetPrimaryEmail(t.Context(), &identityv1.SetPrimaryEmailRequest{Email: address})
		require.NoError(t, err)
		require.Equal(t, address, changed.GetAccount().GetEmail())
		eventually(t, func() bool {
			_, err := elsewhere.GetMe(t.Context(), &identityv1.GetMeRequest{})
			return err != nil
		}, "other sessions end")
		shows := func(who *person, address string) {
			eventually(t, func() bool {
				people, err := who.ListPeople(t.Context(), &membershipv1.ListPeopleRequest{OrganizationId: org.ID})
				return err == nil && people.GetPeople()[0].GetEmail() == address
			}, "the organization shows "+address)
		}
		shows(me, address)

		back := mailLink(t, me.Email, "/revert-email/")
		_, err = connect(over, "").RevertEmailChange(t.Context(), &identityv1.RevertEmailChangeRequest{Token: back})
		require.NoError(t, err)
		_, err = connect(over, "").RevertEmailChange(t.Context(), &identityv1.RevertEmailChangeRequest{Token: back})
		refused(t, err, errorv1.Reason_REASON_LINK_INVALID)
		eventually(t, func() bool {
			_, err := me.GetMe(t.Context(), &identityv1.GetMeRequest{})
			return err != nil
		}, "every session ends")
		_, err = connect(over, "").CreateSession(t.Context(), &identityv1.CreateSessionRequest{
			Email: address, Password: password, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
		refused(t, err, errorv1.Reason_REASON_CREDENTIALS_INVALID)
		_, err = connect(over, "").CreateSession(t.Context(), &identityv1.CreateSessionRequest{
			Email: me.Email, Password: password, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
		refused(t, err, errorv1.Reason_REASON_CREDENTIALS_INVALID)
		_, err = connect(over, "").RequestPasswordReset(t.Context(), &identityv1.RequestPasswordResetRequest{Email: me.Email})
		require.NoError(t, err)
		_, err = connect(over, "").ResetPassword(t.Context(), &identityv1.ResetPasswordRequest{
			Token: mailLink(t, me.Email, "/reset/"), Password: password})
		require.NoError(t, err)
		shows(signIn(t, over, me.Email), me.Email)
	})

	scenario(t, "R63 R64 adding an address says nothing about it, and keeps nobody from it", func(t *testing.T, over string) {
		me, other := signUp(t, over), signUp(t, over)
		free := unique("free") + "@example.com"
		for _, address := range []string{other.Email, free, me.Email} {
			answer, err := me.AddEmail(t.Context(), &identityv1.AddEmailRequest{Email: address})
			require.NoError(t, err)
			require.Empty(t, answer.String())
		}
		link := mailLink(t, free, "/verify/")
		_, err := connect(over, "").SignUp(t.Context(), &identityv1.SignUpRequest{Email: free, Password: password, DisplayName: "Rival"})
		require.NoError(t, err)
		theirs := mailTo(t, free, func(m devmail.Received) bool {
			return linkWith(m, "/verify/") != "" && !strings.HasSuffix(linkWith(m, "/verify/"), link)
		})
		_, err = connect(over, "").VerifyEmail(t.Context(), &identityv1.VerifyEmailRequest{Token: path.Base(linkWith(theirs, "/verify/"))})
		require.NoError(t, err)
		rival := signIn(t, over, free)
		_, err = connect(over, "").VerifyEmail(t.Context(), &identityv1.VerifyEmailRequest{Token: link})
		refused(t, err, errorv1.Reason_REASON_EMAIL_TAKEN)
		for _, foreign := range []string{other.Email, rival.Email} {
			_, err = me.SetPrimaryEmail(t.Context(), &identityv1.SetPrimaryEmailRequest{Email: foreign})
			refused(t, err, errorv1.Reason_REASON_EMAIL_UNVERIFIED)
		}
		_, err = me.RemoveEmail(t.Context(), &identityv1.RemoveEmailRequest{Email: rival.Email})
		require.NoError(t, err)
		_, err = me.RemoveEmail(t.Context(), &identityv1.RemoveEmailRequest{Email: rival.Email})
		refused(t, err, errorv1.Reason_REASON_EMAIL_NOT_FOUND)
		_, err = me.RemoveEmail(t.Context(), &identityv1.RemoveEmailRequest{Email: me.Email})
		require.Contains(t, refused(t, err, errorv1.Reason_REASON_STATE_CONFLICT).Message, "the only address")
		_, err = me.AddEmail(t.Context(), &identityv1.AddEmailRequest{Email: "ada@[127.0.0.1]"})
		refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		require.Equal(t, rival.ID, signIn(t, over, free).ID)
	})
}
