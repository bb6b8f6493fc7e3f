package membership_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

const mfaRequired = errorv1.Reason_REASON_MFA_REQUIRED

// requireMfa makes a second factor a condition of access, or not any more.
func (o organization) requireMfa(on bool) {
	o.Helper()
	_, err := o.organizations.UpdatePolicy(o.proven(o.creator), &membershipv1.UpdatePolicyRequest{
		OrganizationId: o.id.String(), Policy: &fields{MfaRequired: on}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"mfa_required"}}})
	require.NoError(o, err)
}

// enrolled tells, as identity, of the second factors of an account.
func (h *harness) enrolled(account id.Account, revision int64, methods ...string) {
	h.Helper()
	h.hear("identity", "account.mfa_changed", account.String(), revision, &eventv1.AccountMfaChanged{After: &eventv1.Mfa{Methods: methods}})
}

func TestMfaRequired(t *testing.T) {
	t.Parallel()

	t.Run("R38 Who has not shown a second factor is told to set one up, here and nowhere else", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o, other := h.create(rbac), h.create(rbac)
		bob := o.add("member")
		require.NoError(t, other.addAs(bob, id.NewSeat(), "member"))
		o.requireMfa(true)
		_, err := o.get(bob, bob)
		f := refused(t, err, mfaRequired)
		require.Equal(t, "BeginTotp", f.Metadata["method"])
		require.Contains(t, f.Message, "roster mfa enable")
		_, err = o.members.GetMember(o.proven(bob), &membershipv1.GetMemberRequest{OrganizationId: o.id.String(), AccountId: bob.String()})
		require.NoError(t, err)
		_, err = other.get(bob, bob)
		require.NoError(t, err)
		mine, err := o.organizations.ListOrganizations(o.as(bob), &membershipv1.ListOrganizationsRequest{})
		require.NoError(t, err)
		require.Len(t, mine.GetOrganizations(), 2)
		for _, m := range mine.GetOrganizations() {
			require.Equal(t, m.GetId() == o.id.String(), len(m.GetMyPermissions()) == 0)
		}
		o.requireMfa(false)
		_, err = o.get(bob, bob)
		require.NoError(t, err)
		o.requireMfa(true)
		_, err = o.leave(bob)
		require.NoError(t, err, "whoever does not want to set one up leaves")
	})

	t.Run("R38 CheckAccess says no until the account has one, and gives everything back then", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		bob, ada := o.add("member"), id.NewAccount()
		o.enrolled(ada, 1, "TOTP")
		require.NoError(t, o.addAs(ada, id.NewSeat(), "member"))
		o.requireMfa(true)
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_MFA_REQUIRED, o.decision(bob, "org.read"))
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_ALLOWED, o.decision(ada, "org.read"), "who had one before they joined")
		o.enrolled(bob, 1, "TOTP")
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_ALLOWED, o.decision(bob, "org.read"))
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_PERMISSION_MISSING, o.decision(bob, "members.create"))
		o.hear("identity", "account.mfa_reset", bob.String(), 2, &eventv1.AccountMfaReset{})
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_MFA_REQUIRED, o.decision(bob, "org.read"), "R37")
		o.enrolled(bob, 1, "TOTP")
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_MFA_REQUIRED, o.decision(bob, "org.read"), "an event heard again")

		ask := func(ctx context.Context) membershipv1.CheckAccessResponse_Decision {
			answer, err := o.access.CheckAccess(ctx, &membershipv1.CheckAccessRequest{OrganizationId: o.id.String(), Permission: "org.read"})
			require.NoError(t, err)
			return answer.GetDecision()
		}
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_MFA_REQUIRED, ask(o.as(bob)))
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_ALLOWED, ask(o.proven(bob)), "who has just set one up need not wait until it is heard here")
		held, err := o.access.ListMyPermissions(o.proven(bob), &membershipv1.ListMyPermissionsRequest{OrganizationId: o.id.String()})
		require.NoError(t, err)
		require.NotEmpty(t, held.GetPermissions())
		_, err = o.access.ListMyPermissions(o.as(bob), &membershipv1.ListMyPermissionsRequest{OrganizationId: o.id.String()})
		refused(t, err, mfaRequired)
	})

	t.Run("R38 Who invites is asked for one, and who was invited by them comes in", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		admin := o.add("admin")
		o.requireMfa(true)
		_, err := o.admission.AuthorizeInvitation(t.Context(), &membershipv1.AuthorizeInvitationRequest{
			OrganizationId: o.id.String(), ActorAccountId: admin.String(), Permission: "invitations.create", GrantsRole: true, Role: "member"})
		refused(t, err, mfaRequired)
		_, err = o.admission.AddMember(t.Context(), &membershipv1.AddMemberRequest{
			OrganizationId: o.id.String(), AccountId: id.NewAccount().String(), SeatId: id.NewSeat().String(), Role: "member",
			InvitationId: id.NewInvitation().String(), InviterAccountId: admin.String(), DisplayName: "Bob"})
		require.NoError(t, err)
	})

	t.Run("R38 It takes the right, a fresh proof and a second factor of one's own to ask for it", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		turn := &membershipv1.UpdatePolicyRequest{
			OrganizationId: o.id.String(), Policy: &fields{MfaRequired: true}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"mfa_required"}}}
		_, err := o.organizations.UpdatePolicy(o.as(o.creator), turn)
		refused(t, err, mfaRequired)
		_, err = o.organizations.UpdatePolicy(o.stale(o.creator), turn)
		refused(t, err, errorv1.Reason_REASON_STEP_UP_REQUIRED)
		_, err = o.organizations.UpdatePolicy(o.proven(o.add("admin")), turn)
		refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
		o.requireMfa(true)
		_, err = o.organizations.UpdatePolicy(o.proven(o.creator), &membershipv1.UpdatePolicyRequest{OrganizationId: o.id.String(), Preset: portal})
		require.NoError(t, err)
		_, err = o.get(o.creator, o.creator)
		refused(t, err, mfaRequired)
	})

	t.Run("R38 A preview says how many would have no access", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		bob, gone := o.add("member"), o.add("member")
		o.add("member")
		o.enrolled(bob, 1, "TOTP")
		_, err := o.disable(o.creator, gone)
		require.NoError(t, err)
		seen, err := o.organizations.PreviewPolicy(o.proven(o.creator), &membershipv1.PreviewPolicyRequest{
			OrganizationId: o.id.String(), Policy: &fields{MfaRequired: true}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"mfa_required"}}})
		require.NoError(t, err)
		require.Len(t, seen.GetEffects(), 1)
		require.Equal(t, "policy.mfa_required", seen.GetEffects()[0].GetSubject())
		require.EqualValues(t, 2, seen.GetEffects()[0].GetCount(), "the creator, whose factors were not heard of, and one more")
	})

	t.Run("R38 Identity hears who asks", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		bob := o.add("member")
		asks := func() []string {
			answer, err := o.required.ListMfaRequirements(t.Context(), &membershipv1.ListMfaRequirementsRequest{AccountId: bob.String()})
			require.NoError(t, err)
			return answer.GetOrganizationDisplayNames()
		}
		require.Empty(t, asks())
		o.requireMfa(true)
		require.Equal(t, []string{"Acme"}, asks())
		_, err := o.members.RemoveMember(o.proven(o.creator), &membershipv1.RemoveMemberRequest{OrganizationId: o.id.String(), AccountId: bob.String()})
		require.NoError(t, err)
		require.Empty(t, asks())
		_, err = o.required.ListMfaRequirements(t.Context(), &membershipv1.ListMfaRequirementsRequest{AccountId: "x"})
		require.Equal(t, errorv1.Reason_REASON_VALIDATION_FAILED, fault.ReasonOf(err))
	})

	t.Run("S2-39 RB19 The detail view shows second factors to who may see activity", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		admin, bob := o.add("admin"), o.add("member")
		shown, err := o.get(admin, bob)
		require.NoError(t, err)
		require.False(t, shown.GetMfa().GetEnabled())
		require.NotNil(t, shown.GetMfa())
		o.enrolled(bob, 1, "TOTP")
		shown, err = o.get(admin, bob)
		require.NoError(t, err)
		require.True(t, shown.GetMfa().GetEnabled())
		require.Equal(t, []string{"TOTP"}, shown.GetMfa().GetMethods())
		shown, err = o.get(bob, bob)
		require.NoError(t, err)
		require.Nil(t, shown.GetMfa())
		o.enrolled(bob, 2)
		shown, err = o.get(admin, bob)
		require.NoError(t, err)
		require.False(t, shown.GetMfa().GetEnabled())
	})
}
