package e2e

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

func (o *organization) changeRole(t *testing.T, by, of *person, role string) error {
	t.Helper()
	_, err := by.ChangeMemberRole(t.Context(), &membershipv1.ChangeMemberRoleRequest{OrganizationId: o.ID, AccountId: of.ID, Role: role})
	return err
}

// TestRules holds who may do what to whom, where it is no role that decides but what the two hold.
func TestRules(t *testing.T) {
	t.Parallel()

	scenario(t, "RB3 nobody gives power to whoever holds more, and may take it away", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		org.shape(t, "Billing", "billing.manage", "org.read")
		admin, holder := org.join(t, "admin"), org.join(t, "billing")
		calls := org.management(t, admin, holder)
		require.Equal(t, "billing.manage", refused(t, org.changeRole(t, admin, holder, "member"), errorv1.Reason_REASON_PERMISSION_MISSING).Metadata["permission"])
		refused(t, calls["edit"](), errorv1.Reason_REASON_PERMISSION_MISSING)
		require.NoError(t, calls["disable"]())
		refused(t, calls["enable"](), errorv1.Reason_REASON_PERMISSION_MISSING)
		require.NoError(t, calls["remove"]())
		require.False(t, org.can(t, holder, "org.read"))
	})

	scenario(t, "RB8 who appoints admins follows the policy, and so does who acts on them", func(t *testing.T, over string) {
		for preset, admins := range map[membershipv1.Preset]bool{pipeline: true, rbac: true, portal: false} {
			org := create(t, over, preset)
			admin, other, member := org.join(t, "admin"), org.join(t, "admin"), org.join(t, org.everyday(t))
			invitation := org.invitation(t, unique("x")+"@example.com")
			invitation.Role = "admin"
			_, invited := admin.CreateInvitation(t.Context(), invitation)
			promoted := org.changeRole(t, admin, member, "admin")
			demoted := org.changeRole(t, admin, other, org.everyday(t))
			if admins {
				require.NoError(t, invited)
				require.NoError(t, promoted)
				require.NoError(t, demoted)
				continue
			}
			refused(t, invited, errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE)
			refused(t, promoted, errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE)
			require.Equal(t, "admins.manage", refused(t, demoted, errorv1.Reason_REASON_PERMISSION_MISSING).Metadata["permission"])
			require.NoError(t, org.changeRole(t, org.owner, member, "admin"))
			require.NoError(t, org.changeRole(t, org.owner, other, "member"))
		}
	})

	scenario(t, "RB11 an invitation gives what its inviter may give when it is accepted", func(t *testing.T, over string) {
		for what, change := range map[string]func(org *organization, inviter *person, role *membershipv1.Role) error{
			"the inviter is removed": func(org *organization, inviter *person, _ *membershipv1.Role) error {
				org.remove(t, inviter)
				return nil
			},
			"the inviter is disabled": func(org *organization, inviter *person, _ *membershipv1.Role) error {
				org.disable(t, inviter)
				return nil
			},
			"the inviter is demoted": func(org *organization, inviter *person, _ *membershipv1.Role) error {
				return org.changeRole(t, org.owner, inviter, "member")
			},
			"the role grows": func(org *organization, _ *person, role *membershipv1.Role) error {
				_, err := org.owner.UpdateRole(t.Context(), &membershipv1.UpdateRoleRequest{
					OrganizationId: org.ID, RoleId: role.GetId(), Permissions: []string{"org.read", "billing.manage"}})
				return err
			},
		} {
			org := create(t, over, rbac)
			role := org.shape(t, "Support", "org.read")
			inviter := org.join(t, "admin")
			invitation := org.invitation(t, unique("x")+"@example.com")
			invitation.Role = "support"
			made, err := inviter.CreateInvitation(t.Context(), invitation)
			require.NoError(t, err)
			link := mailLink(t, invitation.GetEmail(), "/invite/")
			require.NoError(t, change(org, inviter, role), what)
			_, err = connect(over, "").AcceptInvitation(t.Context(), &invitationv1.AcceptInvitationRequest{
				LinkToken: link, Password: password, DisplayName: "G", Delivery: identityv1.Delivery_DELIVERY_TOKEN})
			refused(t, err, errorv1.Reason_REASON_INVITATION_FAILED)
			resend := &invitationv1.ResendInvitationRequest{OrganizationId: org.ID, InvitationId: made.GetInvitation().GetId()}
			_, err = org.owner.ResendInvitation(t.Context(), resend) // in the name of somebody who may
			require.NoError(t, err, what)
			org.accept(t, newLink(t, invitation.GetEmail(), link))
		}
	})

	scenario(t, "RB12 groups nest five deep and in no circle, and who moves one holds what it comes to give", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		org.amend(t, `{"groups": true}`)
		org.shape(t, "Billing", "billing.manage")
		admin := org.join(t, "admin")
		move := func(who *person, group, parent string) error {
			_, err := who.UpdateGroup(t.Context(), &membershipv1.UpdateGroupRequest{OrganizationId: org.ID, GroupId: group, ParentGroupId: parent})
			return err
		}
		var nested []string
		for _, name := range []string{"One", "Two", "Three", "Four", "Five"} {
			group := org.group(t, name).GetId()
			if len(nested) > 0 {
				require.NoError(t, move(admin, group, nested[len(nested)-1]))
			}
			nested = append(nested, group)
		}
		sixth := org.group(t, "Six").GetId()
		refused(t, move(admin, sixth, nested[4]), errorv1.Reason_REASON_VALIDATION_FAILED)
		refused(t, move(admin, nested[0], nested[3]), errorv1.Reason_REASON_VALIDATION_FAILED)
		money := org.group(t, "Money")
		org.bind(t, money, "billing")
		before := org.revision(t, "membership")
		require.Equal(t, "billing.manage", refused(t, move(admin, sixth, money.GetId()), errorv1.Reason_REASON_PERMISSION_MISSING).Metadata["permission"])
		require.Equal(t, before, org.revision(t, "membership"))
		require.NoError(t, move(org.owner, sixth, money.GetId()))
	})

	scenario(t, "RB21 a full organization still disables, removes and takes back", func(t *testing.T, over string) {
		org := create(t, over, portal)
		first, second := org.join(t, "member"), org.join(t, "member")
		invited := org.invite(t, unique("x")+"@example.com", "member")
		for _, seats := range []int32{4, 2} { // full, and fuller than it may be
			org.limit(t, seats)
			_, err := org.owner.CreateInvitation(t.Context(), org.invitation(t, unique("x")+"@example.com"))
			refused(t, err, errorv1.Reason_REASON_SEAT_LIMIT_REACHED)
		}
		org.disable(t, first)
		org.remove(t, second)
		_, err := org.owner.RevokeInvitation(t.Context(), &invitationv1.RevokeInvitationRequest{OrganizationId: org.ID, InvitationId: invited.GetInvitation().GetId()})
		require.NoError(t, err)
		require.EqualValues(t, 1, org.seats(t).GetUsed())
		_, err = org.owner.EnableMember(t.Context(), &membershipv1.EnableMemberRequest{OrganizationId: org.ID, AccountId: first.ID})
		require.NoError(t, err)
	})

	scenario(t, "RB22 an operator says why, is read in the organization's log, and is nobody in it", func(t *testing.T, over string) {
		org := create(t, over, portal)
		limit, somebody := int32(45), operator(over)
		set := &billingv1.SetSeatLimitRequest{OrganizationId: org.ID, Limit: &limit}
		_, err := somebody.SetSeatLimit(t.Context(), set)
		refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		set.Reason = "the plan of May"
		_, err = somebody.SetSeatLimit(t.Context(), set)
		require.NoError(t, err)
		_, err = org.owner.SetSeatLimit(t.Context(), set)
		refused(t, err, errorv1.Reason_REASON_CALLER_REFUSED)
		for _, call := range []func() error{
			func() error {
				_, err := somebody.GetOrganization(t.Context(), &membershipv1.GetOrganizationRequest{OrganizationId: org.ID})
				return err
			},
			func() error {
				_, err := somebody.ListPeople(t.Context(), &membershipv1.ListPeopleRequest{OrganizationId: org.ID})
				return err
			},
			func() error {
				_, err := somebody.RemoveMember(t.Context(), &membershipv1.RemoveMemberRequest{OrganizationId: org.ID, AccountId: org.owner.ID})
				return err
			},
		} {
			refused(t, call(), errorv1.Reason_REASON_CALLER_REFUSED)
		}
		org.shown(t)
		log := org.audit(t, org.owner, func(req *membershipv1.ListAuditEventsRequest) { req.Types = []string{"seat.limit_changed"} })
		require.Len(t, log, 1)
		require.Equal(t, membershipv1.AuditEvent_Actor_KIND_OPERATOR, log[0].GetActor().GetKind())
		require.Equal(t, "the plan of May", log[0].GetReason())
		require.Len(t, org.people(t, org.owner), 1)
	})

	scenario(t, "C13 S2-48 whether a disabled member signs in follows the policy", func(t *testing.T, over string) {
		for _, preset := range []membershipv1.Preset{pipeline, portal, flat} { // rbac: TestRBAC
			org := create(t, over, preset)
			member := org.join(t, org.everyday(t)) // the account was made for this organization
			org.disable(t, member)
			_, err := signIn(t, over, member.Email).GetOrganization(t.Context(), &membershipv1.GetOrganizationRequest{OrganizationId: org.ID})
			refused(t, err, errorv1.Reason_REASON_MEMBER_DISABLED)
		}
	})

	scenario(t, "C14 who was removed is history, and whoever comes back begins anew", func(t *testing.T, over string) {
		for _, preset := range []membershipv1.Preset{pipeline, rbac} {
			org := create(t, over, preset)
			member := org.join(t, "admin")
			joined := org.member(t, org.owner, member.ID).GetJoinTime().AsTime()
			org.remove(t, member)
			for name, call := range org.management(t, org.owner, member) {
				if name != "invite" {
					refused(t, call(), errorv1.Reason_REASON_MEMBER_NOT_FOUND)
				}
			}
			require.Len(t, org.people(t, org.owner), 1)
			org.shown(t)
			log := org.audit(t, org.owner, func(req *membershipv1.ListAuditEventsRequest) {
				req.Types, req.Target = []string{"member.removed"}, member.ID
			})
			require.Len(t, log, 1)
			require.True(t, slices.ContainsFunc(log[0].GetTargets(), func(on *membershipv1.AuditEvent_Target) bool {
				return on.GetId() == member.ID && on.GetDisplayName() == member.Name
			}))
			_, err := member.GetMe(t.Context(), &identityv1.GetMeRequest{})
			require.NoError(t, err, "the account lives")
			org.admit(t, member, org.everyday(t))
			again := org.member(t, org.owner, member.ID)
			require.Equal(t, org.everyday(t), again.GetRole())
			require.True(t, again.GetJoinTime().AsTime().After(joined))
		}
	})
}
