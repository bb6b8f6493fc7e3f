package e2e

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/rest"
)

// become begins anew with another preset.
func (o *organization) become(t *testing.T, preset membershipv1.Preset, remap map[string]string) error {
	t.Helper()
	_, err := o.owner.UpdatePolicy(t.Context(), &membershipv1.UpdatePolicyRequest{OrganizationId: o.ID, Preset: preset, RoleRemap: remap})
	return err
}

// TestPolicy holds how organizations change the way they work. Each change is seen in what the next request may do.
func TestPolicy(t *testing.T) {
	t.Parallel()

	scenario(t, "C1 another set of roles: held and pending roles are replaced in one moment, and without a word about them it is refused", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		developer := org.join(t, "developer")
		invited := unique("grace") + "@example.com"
		made := org.invite(t, invited, "developer")
		org.pending(t, made.GetToken())
		before := org.revision(t, "membership")
		err := org.become(t, portal, nil)
		f := refused(t, err, errorv1.Reason_REASON_POLICY_CONFLICT)
		require.Len(t, f.Fields, 1)
		require.Equal(t, "role_remap.developer", f.Fields[0].Name)
		require.Contains(t, f.Fields[0].Reason, "held by 1 member, 1 pending invitation")
		require.Equal(t, before, org.revision(t, "membership"))
		if over == "REST" {
			var answer *rest.Error
			require.True(t, errors.As(err, &answer))
			require.Equal(t, http.StatusBadRequest, answer.HTTPStatus)
		}
		var violations []*errdetails.PreconditionFailure_Violation
		for _, detail := range status.Convert(err).Details() {
			if failed, ok := detail.(*errdetails.PreconditionFailure); ok {
				violations = failed.GetViolations()
			}
		}
		require.Len(t, violations, 1)
		require.Equal(t, []string{"POLICY_CONFLICT", "role_remap.developer"}, []string{violations[0].GetType(), violations[0].GetSubject()})

		require.NoError(t, org.become(t, portal, map[string]string{"developer": "admin"}))
		require.Equal(t, "admin", org.row(t, developer.ID).GetRole())
		require.True(t, org.can(t, developer, "members.remove"))
		eventually(t, func() bool {
			found, err := org.owner.GetInvitation(t.Context(), &invitationv1.GetInvitationRequest{OrganizationId: org.ID, InvitationId: made.GetInvitation().GetId()})
			return err == nil && found.GetInvitation().GetRole() == "admin" && org.pending(t, "")[0].GetRole() == "admin"
		}, "the invitation follows")
		late := org.accept(t, mailLink(t, invited, "/invite/"))
		require.Equal(t, "admin", org.row(t, late.ID).GetRole())
		require.Equal(t, 1, org.events(t, "membership", "organization.policy_changed"))
		shown, err := org.owner.GetOrganization(t.Context(), &membershipv1.GetOrganizationRequest{OrganizationId: org.ID})
		require.NoError(t, err)
		require.Equal(t, portal, shown.GetOrganization().GetPreset())
	})

	scenario(t, "C2 an invitation without a role is given the policy's, or refused where it has none", func(t *testing.T, over string) {
		org := create(t, over, portal)
		req := org.invitation(t, unique("x")+"@example.com")
		req.Role = ""
		_, err := org.owner.CreateInvitation(t.Context(), req)
		refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		_, err = org.owner.UpdatePolicy(t.Context(), org.amendment(t, `{"default_invite_role": "owner"}`))
		refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		org.amend(t, `{"default_invite_role": "admin"}`)
		made, err := org.owner.CreateInvitation(t.Context(), req)
		require.NoError(t, err)
		require.Equal(t, "admin", made.GetInvitation().GetRole())
	})

	scenario(t, "C3 C4 what somebody may do is permissions, not what a role is called: everybody manages where there is no owner", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		member, other := org.join(t, "member"), org.join(t, "member")
		for _, call := range org.management(t, member, other) {
			refused(t, call(), errorv1.Reason_REASON_PERMISSION_MISSING)
		}
		require.NoError(t, org.become(t, flat, map[string]string{"owner": "member", "admin": "member", "member": "member"}))
		require.Equal(t, "member", org.row(t, org.owner.ID).GetRole())
		for _, who := range []*person{org.owner, member, other} {
			require.True(t, org.can(t, who, "org.delete"))
		}
		_, err := member.DisableMember(t.Context(), &membershipv1.DisableMemberRequest{OrganizationId: org.ID, AccountId: org.owner.ID})
		require.NoError(t, err, "nobody is protected")
		_, err = member.EnableMember(t.Context(), &membershipv1.EnableMemberRequest{OrganizationId: org.ID, AccountId: org.owner.ID})
		require.NoError(t, err)

		back := &membershipv1.UpdatePolicyRequest{OrganizationId: org.ID, Preset: rbac, RoleRemap: map[string]string{"member": "member"}}
		_, err = member.UpdatePolicy(t.Context(), back)
		require.Equal(t, "owner_account_id", refused(t, err, errorv1.Reason_REASON_POLICY_CONFLICT).Fields[0].Name)
		back.OwnerAccountId = member.ID
		_, err = org.owner.UpdatePolicy(t.Context(), back)
		refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		_, err = member.UpdatePolicy(t.Context(), back)
		require.NoError(t, err)
		require.Equal(t, []string{"owner", "member"}, []string{org.row(t, member.ID).GetRole(), org.row(t, org.owner.ID).GetRole()})
		require.False(t, org.can(t, org.owner, "members.remove"))
	})

	scenario(t, "C6 admins act on admins, or only the owner does, and appointing them is another matter", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		admin, second, member := org.join(t, "admin"), org.join(t, "admin"), org.join(t, "member")
		change := func(who, whom *person, role string) error {
			_, err := who.ChangeMemberRole(t.Context(), &membershipv1.ChangeMemberRoleRequest{OrganizationId: org.ID, AccountId: whom.ID, Role: role})
			return err
		}
		org.amend(t, `{"admins_managed_by": "APPOINTMENT_OWNER_ONLY"}`)
		refused(t, change(admin, second, "member"), errorv1.Reason_REASON_PERMISSION_MISSING)
		require.NoError(t, change(admin, member, "admin"), "they appoint still")
		require.NoError(t, change(org.owner, member, "member"))
		org.amend(t, `{"admins_managed_by": "APPOINTMENT_ADMINS", "admin_appointment": "APPOINTMENT_OWNER_ONLY"}`)
		refused(t, change(admin, member, "admin"), errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE)
		require.NoError(t, change(admin, second, "member"))
		_, err := admin.UpdatePolicy(t.Context(), org.amendment(t, `{"admin_appointment": "APPOINTMENT_ADMINS"}`))
		refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
	})

	scenario(t, "C9 an invitation lives as long as the policy says, an hour to thirty days", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		for _, ttl := range []string{"3599s", "2592001s"} {
			_, err := org.owner.UpdatePolicy(t.Context(), org.amendment(t, `{"invite_ttl": "`+ttl+`"}`))
			require.Equal(t, "policy.invite_ttl", refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED).Fields[0].Name)
		}
		org.amend(t, `{"invite_ttl": "3600s"}`)
		made := org.invite(t, unique("x")+"@example.com", "member").GetInvitation()
		require.Equal(t, time.Hour, made.GetExpireTime().AsTime().Sub(made.GetSendTime().AsTime()))
	})

	scenario(t, "C11 C12 how the page is laid out and what it calls people is the policy's, and one list serves all", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		require.Equal(t, "deactivated", org.policy(t).GetDisabledLabel())
		member := org.join(t, "viewer")
		org.pending(t, org.invite(t, unique("x")+"@example.com", "viewer").GetToken())
		for _, layout := range []string{"COMBINED", "CARD", "TABS"} {
			org.amend(t, `{"people_layout": "LAYOUT_`+layout+`", "disabled_label": "asleep", "member_label": "colleague"}`)
			require.Equal(t, []string{"LAYOUT_" + layout, "asleep", "colleague"},
				[]string{org.policy(t).GetPeopleLayout().String(), org.policy(t).GetDisabledLabel(), org.policy(t).GetMemberLabel()})
			require.Len(t, org.people(t, org.owner), 3)
		}
		org.disable(t, member)
		require.Equal(t, membershipv1.Person_STATE_DISABLED, org.row(t, member.ID).GetState())
	})

	scenario(t, "C17 a username is needed, may be given, or is not", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		req := org.invitation(t, unique("x")+"@example.com")
		req.Username = unique("grace")
		_, err := org.owner.CreateInvitation(t.Context(), req)
		refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		org.amend(t, `{"username": "REQUIREMENT_OPTIONAL"}`)
		_, err = org.owner.CreateInvitation(t.Context(), req)
		require.NoError(t, err)
		req = org.invitation(t, unique("x")+"@example.com")
		req.Username = ""
		_, err = org.owner.CreateInvitation(t.Context(), req)
		require.NoError(t, err)
		org.amend(t, `{"username": "REQUIREMENT_REQUIRED"}`)
		req = org.invitation(t, unique("x")+"@example.com")
		req.Username, req.DisplayName = "", "Grace Hopper"
		_, err = org.owner.CreateInvitation(t.Context(), req)
		require.Equal(t, "username", refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED).Fields[0].Name)
	})

	scenario(t, "C18 an address is needed or not, and links are there or not: what is open is in the way", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		made, err := org.owner.CreateInvitation(t.Context(), org.invitation(t, ""))
		require.NoError(t, err)
		require.NotEmpty(t, made.GetLink())
		org.pending(t, made.GetToken())
		strict := org.amendment(t, `{"email": "REQUIREMENT_REQUIRED", "link_invites": false}`)
		_, err = org.owner.UpdatePolicy(t.Context(), strict)
		f := refused(t, err, errorv1.Reason_REASON_POLICY_CONFLICT)
		require.Equal(t, []string{"policy.email", "policy.link_invites"}, []string{f.Fields[0].Name, f.Fields[1].Name})
		require.Equal(t, "1 pending invitation without an address: revoke them first", f.Fields[0].Reason)
		revoked, err := org.owner.RevokeInvitation(t.Context(), &invitationv1.RevokeInvitationRequest{OrganizationId: org.ID, InvitationId: made.GetInvitation().GetId()})
		require.NoError(t, err)
		require.Empty(t, org.people(t, org.owner, including(revoked.GetToken()))[1:])
		_, err = org.owner.UpdatePolicy(t.Context(), strict)
		require.NoError(t, err)
		_, err = org.owner.CreateInvitation(t.Context(), org.invitation(t, ""))
		refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		_, err = org.owner.UpdatePolicy(t.Context(), org.amendment(t, `{"email": "REQUIREMENT_OPTIONAL"}`))
		require.Equal(t, "policy.link_invites", refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED).Fields[0].Name)
	})

	scenario(t, "C19 one pending invitation per address and per username, whatever the policy was when it was made", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		address := unique("grace") + "@example.com"
		org.invite(t, address, "member")
		require.NoError(t, org.become(t, pipeline, map[string]string{"member": "viewer"}))
		_, err := org.owner.CreateInvitation(t.Context(), org.invitation(t, address))
		refused(t, err, errorv1.Reason_REASON_INVITATION_PENDING)
		byLink := org.invitation(t, "")
		_, err = org.owner.CreateInvitation(t.Context(), byLink)
		require.NoError(t, err)
		_, err = org.owner.CreateInvitation(t.Context(), byLink)
		refused(t, err, errorv1.Reason_REASON_INVITATION_PENDING)
		_, err = org.owner.CreateInvitation(t.Context(), org.invitation(t, org.owner.Email))
		refused(t, err, errorv1.Reason_REASON_ALREADY_MEMBER)
	})

	scenario(t, "RB18 a policy counts from the next request on: what is switched on works, what is switched off says who switches it on", func(t *testing.T, over string) {
		org := create(t, over, portal)
		attempts := map[string]func() error{
			"groups": func() error {
				_, err := org.owner.CreateGroup(t.Context(), &membershipv1.CreateGroupRequest{OrganizationId: org.ID, DisplayName: "G"})
				return err
			},
			"projects": func() error {
				_, err := org.owner.CreateProject(t.Context(), &membershipv1.CreateProjectRequest{OrganizationId: org.ID, DisplayName: "P"})
				return err
			},
			"custom_roles": func() error {
				_, err := org.owner.CreateRole(t.Context(), &membershipv1.CreateRoleRequest{OrganizationId: org.ID, DisplayName: "R"})
				return err
			},
			"availability": func() error {
				_, err := org.owner.GetAvailability(t.Context(), &membershipv1.GetAvailabilityRequest{OrganizationId: org.ID, AccountId: org.owner.ID})
				return err
			},
		}
		for field, attempt := range attempts {
			f := refused(t, attempt(), errorv1.Reason_REASON_FEATURE_OFF)
			require.Equal(t, field, f.Metadata["policy"])
			require.Contains(t, f.Message, "roster org policy set")
			org.amend(t, `{"`+field+`": true}`)
			require.NoError(t, attempt(), field)
		}
		member := org.join(t, "member")
		org.amend(t, `{"allow_leave": false}`)
		refused(t, org.leave(t, member), errorv1.Reason_REASON_FEATURE_OFF)
		org.amend(t, `{"allow_leave": true}`)
		require.NoError(t, org.leave(t, member))
	})

	scenario(t, "RB21 of several owners who make one the only one while they step down, an owner is left", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		org.amend(t, `{"ownership": "OWNERSHIP_MULTIPLE"}`)
		fellow := org.join(t, "admin")
		require.NoError(t, org.offer(t, org.owner, fellow))
		require.NoError(t, org.takeOver(t, fellow))
		atOnce(3, func(i int) error {
			if i == 0 {
				_, err := fellow.UpdatePolicy(t.Context(), org.amendment(t, `{"ownership": "OWNERSHIP_SINGLE"}`))
				return err
			}
			_, err := []*person{org.owner, fellow}[i-1].StepDown(t.Context(), &membershipv1.StepDownRequest{OrganizationId: org.ID})
			return err
		})
		owners := 0
		for _, p := range org.people(t, org.owner) {
			if p.GetRole() == "owner" {
				owners++
			}
		}
		require.Positive(t, owners)
		if org.policy(t).GetOwnership() == membershipv1.OrganizationPolicy_OWNERSHIP_SINGLE {
			require.Equal(t, 1, owners)
		}
	})

	scenario(t, "C1 C6 a preview says what would follow and what is in the way, and changes nothing", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		org.group(t, "Engineering")
		developer := org.join(t, "developer")
		before := org.revision(t, "membership")
		preview := &membershipv1.PreviewPolicyRequest{OrganizationId: org.ID, Preset: portal}
		seen, err := org.owner.PreviewPolicy(t.Context(), preview)
		require.NoError(t, err)
		update := &membershipv1.UpdatePolicyRequest{OrganizationId: org.ID, Preset: portal}
		_, err = org.owner.UpdatePolicy(t.Context(), update)
		f := refused(t, err, errorv1.Reason_REASON_POLICY_CONFLICT)
		require.Len(t, seen.GetViolations(), 2)
		for i, v := range seen.GetViolations() {
			require.Equal(t, []string{f.Fields[i].Name, f.Fields[i].Reason}, []string{v.GetSubject(), v.GetDescription()})
		}
		preview.RoleRemap = map[string]string{"developer": "member"}
		preview.Policy = &membershipv1.OrganizationPolicy{Groups: true}
		seen, err = org.owner.PreviewPolicy(t.Context(), preview)
		require.NoError(t, err)
		require.Empty(t, seen.GetViolations())
		require.True(t, seen.GetPolicy().GetAutoJoin())
		loses := map[string]string{}
		for _, effect := range seen.GetEffects() {
			loses[effect.GetSubject()] = effect.GetDescription()
		}
		require.Equal(t, "1 member loses resources.write", loses["resources.write"])
		_, err = developer.PreviewPolicy(t.Context(), preview)
		refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
		require.Equal(t, before, org.revision(t, "membership"))
		require.True(t, org.can(t, developer, "resources.write"))
		update.RoleRemap, update.Policy = preview.GetRoleRemap(), preview.GetPolicy()
		_, err = org.owner.UpdatePolicy(t.Context(), update)
		require.NoError(t, err)
		require.False(t, org.can(t, developer, "resources.write"))
	})
}
