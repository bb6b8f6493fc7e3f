package canary

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

// losePasswords changes a password, has one reset by mail and another by an admin, and fails with each first.
func (s *suite) losePasswords(t *testing.T, as func(string) context.Context, owner string) {
	t.Helper()
	ctx := t.Context()
	sessions, passwords := identityv1.NewSessionServiceClient(s.Conn()), identityv1.NewPasswordServiceClient(s.Conn())
	organizations, members := membershipv1.NewOrganizationServiceClient(s.Conn()), membershipv1.NewMemberServiceClient(s.Conn())
	invitations := invitationv1.NewInvitationServiceClient(s.Conn())
	signIn := func(what, password string) string {
		in, err := sessions.CreateSession(ctx, &identityv1.CreateSessionRequest{
			Email: "erin@example.com", Password: password, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
		require.NoError(t, err)
		return s.plant(t, what, in.GetToken())
	}

	org, err := organizations.CreateOrganization(as(owner), &membershipv1.CreateOrganizationRequest{DisplayName: "Bank", Preset: membershipv1.Preset_PRESET_RBAC})
	require.NoError(t, err)
	id := org.GetOrganization().GetId()
	_, err = invitations.CreateInvitation(as(owner), &invitationv1.CreateInvitationRequest{OrganizationId: id, Email: "erin@example.com", Role: "member"})
	require.NoError(t, err)
	first := s.plant(t, "invited password", "canary copper meadow 2264")
	accepted, err := invitations.AcceptInvitation(ctx, &invitationv1.AcceptInvitationRequest{
		LinkToken: s.link(t, "link of the invitation", "erin@example.com", "/invite/"), Password: first, DisplayName: "Erin", Delivery: identityv1.Delivery_DELIVERY_TOKEN})
	require.NoError(t, err)
	erin := s.plant(t, "session of the invited", accepted.GetSessionToken())

	changed := s.plant(t, "changed password", "canary timber violin 8812")
	_, err = passwords.ChangePassword(as(erin), &identityv1.ChangePasswordRequest{
		CurrentPassword: s.plant(t, "wrong current password", "canary wrong saddle 1937"), Password: changed})
	require.Error(t, err)
	_, err = passwords.ChangePassword(as(erin), &identityv1.ChangePasswordRequest{CurrentPassword: first, Password: changed})
	require.NoError(t, err)
	again, err := sessions.Reauthenticate(as(erin), &identityv1.ReauthenticateRequest{Password: changed})
	require.NoError(t, err)
	s.plant(t, "session of who has proven it again", again.GetToken())

	_, err = passwords.RequestPasswordReset(ctx, &identityv1.RequestPasswordResetRequest{Email: "erin@example.com"})
	require.NoError(t, err)
	link := s.link(t, "link that resets", "erin@example.com", "/reset/")
	s.get(t, "/reset/"+link)
	_, err = passwords.ResetPassword(ctx, &identityv1.ResetPasswordRequest{Token: link, Password: "too short"})
	require.Error(t, err)
	reset := &identityv1.ResetPasswordRequest{Token: link, Password: s.plant(t, "reset password", "canary granite harvest 5051"), RequestId: "canary-reset"}
	for range 2 { // the second is answered from what was stored
		_, err = passwords.ResetPassword(ctx, reset)
		require.NoError(t, err)
	}
	signIn("session after the reset", reset.GetPassword())

	temporary := &membershipv1.ResetMemberPasswordRequest{
		OrganizationId: id, AccountId: accepted.GetInvitation().GetAcceptedAccountId(), RequestId: "canary-temporary", Method: membershipv1.OrganizationPolicy_RESET_TEMP_PASSWORD}
	for range 2 {
		issued, err := members.ResetMemberPassword(as(owner), temporary)
		require.NoError(t, err)
		s.plant(t, "temporary password", issued.GetTemporaryPassword())
	}
	half := signIn("session with the temporary password", s.secrets["temporary password"])
	chosen, err := passwords.ChangePassword(as(half), &identityv1.ChangePasswordRequest{
		CurrentPassword: s.secrets["temporary password"], Password: s.plant(t, "chosen password", "canary walnut compass 6470")})
	require.NoError(t, err)
	s.plant(t, "session that the chosen password completes", chosen.GetToken())
}
