package e2e

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

const pipeline = membershipv1.Preset_PRESET_PIPELINE

// TestPipeline holds the requirements S0: owner, admin, developer, viewer; usernames; invitations by mail or by link.
func TestPipeline(t *testing.T) {
	t.Parallel()

	scenario(t, "S0-01 the list has everyone of this organization and nobody of another", func(t *testing.T, over string) {
		org, other := create(t, over, pipeline), create(t, over, pipeline)
		member, stranger := org.join(t, "developer"), other.join(t, "developer")
		var ids []string
		for _, p := range org.people(t, org.owner) {
			ids = append(ids, p.GetAccountId())
		}
		require.ElementsMatch(t, []string{org.owner.ID, member.ID}, ids)
		require.NotContains(t, ids, stranger.ID)
	})

	scenario(t, "S0-02 each row shows the role", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		member := org.join(t, "viewer")
		roles := map[string]string{}
		for _, p := range org.people(t, org.owner) {
			roles[p.GetAccountId()] = p.GetRole() + "/" + p.GetRoleDisplayName()
		}
		require.Equal(t, map[string]string{org.owner.ID: "owner/Owner", member.ID: "viewer/Viewer"}, roles)
	})

	scenario(t, "S0-03 each row shows whether the account is active or deactivated", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		member := org.join(t, "developer")
		org.disable(t, member)
		require.Equal(t, membershipv1.Person_STATE_DISABLED, org.row(t, member.ID).GetState())
		require.Equal(t, membershipv1.Person_STATE_ACTIVE, org.row(t, org.owner.ID).GetState())
	})

	scenario(t, "S0-05 an invitee is pending until acceptance, then active, and neither when the invitation ended", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		email := unique("grace") + "@example.com"
		made := org.invite(t, email, "")
		pending := org.pending(t, made.GetToken())
		require.Len(t, pending, 1)
		require.Equal(t, membershipv1.Person_STATE_PENDING, pending[0].GetState())

		member := org.accept(t, mailLink(t, email, "/invite/"))
		eventually(t, func() bool { return len(org.pending(t, "")) == 0 }, "the pending row goes")
		require.Equal(t, membershipv1.Person_STATE_ACTIVE, org.row(t, member.ID).GetState())

		second := org.invite(t, unique("x")+"@example.com", "")
		revoked, err := org.owner.RevokeInvitation(t.Context(), &invitationv1.RevokeInvitationRequest{
			OrganizationId: org.ID, InvitationId: second.GetInvitation().GetId()})
		require.NoError(t, err)
		require.Empty(t, org.pending(t, revoked.GetToken()))
	})

	scenario(t, "S0-06 owner and admin manage members", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		admin, member := org.join(t, "admin"), org.join(t, "developer")
		for _, actor := range []*person{org.owner, admin} {
			_, err := actor.CreateInvitation(t.Context(), org.invitation(t, unique("x")+"@example.com"))
			require.NoError(t, err)
			for _, role := range []string{"viewer", "developer"} {
				_, err = actor.ChangeMemberRole(t.Context(), &membershipv1.ChangeMemberRoleRequest{OrganizationId: org.ID, AccountId: member.ID, Role: role})
				require.NoError(t, err)
			}
			_, err = actor.DisableMember(t.Context(), &membershipv1.DisableMemberRequest{OrganizationId: org.ID, AccountId: member.ID})
			require.NoError(t, err)
			_, err = actor.EnableMember(t.Context(), &membershipv1.EnableMemberRequest{OrganizationId: org.ID, AccountId: member.ID})
			require.NoError(t, err)
		}
		_, err := admin.RemoveMember(t.Context(), &membershipv1.RemoveMemberRequest{OrganizationId: org.ID, AccountId: member.ID})
		require.NoError(t, err)
	})

	scenario(t, "S0-08 lower roles are refused on a direct call, and nothing changes", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		target := org.join(t, "viewer")
		for _, role := range []string{"developer", "viewer"} {
			actor := org.join(t, role)
			before, heard := org.people(t, org.owner), org.revision(t, "membership")
			for name, call := range org.management(t, actor, target) {
				f := refused(t, call(), errorv1.Reason_REASON_PERMISSION_MISSING)
				require.NotEmpty(t, f.Metadata["permission"], name)
			}
			require.Equal(t, len(before), len(org.people(t, org.owner)))
			require.Equal(t, heard, org.revision(t, "membership"), "no event")
			require.True(t, org.can(t, target, "org.read"))
		}
	})

	scenario(t, "S0-09 owner cannot be invited", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		req := org.invitation(t, unique("x")+"@example.com")
		req.Role = "owner"
		_, err := org.owner.CreateInvitation(t.Context(), req)
		refused(t, err, errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE)
		require.Empty(t, org.pending(t, ""))
		require.EqualValues(t, 1, org.seats(t).GetUsed())
	})

	scenario(t, "S0-10 owner cannot be picked", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		member := org.join(t, "developer")
		_, err := org.owner.ChangeMemberRole(t.Context(), &membershipv1.ChangeMemberRoleRequest{OrganizationId: org.ID, AccountId: member.ID, Role: "owner"})
		refused(t, err, errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE)
		roles, err := org.owner.ListRoles(t.Context(), &membershipv1.ListRolesRequest{OrganizationId: org.ID})
		require.NoError(t, err)
		for _, role := range roles.GetRoles() {
			require.Equal(t, role.GetKey() != "owner", role.GetAssignable(), role.GetKey())
		}
	})

	scenario(t, "S0-11 a name is required", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		req := org.invitation(t, unique("x")+"@example.com")
		req.DisplayName = ""
		_, err := org.owner.CreateInvitation(t.Context(), req)
		require.Equal(t, "display_name", refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED).Fields[0].Name)
	})

	scenario(t, "S0-12 a username is required", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		req := org.invitation(t, unique("x")+"@example.com")
		req.Username = ""
		_, err := org.owner.CreateInvitation(t.Context(), req)
		require.Equal(t, "username", refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED).Fields[0].Name)
	})

	scenario(t, "S0-13 username conflict", func(t *testing.T, over string) {
		org, other := create(t, over, pipeline), create(t, over, pipeline)
		req := org.invitation(t, unique("x")+"@example.com")
		_, err := org.owner.CreateInvitation(t.Context(), req)
		require.NoError(t, err)

		again := other.invitation(t, unique("y")+"@example.com")
		again.Username = req.GetUsername()
		_, err = other.owner.CreateInvitation(t.Context(), again) // held by an invitation of another organization
		refused(t, err, errorv1.Reason_REASON_USERNAME_TAKEN)
		require.EqualValues(t, 1, other.seats(t).GetUsed(), "no seat is kept")

		org.accept(t, mailLink(t, req.GetEmail(), "/invite/"))
		_, err = other.owner.CreateInvitation(t.Context(), again) // of an account by now
		refused(t, err, errorv1.Reason_REASON_USERNAME_TAKEN)
	})

	scenario(t, "S0-14 a username has letters, digits, dot, underscore and dash only", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		for _, bad := range []string{"a b", "a/b", "ä", "a@b", "a:b", "<script>"} {
			req := org.invitation(t, unique("x")+"@example.com")
			req.Username = bad
			_, err := org.owner.CreateInvitation(t.Context(), req)
			refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		}
		req := org.invitation(t, unique("x")+"@example.com")
		req.Username = unique("A.b_c")
		_, err := org.owner.CreateInvitation(t.Context(), req)
		require.NoError(t, err)
	})

	scenario(t, "S0-15 S0-16 without an address the answer holds a link to share, and no mail goes out", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		made, err := org.owner.CreateInvitation(t.Context(), org.invitation(t, ""))
		require.NoError(t, err)
		link, err := url.Parse(made.GetLink())
		require.NoError(t, err)
		require.Equal(t, suite.URL, link.Scheme+"://"+link.Host)
		require.Equal(t, invitationv1.Invitation_DELIVERY_LINK, made.GetInvitation().GetDelivery())
		member := org.accept(t, lastSegment(made.GetLink()))
		require.True(t, org.can(t, member, "products.use"))
	})

	scenario(t, "S0-17 with an address the invitation is mailed", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		email := unique("grace") + "@example.com"
		made := org.invite(t, email, "")
		require.Empty(t, made.GetLink(), "the link is for the invitee only")
		mail := mailTo(t, email, nil)
		require.Contains(t, mail.Subject, org.Name)
		eventually(t, func() bool {
			got, err := org.owner.GetInvitation(t.Context(), &invitationv1.GetInvitationRequest{OrganizationId: org.ID, InvitationId: made.GetInvitation().GetId()})
			require.NoError(t, err)
			return got.GetInvitation().GetDelivery() == invitationv1.Invitation_DELIVERY_SENT
		}, "the delivery is noted")
	})

	scenario(t, "S0-18 the role is developer when none is given", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		made := org.invite(t, unique("x")+"@example.com", "")
		require.Equal(t, "developer", made.GetInvitation().GetRole())
	})

	scenario(t, "S0-19 S0-23 the roles to give are exactly admin, developer, viewer", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		member := org.join(t, "developer")
		var assignable []string
		roles, err := org.owner.ListRoles(t.Context(), &membershipv1.ListRolesRequest{OrganizationId: org.ID})
		require.NoError(t, err)
		for _, role := range roles.GetRoles() {
			if role.GetAssignable() {
				assignable = append(assignable, role.GetKey())
			}
		}
		require.Equal(t, []string{"admin", "developer", "viewer"}, assignable)
		for _, role := range append(assignable[:2:2], "viewer") {
			require.Equal(t, role, org.invite(t, unique("x")+"@example.com", role).GetInvitation().GetRole())
		}
		for _, role := range []string{"admin", "viewer", "developer"} {
			changed, err := org.owner.ChangeMemberRole(t.Context(), &membershipv1.ChangeMemberRoleRequest{OrganizationId: org.ID, AccountId: member.ID, Role: role})
			require.NoError(t, err)
			require.Equal(t, role, changed.GetMember().GetRole())
		}
		for _, role := range []string{"owner", "member", "superuser"} {
			_, err := org.owner.ChangeMemberRole(t.Context(), &membershipv1.ChangeMemberRoleRequest{OrganizationId: org.ID, AccountId: member.ID, Role: role})
			refused(t, err, errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE)
		}
	})

	scenario(t, "S0-20 S0-33 a new link can be made for a pending invitation, and a second invitation points there", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		req := org.invitation(t, unique("grace")+"@example.com")
		made, err := org.owner.CreateInvitation(t.Context(), req)
		require.NoError(t, err)
		mailed := mailLink(t, req.GetEmail(), "/invite/")

		_, err = org.owner.CreateInvitation(t.Context(), req)
		f := refused(t, err, errorv1.Reason_REASON_INVITATION_PENDING)
		require.Equal(t, made.GetInvitation().GetId(), f.Metadata["invitationId"])
		require.Contains(t, f.Message, "newLink")

		renewed, err := org.owner.CreateInvitationLink(t.Context(), &invitationv1.CreateInvitationLinkRequest{
			OrganizationId: org.ID, InvitationId: made.GetInvitation().GetId()})
		require.NoError(t, err)
		require.NotEmpty(t, renewed.GetLink())
		_, err = connect(over, "").PreviewInvitation(t.Context(), &invitationv1.PreviewInvitationRequest{LinkToken: mailed})
		refused(t, err, errorv1.Reason_REASON_INVITATION_LINK_INVALID) // the older link is void
		org.accept(t, lastSegment(renewed.GetLink()))
	})

	scenario(t, "S0-21 the link works once", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		made, err := org.owner.CreateInvitation(t.Context(), org.invitation(t, ""))
		require.NoError(t, err)
		org.accept(t, lastSegment(made.GetLink()))
		_, err = connect(over, "").AcceptInvitation(t.Context(), &invitationv1.AcceptInvitationRequest{
			LinkToken: lastSegment(made.GetLink()), Password: password, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
		refused(t, err, errorv1.Reason_REASON_INVITATION_USED)
		require.Len(t, org.people(t, org.owner), 2)
	})

	scenario(t, "S0-22 the link sets a password and joins in one go", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		req := org.invitation(t, "")
		made, err := org.owner.CreateInvitation(t.Context(), req)
		require.NoError(t, err)
		member := org.accept(t, lastSegment(made.GetLink()))
		require.True(t, org.can(t, member, "products.use"))
		again, err := connect(over, "").CreateSession(t.Context(), &identityv1.CreateSessionRequest{
			Username: req.GetUsername(), Password: password, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
		require.NoError(t, err)
		require.Equal(t, member.ID, again.GetSession().GetAccountId())
	})

	scenario(t, "S0-24 the owner's role cannot be changed, and the error says so", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		admin := org.join(t, "admin")
		_, err := admin.ChangeMemberRole(t.Context(), &membershipv1.ChangeMemberRoleRequest{OrganizationId: org.ID, AccountId: org.owner.ID, Role: "viewer"})
		f := refused(t, err, errorv1.Reason_REASON_OWNER_PROTECTED)
		require.Contains(t, f.Message, "reserved")
	})

	scenario(t, "S0-25 S0-26 deactivating keeps the row and ends the access, reactivating restores it", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		member := org.join(t, "developer")
		org.disable(t, member)
		require.Equal(t, "developer", org.row(t, member.ID).GetRole())
		require.False(t, org.can(t, member, "products.use"))
		_, err := member.ListPeople(t.Context(), &membershipv1.ListPeopleRequest{OrganizationId: org.ID})
		refused(t, err, errorv1.Reason_REASON_MEMBER_DISABLED)

		_, err = org.owner.EnableMember(t.Context(), &membershipv1.EnableMemberRequest{OrganizationId: org.ID, AccountId: member.ID})
		require.NoError(t, err)
		require.True(t, org.can(t, member, "products.use"))
		require.Len(t, org.people(t, member), 2)
	})

	scenario(t, "S0-28 removing ends the membership only", func(t *testing.T, over string) {
		org, other := create(t, over, pipeline), create(t, over, membershipv1.Preset_PRESET_PORTAL)
		member := org.join(t, "developer")
		other.invite(t, member.Email, "member")
		_, err := member.AcceptInvitation(t.Context(), &invitationv1.AcceptInvitationRequest{LinkToken: mailLink(t, member.Email, "/invite/"+other.ID)})
		require.NoError(t, err)
		org.remove(t, member)
		require.Len(t, org.people(t, org.owner), 1)
		require.True(t, other.can(t, member, "products.use"))
		signIn(t, over, member.Email)
	})

	scenario(t, "S0-29 removal ends the access, and history keeps resolving its author", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		admin := org.join(t, "admin")
		made, err := admin.CreateInvitation(t.Context(), org.invitation(t, unique("x")+"@example.com"))
		require.NoError(t, err)
		org.remove(t, admin)
		require.False(t, org.can(t, admin, "products.use"))
		_, err = admin.ListPeople(t.Context(), &membershipv1.ListPeopleRequest{OrganizationId: org.ID})
		refused(t, err, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
		kept, err := org.owner.GetInvitation(t.Context(), &invitationv1.GetInvitationRequest{OrganizationId: org.ID, InvitationId: made.GetInvitation().GetId()})
		require.NoError(t, err)
		require.Equal(t, admin.ID, kept.GetInvitation().GetInviterAccountId())
		org.shown(t)
		log := org.audit(t, org.owner, func(req *membershipv1.ListAuditEventsRequest) {
			req.Actor, req.Types = admin.ID, []string{"invitation.created"}
		})
		require.Len(t, log, 1)
		require.Equal(t, admin.Name, log[0].GetActor().GetDisplayName())
	})

	scenario(t, "S0-32 somebody who belongs already is not invited, and no seat is taken", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		member := org.join(t, "developer")
		used := org.seats(t).GetUsed()
		_, err := org.owner.CreateInvitation(t.Context(), org.invitation(t, member.Email))
		require.Equal(t, member.ID, refused(t, err, errorv1.Reason_REASON_ALREADY_MEMBER).Metadata["accountId"])
		require.Equal(t, used, org.seats(t).GetUsed())
	})

	scenario(t, "S0-35 the invited name shows on the pending row and becomes the member's", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		req := org.invitation(t, "")
		req.DisplayName = "Katherine Johnson"
		made, err := org.owner.CreateInvitation(t.Context(), req)
		require.NoError(t, err)
		require.Equal(t, "Katherine Johnson", org.pending(t, made.GetToken())[0].GetDisplayName())
		accepted, err := connect(over, "").AcceptInvitation(t.Context(), &invitationv1.AcceptInvitationRequest{
			LinkToken: lastSegment(made.GetLink()), Password: password, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
		require.NoError(t, err)
		require.Equal(t, "Katherine Johnson", org.row(t, accepted.GetAccountId()).GetDisplayName())
	})
}
