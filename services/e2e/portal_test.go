package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

const portal = membershipv1.Preset_PRESET_PORTAL

// TestPortal holds the requirements S1: owner, admin, member; hard seats.
func TestPortal(t *testing.T) {
	t.Parallel()

	scenario(t, "S1-02 S1-03 S1-04 S1-05 a row has name, address, role, join date and status", func(t *testing.T, over string) {
		org := create(t, over, portal)
		begin := time.Now().Add(-time.Minute)
		member := org.join(t, "member")
		row := org.row(t, member.ID)
		require.Equal(t, member.Name, row.GetDisplayName())
		require.Equal(t, member.Email, row.GetEmail())
		require.Equal(t, "Member", row.GetRoleDisplayName())
		require.WithinRange(t, row.GetJoinTime().AsTime(), begin, time.Now().Add(time.Minute))
		require.Equal(t, membershipv1.Person_STATE_ACTIVE, row.GetState())
		require.Equal(t, "Owner", org.row(t, org.owner.ID).GetRoleDisplayName())
	})

	scenario(t, "S1-06 S1-08 an invitation is an address and a role, and goes out by mail", func(t *testing.T, over string) {
		org := create(t, over, portal)
		email := unique("grace") + "@example.com"
		made, err := org.owner.CreateInvitation(t.Context(), &invitationv1.CreateInvitationRequest{OrganizationId: org.ID, Email: email, Role: "member"})
		require.NoError(t, err)
		require.Equal(t, invitationv1.Invitation_STATE_PENDING, made.GetInvitation().GetState())
		require.NotEmpty(t, mailLink(t, email, "/invite/"))

		_, err = org.owner.CreateInvitation(t.Context(), &invitationv1.CreateInvitationRequest{OrganizationId: org.ID, Role: "member"})
		refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED) // no address
		_, err = org.owner.CreateInvitation(t.Context(), &invitationv1.CreateInvitationRequest{OrganizationId: org.ID, Email: unique("x") + "@example.com"})
		require.Error(t, err) // no role, and the policy has no default
	})

	scenario(t, "S1-07 the roles to select are admin and member", func(t *testing.T, over string) {
		org := create(t, over, portal)
		roles, err := org.owner.ListRoles(t.Context(), &membershipv1.ListRolesRequest{OrganizationId: org.ID})
		require.NoError(t, err)
		var assignable []string
		for _, role := range roles.GetRoles() {
			if role.GetAssignable() {
				assignable = append(assignable, role.GetKey())
			}
		}
		require.Equal(t, []string{"admin", "member"}, assignable)
	})

	scenario(t, "S1-12 there is exactly one owner at all times", func(t *testing.T, over string) {
		org := create(t, over, portal)
		admin := org.join(t, "admin")
		owners := func() (n int) {
			for _, p := range org.people(t, org.owner) {
				if p.GetRole() == "owner" {
					n++
				}
			}
			return n
		}
		require.Equal(t, 1, owners())
		_, err := org.owner.ChangeMemberRole(t.Context(), &membershipv1.ChangeMemberRoleRequest{OrganizationId: org.ID, AccountId: admin.ID, Role: "owner"})
		refused(t, err, errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE)
		for _, end := range []func() error{
			func() error {
				_, err := admin.RemoveMember(t.Context(), &membershipv1.RemoveMemberRequest{OrganizationId: org.ID, AccountId: org.owner.ID})
				return err
			},
			func() error {
				_, err := admin.DisableMember(t.Context(), &membershipv1.DisableMemberRequest{OrganizationId: org.ID, AccountId: org.owner.ID})
				return err
			},
		} {
			refused(t, end(), errorv1.Reason_REASON_OWNER_PROTECTED)
		}
		require.Equal(t, 1, owners())
	})

	scenario(t, "S1-17 S1-21 an admin manages members, but not the owner", func(t *testing.T, over string) {
		org := create(t, over, portal)
		admin, member := org.join(t, "admin"), org.join(t, "member")
		_, err := admin.DisableMember(t.Context(), &membershipv1.DisableMemberRequest{OrganizationId: org.ID, AccountId: member.ID})
		require.NoError(t, err)
		_, err = admin.RemoveMember(t.Context(), &membershipv1.RemoveMemberRequest{OrganizationId: org.ID, AccountId: member.ID})
		require.NoError(t, err)
		for name, call := range org.management(t, admin, org.owner) {
			if name == "invite" {
				continue
			}
			t.Log(name)
			refused(t, call(), errorv1.Reason_REASON_OWNER_PROTECTED)
		}
	})

	scenario(t, "S1-20 an admin cannot delete the organization", func(t *testing.T, over string) {
		org := create(t, over, portal)
		admin := org.join(t, "admin")
		_, err := admin.DeleteOrganization(t.Context(), &membershipv1.DeleteOrganizationRequest{OrganizationId: org.ID})
		require.Equal(t, "org.delete", refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING).Metadata["permission"])
		require.True(t, org.can(t, admin, "org.read"))
	})

	scenario(t, "S1-22 S1-23 S1-24 a member reads, uses products and manages nobody", func(t *testing.T, over string) {
		org := create(t, over, portal)
		member, other := org.join(t, "member"), org.join(t, "member")
		require.NotEmpty(t, org.people(t, member))
		for permission, allowed := range map[string]bool{
			"org.read": true, "members.read": true, "products.use": true,
			"resources.write": false, "api_keys.create_own": false, "audit.read": false, "members.remove": false, "invitations.create": false,
		} {
			require.Equal(t, allowed, org.can(t, member, permission), permission)
		}
		for name, call := range org.management(t, member, other) {
			t.Log(name)
			refused(t, call(), errorv1.Reason_REASON_PERMISSION_MISSING)
		}
	})

	scenario(t, "S1-15 S1-18 S1-25 the owner reaches billing, owner and admin make and manage resources, a member does not", func(t *testing.T, over string) {
		org := create(t, over, portal)
		admin, member := org.join(t, "admin"), org.join(t, "member")
		for permission, may := range map[string][]*person{
			"billing.manage":  {org.owner},
			"billing.read":    {org.owner, admin},
			"seats.read":      {org.owner, admin},
			"resources.write": {org.owner, admin},
			"resources.read":  {org.owner, admin, member},
		} {
			for _, who := range []*person{org.owner, admin, member} {
				answer, err := who.CheckAccess(t.Context(), &membershipv1.CheckAccessRequest{OrganizationId: org.ID, Permission: permission}) // as a product asks
				require.NoError(t, err)
				require.Equal(t, slices.Contains(may, who), answer.GetAllowed(), "%s: %s", permission, who.Email)
			}
		}
		_, err := member.GetSeatUsage(t.Context(), &billingv1.GetSeatUsageRequest{OrganizationId: org.ID})
		refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
		require.EqualValues(t, 3, org.seats(t).GetUsed())
	})

	scenario(t, "S1-27 S1-55 a pending invitation is in the list, with its address", func(t *testing.T, over string) {
		org := create(t, over, portal)
		email := unique("Grace.Typo") + "@example.com"
		made := org.invite(t, email, "member")
		all := org.people(t, org.owner, including(made.GetToken()))
		require.Len(t, all, 2)
		for _, p := range all {
			if p.GetInvitationId() != "" {
				require.Equal(t, membershipv1.Person_STATE_PENDING, p.GetState())
				require.Equal(t, email, p.GetEmail())
				require.Equal(t, made.GetInvitation().GetId(), p.GetInvitationId())
			}
		}
	})

	scenario(t, "S1-28 sending again sends a new mail", func(t *testing.T, over string) {
		org := create(t, over, portal)
		email := unique("grace") + "@example.com"
		made := org.invite(t, email, "member")
		first := mailLink(t, email, "/invite/")
		resent, err := org.owner.ResendInvitation(t.Context(), &invitationv1.ResendInvitationRequest{
			OrganizationId: org.ID, InvitationId: made.GetInvitation().GetId()})
		require.NoError(t, err)
		require.Empty(t, resent.GetLink())
		second := newLink(t, email, first)
		_, err = connect(over, "").PreviewInvitation(t.Context(), &invitationv1.PreviewInvitationRequest{LinkToken: first})
		refused(t, err, errorv1.Reason_REASON_INVITATION_LINK_INVALID)
		org.accept(t, second)
		require.EqualValues(t, 2, org.seats(t).GetUsed(), "counted once")
	})

	scenario(t, "S1-29 S1-46 cancelling ends the invitation and frees its seat at once", func(t *testing.T, over string) {
		org := create(t, over, portal)
		email := unique("grace") + "@example.com"
		made := org.invite(t, email, "member")
		link := mailLink(t, email, "/invite/")
		revoked, err := org.owner.RevokeInvitation(t.Context(), &invitationv1.RevokeInvitationRequest{
			OrganizationId: org.ID, InvitationId: made.GetInvitation().GetId()})
		require.NoError(t, err)
		require.True(t, revoked.GetSeatReleased())
		require.EqualValues(t, 1, org.seats(t).GetUsed())
		_, err = connect(over, "").AcceptInvitation(t.Context(), &invitationv1.AcceptInvitationRequest{LinkToken: link, Password: password, DisplayName: "G", Delivery: 2})
		refused(t, err, errorv1.Reason_REASON_INVITATION_REVOKED)
	})

	scenario(t, "S1-31 only owner and admin remove", func(t *testing.T, over string) {
		org := create(t, over, portal)
		admin, member, target := org.join(t, "admin"), org.join(t, "member"), org.join(t, "member")
		_, err := member.RemoveMember(t.Context(), &membershipv1.RemoveMemberRequest{OrganizationId: org.ID, AccountId: target.ID})
		refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
		_, err = admin.RemoveMember(t.Context(), &membershipv1.RemoveMemberRequest{OrganizationId: org.ID, AccountId: target.ID})
		require.NoError(t, err)
		org.remove(t, member)
	})

	scenario(t, "S1-33 S1-34 a removed member loses access at once, and nothing of theirs is deleted", func(t *testing.T, over string) {
		org := create(t, over, portal)
		member := org.join(t, "member")
		org.remove(t, member)
		require.False(t, org.can(t, member, "products.use"))
		_, err := member.GetOrganization(t.Context(), &membershipv1.GetOrganizationRequest{OrganizationId: org.ID})
		refused(t, err, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
		require.Equal(t, member.ID, signIn(t, over, member.Email).ID)
	})

	scenario(t, "S1-35 a removed member can be invited again", func(t *testing.T, over string) {
		org := create(t, over, portal)
		member := org.join(t, "admin")
		org.remove(t, member)
		first := mailLink(t, member.Email, "/invite/")
		org.invite(t, member.Email, "member")
		_, err := member.AcceptInvitation(t.Context(), &invitationv1.AcceptInvitationRequest{LinkToken: newLink(t, member.Email, first)})
		require.NoError(t, err)
		require.Equal(t, "member", org.row(t, member.ID).GetRole(), "the new role, not the old")
		require.True(t, org.can(t, member, "products.use"))
	})

	scenario(t, "S1-36 S1-42 removing a member lowers the seat count", func(t *testing.T, over string) {
		org := create(t, over, portal)
		member := org.join(t, "member")
		require.EqualValues(t, 2, org.seats(t).GetUsed())
		require.True(t, org.remove(t, member).GetSeatReleased())
		require.EqualValues(t, 1, org.seats(t).GetUsed())
	})

	scenario(t, "S1-37 S1-38 S1-39 S1-40 S1-41 usage is used of total: owner, members and pending invitations", func(t *testing.T, over string) {
		org := create(t, over, portal)
		require.Nil(t, org.seats(t).Total, "no limit before there is a plan")
		org.limit(t, 5)
		require.EqualValues(t, 1, org.seats(t).GetUsed(), "the owner")
		org.join(t, "member")
		org.invite(t, unique("x")+"@example.com", "member")
		usage := org.seats(t)
		require.Equal(t, "3/5", fmt.Sprintf("%d/%d", usage.GetUsed(), usage.GetTotal()))
		require.EqualValues(t, 2, usage.GetOccupied())
		require.EqualValues(t, 1, usage.GetReserved())
		require.EqualValues(t, 2, usage.GetAvailable())
	})

	scenario(t, "S1-43 S1-44 S1-45 at the limit no invitation goes out, members are unaffected, and the error helps", func(t *testing.T, over string) {
		org := create(t, over, portal)
		member := org.join(t, "member")
		org.limit(t, 2)
		email := unique("x") + "@example.com"
		_, err := org.owner.CreateInvitation(t.Context(), org.invitation(t, email))
		f := refused(t, err, errorv1.Reason_REASON_SEAT_LIMIT_REACHED)
		require.Equal(t, "2", f.Metadata["used"])
		require.Equal(t, "2", f.Metadata["total"])
		require.Contains(t, f.Help, suite.URL)
		page, err := http.Get(f.Help)
		require.NoError(t, err)
		require.NoError(t, page.Body.Close())
		require.Equal(t, http.StatusOK, page.StatusCode, "the link leads somewhere")
		require.Zero(t, f.Retry, "waiting does not help")
		require.Empty(t, org.pending(t, ""))
		require.True(t, org.can(t, member, "products.use"))
		listed, err := org.owner.ListInvitations(t.Context(), &invitationv1.ListInvitationsRequest{OrganizationId: org.ID, States: []invitationv1.Invitation_State{invitationv1.Invitation_STATE_PENDING, invitationv1.Invitation_STATE_FAILED}})
		require.NoError(t, err)
		require.Empty(t, listed.GetInvitations(), "nobody hears of it")
	})

	scenario(t, "S1-46 more seats free capacity at once", func(t *testing.T, over string) {
		org := create(t, over, portal)
		org.limit(t, 1)
		_, err := org.owner.CreateInvitation(t.Context(), org.invitation(t, unique("x")+"@example.com"))
		refused(t, err, errorv1.Reason_REASON_SEAT_LIMIT_REACHED)
		org.limit(t, 2)
		_, err = org.owner.CreateInvitation(t.Context(), org.invitation(t, unique("x")+"@example.com"))
		require.NoError(t, err)
	})
}
