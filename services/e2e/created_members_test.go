package e2e

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/devmail"
)

// createMember makes whoever has the address a member.
func (o *organization) createMember(t *testing.T, by *person, email, role string) (*membershipv1.CreateMemberResponse, error) {
	t.Helper()
	return by.CreateMember(t.Context(), o.creation(email, role))
}

func (o *organization) creation(email, role string) *membershipv1.CreateMemberRequest {
	return &membershipv1.CreateMemberRequest{OrganizationId: o.ID, Email: email, DisplayName: "Grace Hopper", Role: role}
}

// TestCreatedMembers is about people whom an admin makes members without asking them.
func TestCreatedMembers(t *testing.T) {
	t.Parallel()

	scenario(t, "S2-13 S2-22 S2-23 S2-24 R9 R10 an admin creates a member, who chooses a password at the first sign-in", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		admin, email := org.join(t, "admin"), unique("grace")+"@example.com"
		req := org.creation(email, "member")
		req.RequestId = unique("create")
		made, err := admin.CreateMember(t.Context(), req)
		require.NoError(t, err)
		temporary := made.GetTemporaryPassword()
		require.GreaterOrEqual(t, len(temporary), 16)
		again, err := admin.CreateMember(t.Context(), req)
		require.NoError(t, err)
		require.Equal(t, temporary, again.GetTemporaryPassword(), "the same request")
		require.EqualValues(t, 3, org.seats(t).GetUsed())

		row := org.row(t, made.GetMember().GetAccountId())
		require.Equal(t, []string{"Grace Hopper", email, "member"}, []string{row.GetDisplayName(), row.GetEmail(), row.GetRole()})
		in, err := open(t, over, email, temporary)
		require.NoError(t, err)
		require.True(t, in.GetPasswordChangeRequired())
		half := connect(over, in.GetToken())
		_, err = half.ListOrganizations(t.Context(), &membershipv1.ListOrganizationsRequest{})
		refused(t, err, errorv1.Reason_REASON_SIGN_IN_INCOMPLETE)
		changed, err := half.ChangePassword(t.Context(), &identityv1.ChangePasswordRequest{CurrentPassword: temporary, Password: newPassword})
		require.NoError(t, err)
		grace := as(t, over, changed.GetToken())
		require.True(t, org.can(t, grace, "products.use"))
		require.False(t, org.can(t, grace, "members.create"))
		_, err = org.createMember(t, grace, unique("bob")+"@example.com", "member")
		refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
		_, err = org.createMember(t, org.owner, email, "member")
		f := refused(t, err, errorv1.Reason_REASON_ALREADY_MEMBER)
		require.Equal(t, grace.ID, f.Metadata["accountId"], "S2-26: although nobody has proven the address")

		issued, err := org.resetPassword(t, admin.client, grace, membershipv1.OrganizationPolicy_RESET_TEMP_PASSWORD)
		require.NoError(t, err, "RB20: the organization manages the account")
		require.NotEmpty(t, issued.GetTemporaryPassword())
	})

	scenario(t, "S2-25 R13 C20 who has an account becomes a member with it, keeps everything, and is told how to leave", func(t *testing.T, over string) {
		org, ada := create(t, over, rbac), signUp(t, over)
		made, err := org.createMember(t, org.owner, ada.Email, "admin")
		require.NoError(t, err)
		require.Empty(t, made.GetTemporaryPassword())
		require.Equal(t, []string{ada.ID, ada.Name}, []string{made.GetMember().GetAccountId(), made.GetMember().GetDisplayName()})
		require.True(t, org.can(t, ada, "members.create"), "in the session that they have")
		_, err = open(t, over, ada.Email, password)
		require.NoError(t, err)
		notice := mailTo(t, ada.Email, func(m devmail.Received) bool { return m.Subject == "You were added to "+org.Name })
		require.Contains(t, notice.Text, "leave")
		_, err = org.resetPassword(t, org.owner.client, ada, membershipv1.OrganizationPolicy_RESET_TEMP_PASSWORD)
		refused(t, err, errorv1.Reason_REASON_ACCOUNT_NOT_MANAGED)

		require.NoError(t, org.leave(t, ada))
		require.False(t, org.can(t, ada, "org.read"))
		org.amend(t, `{"existing_user_add": "ADDITION_INVITE"}`)
		_, err = org.createMember(t, org.owner, ada.Email, "member")
		f := refused(t, err, errorv1.Reason_REASON_FEATURE_OFF)
		require.Equal(t, "existing_user_add", f.Metadata["policy"])
		require.EqualValues(t, 1, org.seats(t).GetUsed())
	})

	scenario(t, "S2-13 C20 R84 who was added leaves with one click, without signing in", func(t *testing.T, over string) {
		org, ada := create(t, over, rbac), signUp(t, over)
		_, err := org.createMember(t, org.owner, ada.Email, "member")
		require.NoError(t, err)
		token := mailLink(t, ada.Email, "/leave/")
		resp, text := browse(t, http.MethodGet, "/leave/"+token, "")
		require.Equal(t, 200, resp.StatusCode)
		require.Contains(t, text, "Leave the organization?")
		require.True(t, org.can(t, ada, "org.read"), "looking changes nothing")
		if over == "REST" {
			resp, text = browse(t, http.MethodPost, "/leave", "token="+token, "Content-Type", "application/x-www-form-urlencoded", "Accept", "text/html")
			require.Equal(t, 200, resp.StatusCode, text)
			require.Contains(t, text, "You have left "+org.Name)
		} else {
			left, err := connect(over, "").LeaveByLink(t.Context(), &membershipv1.LeaveByLinkRequest{Token: token})
			require.NoError(t, err)
			require.Equal(t, org.Name, left.GetOrganizationDisplayName())
		}
		require.False(t, org.can(t, ada, "org.read"))
		eventually(t, func() bool { return org.seats(t).GetUsed() == 1 }, "the seat is free")

		_, err = org.createMember(t, org.owner, ada.Email, "member")
		require.NoError(t, err)
		_, err = connect(over, "").LeaveByLink(t.Context(), &membershipv1.LeaveByLinkRequest{Token: token})
		refused(t, err, errorv1.Reason_REASON_LINK_INVALID)
		require.True(t, org.can(t, ada, "org.read"), "that is another membership")
	})

	scenario(t, "S2-25 a disabled account is refused with a reason of its own", func(t *testing.T, over string) {
		org, other := create(t, over, rbac), create(t, over, rbac)
		bob := org.join(t, "member")
		org.disable(t, bob)
		_, err := open(t, over, bob.Email, password)
		require.Error(t, err, "S2-48")
		_, err = other.createMember(t, other.owner, bob.Email, "member")
		refused(t, err, errorv1.Reason_REASON_ACCOUNT_DISABLED)
		require.EqualValues(t, 1, other.seats(t).GetUsed())
		_, err = org.createMember(t, org.owner, bob.Email, "member")
		refused(t, err, errorv1.Reason_REASON_ALREADY_MEMBER)
	})

	scenario(t, "S2-13 S2-17 RB2 RB4 RB8 what creating a member does not do", func(t *testing.T, over string) {
		org, email := create(t, over, rbac), unique("grace")+"@example.com"
		admin, member := org.join(t, "admin"), org.join(t, "member")
		org.shape(t, "Buyer", "billing.manage")
		for _, c := range []struct {
			by     *person
			role   string
			reason errorv1.Reason
		}{
			{member, "member", errorv1.Reason_REASON_PERMISSION_MISSING},
			{org.owner, "owner", errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE},
			{admin, "buyer", errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE},
			{admin, "", errorv1.Reason_REASON_VALIDATION_FAILED},
			{signUp(t, over), "member", errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND},
		} {
			_, err := org.createMember(t, c.by, email, c.role)
			refused(t, err, c.reason)
		}
		org.amend(t, `{"admin_appointment": "APPOINTMENT_OWNER_ONLY"}`)
		_, err := org.createMember(t, admin, email, "admin")
		refused(t, err, errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE)
		invited := org.invite(t, email, "member")
		org.pending(t, invited.GetToken())
		_, err = org.createMember(t, admin, email, "member")
		f := refused(t, err, errorv1.Reason_REASON_INVITATION_PENDING)
		require.Equal(t, invited.GetInvitation().GetId(), f.Metadata["invitationId"])
		for _, preset := range []membershipv1.Preset{pipeline, portal, flat} {
			other := create(t, over, preset)
			_, err := other.createMember(t, other.owner, email, "member")
			f := refused(t, err, errorv1.Reason_REASON_FEATURE_OFF)
			require.Equal(t, "create_user", f.Metadata["policy"])
		}
	})

	scenario(t, "S2-22 without a free seat nobody is created", func(t *testing.T, over string) {
		org, email := create(t, over, rbac), unique("grace")+"@example.com"
		org.limit(t, 1)
		_, err := org.createMember(t, org.owner, email, "member")
		refused(t, err, errorv1.Reason_REASON_SEAT_LIMIT_REACHED)
		var accounts int
		require.NoError(t, suite.owners["identity"].QueryRow(t.Context(), `SELECT count(*) FROM user_emails WHERE email = $1`, email).Scan(&accounts))
		require.Zero(t, accounts)
		org.limit(t, 2)
		_, err = org.createMember(t, org.owner, email, "member")
		require.NoError(t, err)
	})
}
