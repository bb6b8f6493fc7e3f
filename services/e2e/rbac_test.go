package e2e

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

const rbac = membershipv1.Preset_PRESET_RBAC

// TestRBAC holds the requirements S2: role sets, disabling, seats that follow.
func TestRBAC(t *testing.T) {
	t.Parallel()

	scenario(t, "S2-04 the server refuses standard members", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		member, other := org.join(t, "member"), org.join(t, "member")
		for name, call := range org.management(t, member, other) {
			t.Log(name)
			refused(t, call(), errorv1.Reason_REASON_PERMISSION_MISSING)
		}
	})

	scenario(t, "S2-06 S2-08 S2-09 a row has name, address, role, status and join date", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		member := org.join(t, "member")
		org.disable(t, member)
		row := org.row(t, member.ID)
		require.Equal(t, []string{member.Name, member.Email, "Member"}, []string{row.GetDisplayName(), row.GetEmail(), row.GetRoleDisplayName()})
		require.Equal(t, membershipv1.Person_STATE_DISABLED, row.GetState())
		require.NotZero(t, row.GetJoinTime().AsTime().Unix())
	})

	scenario(t, "S2-10 search finds by name or address", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		email := unique("Jürgen.Straße") + "@bücher.example"
		org.invite(t, email, "member")
		member := org.join(t, "member")
		find := func(query string) []*membershipv1.Person {
			return org.people(t, org.owner, func(req *membershipv1.ListPeopleRequest) { req.Query = query })
		}
		for _, query := range []string{member.Email, member.Email[:8], "RACE HOP", "hopper"} {
			found := find(query)
			require.NotEmpty(t, found, query)
			require.Equal(t, member.ID, found[0].GetAccountId(), query)
		}
		eventually(t, func() bool { return len(find("jurgen")) == 1 }, "accents and case do not matter")
		require.Empty(t, find("nobody-of-that-name"))
		require.Len(t, find("example"), 3)
	})

	scenario(t, "S2-14 S2-15 an invitation needs address and role, and the invitee makes the account", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		member := org.join(t, "admin")
		require.Equal(t, "admin", org.row(t, member.ID).GetRole())
		require.Equal(t, "Grace Hopper", member.Name)
	})

	scenario(t, "S2-16 S2-18 owner is not to be chosen", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		member := org.join(t, "member")
		req := org.invitation(t, unique("x")+"@example.com")
		req.Role = "owner"
		_, err := org.owner.CreateInvitation(t.Context(), req)
		refused(t, err, errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE)
		_, err = org.owner.ChangeMemberRole(t.Context(), &membershipv1.ChangeMemberRoleRequest{OrganizationId: org.ID, AccountId: member.ID, Role: "owner"})
		refused(t, err, errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE)
	})

	scenario(t, "S2-17 owner is not given to whoever is added", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		roles, err := org.owner.ListRoles(t.Context(), &membershipv1.ListRolesRequest{OrganizationId: org.ID})
		require.NoError(t, err)
		for _, role := range roles.GetRoles() {
			require.Equal(t, role.GetKey() != "owner", role.GetAssignable())
		}
	})

	scenario(t, "S2-19 S2-20 a pending invitation shows address, role and expiry, seven days after it was sent", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		email := unique("grace") + "@example.com"
		made := org.invite(t, email, "member")
		row := org.pending(t, made.GetToken())[0]
		require.Equal(t, email, row.GetEmail())
		require.Equal(t, "Member", row.GetRoleDisplayName())
		require.Equal(t, 7*24*time.Hour, row.GetExpireTime().AsTime().Sub(made.GetInvitation().GetSendTime().AsTime()))
	})

	scenario(t, "S2-21 an invitation is revoked before it is accepted", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		made := org.invite(t, unique("x")+"@example.com", "member")
		revoked, err := org.owner.RevokeInvitation(t.Context(), &invitationv1.RevokeInvitationRequest{OrganizationId: org.ID, InvitationId: made.GetInvitation().GetId()})
		require.NoError(t, err)
		require.Equal(t, invitationv1.Invitation_STATE_REVOKED, revoked.GetInvitation().GetState())
		_, err = org.owner.RevokeInvitation(t.Context(), &invitationv1.RevokeInvitationRequest{OrganizationId: org.ID, InvitationId: made.GetInvitation().GetId()})
		refused(t, err, errorv1.Reason_REASON_INVITATION_REVOKED)
	})

	scenario(t, "S2-26 the address of a member is refused", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		_, err := org.owner.CreateInvitation(t.Context(), org.invitation(t, org.owner.Email))
		refused(t, err, errorv1.Reason_REASON_ALREADY_MEMBER)
	})

	scenario(t, "S2-30 S2-31 a role is changed from a row, and from a form that knows what it showed", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		member := org.join(t, "member")
		form := org.member(t, org.owner, member.ID)
		require.NoError(t, org.changeRole(t, org.owner, member, "admin")) // from the row
		update := &membershipv1.ChangeMemberRoleRequest{OrganizationId: org.ID, AccountId: member.ID, Role: "member", Etag: form.GetEtag()}
		_, err := org.owner.ChangeMemberRole(t.Context(), update)
		refused(t, err, errorv1.Reason_REASON_ETAG_MISMATCH)
		require.Equal(t, "admin", org.row(t, member.ID).GetRole())
		update.Etag = org.member(t, org.owner, member.ID).GetEtag()
		changed, err := org.owner.ChangeMemberRole(t.Context(), update)
		require.NoError(t, err)
		require.Equal(t, "member", changed.GetMember().GetRole())
	})

	scenario(t, "S2-33 a member's details are profile, role with what it allows, and activity", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		member := org.join(t, "member")
		eventually(t, func() bool { return org.member(t, org.owner, member.ID).GetAccountCreateTime() != nil }, "the account is known")
		shown := org.member(t, org.owner, member.ID)
		require.Equal(t, []string{member.Email, member.Name, "Member"}, []string{shown.GetEmail(), shown.GetDisplayName(), shown.GetRoleDisplayName()})
		require.NotNil(t, shown.GetJoinTime())
		require.Contains(t, org.role(t, shown.GetRole()).GetPermissions(), "products.use")
		org.shown(t)
		log := org.audit(t, org.owner, func(req *membershipv1.ListAuditEventsRequest) { req.Target = member.ID })
		require.True(t, slices.ContainsFunc(log, func(e *membershipv1.AuditEvent) bool { return e.GetType() == "member.added" }))
	})

	scenario(t, "S2-38 a member's permissions follow the role, and the owner's role is not to be changed", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		member := org.join(t, "member")
		for _, role := range []string{"admin", "member"} {
			require.NoError(t, org.changeRole(t, org.owner, member, role))
			why := org.explain(t, org.owner, member, "members.remove")
			require.Equal(t, role == "admin", why.GetAllowed())
			if why.GetAllowed() {
				require.Equal(t, membershipv1.ExplainAccessResponse_Line_SOURCE_ROLE, why.GetLine().GetSource())
				require.Equal(t, role, why.GetLine().GetRole())
			}
		}
		admin := org.join(t, "admin")
		refused(t, org.changeRole(t, admin, org.owner, "member"), errorv1.Reason_REASON_OWNER_PROTECTED)
	})

	scenario(t, "S2-32 a role change takes effect at once", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		member := org.join(t, "member")
		require.False(t, org.can(t, member, "members.remove"))
		_, err := org.owner.ChangeMemberRole(t.Context(), &membershipv1.ChangeMemberRoleRequest{OrganizationId: org.ID, AccountId: member.ID, Role: "admin"})
		require.NoError(t, err)
		require.True(t, org.can(t, member, "members.remove"))
		_, err = member.CreateInvitation(t.Context(), org.invitation(t, unique("x")+"@example.com"))
		require.NoError(t, err)
	})

	scenario(t, "S2-47 S2-54 the owner is neither disabled nor removed", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		admin := org.join(t, "admin")
		_, err := admin.DisableMember(t.Context(), &membershipv1.DisableMemberRequest{OrganizationId: org.ID, AccountId: org.owner.ID})
		refused(t, err, errorv1.Reason_REASON_OWNER_PROTECTED)
		_, err = admin.RemoveMember(t.Context(), &membershipv1.RemoveMemberRequest{OrganizationId: org.ID, AccountId: org.owner.ID})
		refused(t, err, errorv1.Reason_REASON_OWNER_PROTECTED)
	})

	scenario(t, "S2-48 S2-51 a disabled member cannot sign in, an enabled one can", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		member := org.join(t, "member") // the account was made for this organization, which manages it
		org.disable(t, member)
		credentials := &identityv1.CreateSessionRequest{Email: member.Email, Password: password, Delivery: identityv1.Delivery_DELIVERY_TOKEN}
		_, err := connect(over, "").CreateSession(t.Context(), credentials)
		refused(t, err, errorv1.Reason_REASON_CREDENTIALS_INVALID)
		eventually(t, func() bool {
			_, err := member.GetMe(t.Context(), &identityv1.GetMeRequest{})
			return err != nil
		}, "sessions end")
		_, err = org.owner.EnableMember(t.Context(), &membershipv1.EnableMemberRequest{OrganizationId: org.ID, AccountId: member.ID})
		require.NoError(t, err)
		_, err = connect(over, "").CreateSession(t.Context(), credentials)
		require.NoError(t, err)

		// Somebody who belongs elsewhere too signs in as ever; only this organization is closed to them.
		free := signUp(t, over)
		org.invite(t, free.Email, "member")
		_, err = free.AcceptInvitation(t.Context(), &invitationv1.AcceptInvitationRequest{LinkToken: mailLink(t, free.Email, "/invite/")})
		require.NoError(t, err)
		org.disable(t, free)
		signIn(t, over, free.Email)
		_, err = free.GetOrganization(t.Context(), &membershipv1.GetOrganizationRequest{OrganizationId: org.ID})
		refused(t, err, errorv1.Reason_REASON_MEMBER_DISABLED)
	})

	scenario(t, "S2-49 S2-50 disabling keeps the row, with when and by whom", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		member := org.join(t, "member")
		org.disable(t, member)
		got, err := org.owner.GetMember(t.Context(), &membershipv1.GetMemberRequest{OrganizationId: org.ID, AccountId: member.ID})
		require.NoError(t, err)
		require.Equal(t, membershipv1.Member_STATE_DISABLED, got.GetMember().GetState())
		require.Equal(t, org.owner.ID, got.GetMember().GetDisablerAccountId())
		require.WithinDuration(t, time.Now(), got.GetMember().GetDisableTime().AsTime(), time.Minute)
		require.Equal(t, member.Name, got.GetMember().GetDisplayName())
	})

	scenario(t, "S2-52 nobody disables themselves", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		admin := org.join(t, "admin")
		_, err := admin.DisableMember(t.Context(), &membershipv1.DisableMemberRequest{OrganizationId: org.ID, AccountId: admin.ID})
		refused(t, err, errorv1.Reason_REASON_SELF_ACTION)
	})

	scenario(t, "S2-53 removing ends the membership for good", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		member := org.join(t, "member")
		org.remove(t, member)
		for name, call := range org.management(t, org.owner, member) {
			if name != "invite" {
				t.Log(name)
				refused(t, call(), errorv1.Reason_REASON_MEMBER_NOT_FOUND)
			}
		}
	})

	scenario(t, "S2-59 without a subscription there is no cap", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		for range 12 {
			org.invite(t, unique("x")+"@example.com", "member")
		}
		usage := org.seats(t)
		require.EqualValues(t, 13, usage.GetUsed())
		require.Nil(t, usage.Total)
		require.Nil(t, usage.Available)
	})
}
