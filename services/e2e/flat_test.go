package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/devmail"
)

const flat = membershipv1.Preset_PRESET_FLAT

// TestFlat holds the requirements S3: one role with full rights.
func TestFlat(t *testing.T) {
	t.Parallel()

	scenario(t, "S3-01 S3-02 S3-05 who is invited gets full rights, the same as whoever invites", func(t *testing.T, over string) {
		org := create(t, over, flat)
		member := org.join(t, "")
		permissions, err := org.owner.ListPermissions(t.Context(), &membershipv1.ListPermissionsRequest{})
		require.NoError(t, err)
		for _, permission := range permissions.GetPermissions() {
			require.Equal(t, permission.GetName() != "org.transfer_ownership", org.can(t, member, permission.GetName()), permission.GetName())
			require.Equal(t, org.can(t, org.owner, permission.GetName()), org.can(t, member, permission.GetName()))
		}
	})

	scenario(t, "S3-03 S3-04 the creator is the first member, and members invite others", func(t *testing.T, over string) {
		org := create(t, over, flat)
		require.Equal(t, "member", org.row(t, org.owner.ID).GetRole())
		second := org.join(t, "")
		email := unique("third") + "@example.com"
		_, err := second.CreateInvitation(t.Context(), &invitationv1.CreateInvitationRequest{OrganizationId: org.ID, Email: email})
		require.NoError(t, err)
		org.accept(t, mailLink(t, email, "/invite/"))
		require.Len(t, org.people(t, second), 3)
	})

	scenario(t, "S3-06 whoever invites and whoever is invited is warned that access is full", func(t *testing.T, over string) {
		org := create(t, over, flat)
		permissions, err := org.owner.ListPermissions(t.Context(), &membershipv1.ListPermissionsRequest{})
		require.NoError(t, err)
		role := org.role(t, org.policy(t).GetDefaultInviteRole()) // what a page says of the invitation that is about to be sent
		require.Len(t, role.GetPermissions(), len(permissions.GetPermissions())-1)
		require.Contains(t, role.GetDescription(), "full administrative rights")
		email := unique("grace") + "@example.com"
		org.invite(t, email, "")
		mail := mailTo(t, email, func(m devmail.Received) bool { return linkWith(m, "/invite/") != "" })
		require.Contains(t, mail.Text, "full administrative access")
	})

	scenario(t, "S3-08 S3-09 an invitation asks only for an address, and is mailed with a warning that access is full", func(t *testing.T, over string) {
		org := create(t, over, flat)
		email := unique("grace") + "@example.com"
		_, err := org.owner.CreateInvitation(t.Context(), &invitationv1.CreateInvitationRequest{OrganizationId: org.ID, Email: email})
		require.NoError(t, err)
		preview, err := connect(over, "").PreviewInvitation(t.Context(), &invitationv1.PreviewInvitationRequest{LinkToken: mailLink(t, email, "/invite/")})
		require.NoError(t, err)
		require.True(t, preview.GetFullAccess())
		require.Equal(t, org.Name, preview.GetOrganizationDisplayName())
		require.NotContains(t, preview.GetMaskedEmail(), email)
	})

	scenario(t, "S3-10 invitations have a view of their own", func(t *testing.T, over string) {
		org := create(t, over, flat)
		made := org.invite(t, unique("x")+"@example.com", "")
		require.Len(t, org.pending(t, made.GetToken()), 1)
		listed, err := org.owner.ListInvitations(t.Context(), &invitationv1.ListInvitationsRequest{OrganizationId: org.ID})
		require.NoError(t, err)
		require.Len(t, listed.GetInvitations(), 1)
		members := org.people(t, org.owner, func(req *membershipv1.ListPeopleRequest) { req.View = membershipv1.ListPeopleRequest_VIEW_MEMBERS })
		require.Len(t, members, 1)
	})

	scenario(t, "S3-11 S3-12 an invitation expires after seven days and can be sent again", func(t *testing.T, over string) {
		org := create(t, over, flat)
		email := unique("grace") + "@example.com"
		made := org.invite(t, email, "")
		first := mailLink(t, email, "/invite/")
		org.age(t, made.GetInvitation(), 7*24*time.Hour)
		_, err := connect(over, "").PreviewInvitation(t.Context(), &invitationv1.PreviewInvitationRequest{LinkToken: first})
		refused(t, err, errorv1.Reason_REASON_INVITATION_EXPIRED)
		resent, err := org.owner.ResendInvitation(t.Context(), &invitationv1.ResendInvitationRequest{OrganizationId: org.ID, InvitationId: made.GetInvitation().GetId()})
		require.NoError(t, err)
		require.Equal(t, made.GetInvitation().GetId(), resent.GetInvitation().GetId())
		org.accept(t, newLink(t, email, first))
	})

	scenario(t, "S3-13 revoking voids the link", func(t *testing.T, over string) {
		org := create(t, over, flat)
		email := unique("grace") + "@example.com"
		made := org.invite(t, email, "")
		link := mailLink(t, email, "/invite/")
		_, err := org.owner.RevokeInvitation(t.Context(), &invitationv1.RevokeInvitationRequest{OrganizationId: org.ID, InvitationId: made.GetInvitation().GetId()})
		require.NoError(t, err)
		_, err = connect(over, "").PreviewInvitation(t.Context(), &invitationv1.PreviewInvitationRequest{LinkToken: link})
		refused(t, err, errorv1.Reason_REASON_INVITATION_REVOKED)
	})

	scenario(t, "S3-14 one pending invitation per address, until it was revoked, expired or failed", func(t *testing.T, over string) {
		org := create(t, over, flat)
		for _, end := range []func(*invitationv1.Invitation){
			func(inv *invitationv1.Invitation) {
				_, err := org.owner.RevokeInvitation(t.Context(), &invitationv1.RevokeInvitationRequest{OrganizationId: org.ID, InvitationId: inv.GetId()})
				require.NoError(t, err)
			},
			func(inv *invitationv1.Invitation) { org.age(t, inv, 7*24*time.Hour) },
		} {
			email := unique("grace") + "@example.com"
			made := org.invite(t, email, "")
			_, err := org.owner.CreateInvitation(t.Context(), org.invitation(t, email))
			refused(t, err, errorv1.Reason_REASON_INVITATION_PENDING)
			end(made.GetInvitation())
			org.invite(t, email, "")
		}
		refusedAddress := unique("bounce") + "@example.com" // the mail server of the tests refuses these
		made := org.invite(t, refusedAddress, "")
		eventually(t, func() bool {
			got, err := org.owner.GetInvitation(t.Context(), &invitationv1.GetInvitationRequest{OrganizationId: org.ID, InvitationId: made.GetInvitation().GetId()})
			require.NoError(t, err)
			return got.GetInvitation().GetState() == invitationv1.Invitation_STATE_FAILED && got.GetInvitation().GetFailureReason() == "DELIVERY_REFUSED"
		}, "a refused address fails the invitation")
		org.invite(t, refusedAddress, "")
	})

	scenario(t, "S3-16 S3-18 a member removes any membership but their own, and the removed person is told", func(t *testing.T, over string) {
		org := create(t, over, flat)
		second := org.join(t, "")
		_, err := second.RemoveMember(t.Context(), &membershipv1.RemoveMemberRequest{OrganizationId: org.ID, AccountId: second.ID})
		refused(t, err, errorv1.Reason_REASON_SELF_ACTION)
		_, err = second.RemoveMember(t.Context(), &membershipv1.RemoveMemberRequest{OrganizationId: org.ID, AccountId: org.owner.ID})
		require.NoError(t, err)
		require.Len(t, org.people(t, second), 1)
		mail := mailTo(t, org.owner.Email, func(m devmail.Received) bool { return linkWith(m, "/verify/") == "" })
		require.Contains(t, mail.Subject, org.Name)
	})
}
