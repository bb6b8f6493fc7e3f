package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

// secured is an organization that asks for a second factor, with its owner, who has one.
func secured(t *testing.T, over string, preset membershipv1.Preset, meanwhile func(*organization)) *organization {
	t.Helper()
	org := create(t, over, preset)
	_, _, org.owner.client = enrol(t, over, org.owner.client)
	meanwhile(org)
	org.amend(t, `{"mfa_required": true}`)
	return org
}

// TestMfaRequired is about organizations that ask for a second factor.
func TestMfaRequired(t *testing.T) {
	t.Parallel()
	const mfaRequired = errorv1.Reason_REASON_MFA_REQUIRED

	scenario(t, "R38 who has no second factor sets one up in the session at hand, and other organizations are not concerned", func(t *testing.T, over string) {
		bob, other := signUp(t, over), create(t, over, rbac)
		_, err := other.createMember(t, other.owner, bob.Email, "member")
		require.NoError(t, err)
		org := secured(t, over, rbac, func(org *organization) {
			_, err := org.createMember(t, org.owner, bob.Email, "member")
			require.NoError(t, err)
		})
		read := func(who client, org *organization) error {
			_, err := who.GetOrganization(t.Context(), &membershipv1.GetOrganizationRequest{OrganizationId: org.ID})
			return err
		}
		f := refused(t, read(bob.client, org), mfaRequired)
		require.Equal(t, "BeginTotp", f.Metadata["method"])
		require.NoError(t, read(bob.client, other))
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_MFA_REQUIRED, org.decides(t, bob, "org.read"))
		_, err = bob.CreateProject(t.Context(), &membershipv1.CreateProjectRequest{OrganizationId: org.ID, DisplayName: "P"})
		refused(t, err, mfaRequired)

		_, _, enrolled := enrol(t, over, bob.client)
		require.NoError(t, read(enrolled, org))
	})

	scenario(t, "R1 a password has fifteen characters, also of who has a second factor that is asked for", func(t *testing.T, over string) {
		var bob *person
		secured(t, over, rbac, func(org *organization) { bob = org.join(t, "member") })
		_, _, me := enrol(t, over, bob.client)
		const eight, fourteen, fifteen = "vqz4 kwj", "violet harbor ", "violet harbor q"
		for _, short := range []string{eight, fourteen} {
			_, err := me.ChangePassword(t.Context(), &identityv1.ChangePasswordRequest{CurrentPassword: password, Password: short})
			require.Equal(t, "TOO_SHORT", refused(t, err, errorv1.Reason_REASON_PASSWORD_REFUSED).Metadata["rule"])
			_, err = connect(over, "").SignUp(t.Context(), &identityv1.SignUpRequest{Email: unique("eve") + "@example.com", Password: short, DisplayName: "Eve"})
			require.Equal(t, "TOO_SHORT", refused(t, err, errorv1.Reason_REASON_PASSWORD_REFUSED).Metadata["rule"])
		}
		_, err := me.ChangePassword(t.Context(), &identityv1.ChangePasswordRequest{CurrentPassword: password, Password: fifteen})
		require.NoError(t, err)
		_, err = connect(over, "").RequestPasswordReset(t.Context(), &identityv1.RequestPasswordResetRequest{Email: bob.Email})
		require.NoError(t, err)
		link := mailLink(t, bob.Email, "/reset/")
		for _, short := range []string{eight, fourteen} {
			_, err = connect(over, "").ResetPassword(t.Context(), &identityv1.ResetPasswordRequest{Token: link, Password: short})
			require.Equal(t, "TOO_SHORT", refused(t, err, errorv1.Reason_REASON_PASSWORD_REFUSED).Metadata["rule"])
		}
		_, err = connect(over, "").ResetPassword(t.Context(), &identityv1.ResetPasswordRequest{Token: link, Password: password})
		require.NoError(t, err)
	})

	scenario(t, "R38 a session from before shows the factor, or stays outside", func(t *testing.T, over string) {
		var bob *person
		var old client
		org := secured(t, over, rbac, func(org *organization) {
			bob = org.join(t, "member")
			old = signIn(t, over, bob.Email).client
		})
		enrol(t, over, bob.client)
		_, err := old.GetOrganization(t.Context(), &membershipv1.GetOrganizationRequest{OrganizationId: org.ID})
		refused(t, err, mfaRequired)
	})

	scenario(t, "R38 a key of somebody without a second factor opens nothing there", func(t *testing.T, over string) {
		var bob *person
		var key client
		org := secured(t, over, rbac, func(org *organization) {
			bob = org.join(t, "admin")
			key = connect(over, apiKey(t, bob.client, "members.read").GetSecret())
			_, err := key.ListPeople(t.Context(), &membershipv1.ListPeopleRequest{OrganizationId: org.ID})
			require.NoError(t, err)
		})
		_, err := key.ListPeople(t.Context(), &membershipv1.ListPeopleRequest{OrganizationId: org.ID})
		refused(t, err, mfaRequired)
		_, _, enrolled := enrol(t, over, bob.client)
		fresh := connect(over, apiKey(t, enrolled, "members.read").GetSecret())
		_, err = fresh.ListPeople(t.Context(), &membershipv1.ListPeopleRequest{OrganizationId: org.ID})
		require.NoError(t, err)
	})

	scenario(t, "R35 R38 the last factor stays while an organization asks for one, and R37 a reset shuts the member out until there is another", func(t *testing.T, over string) {
		var phone app
		var bob client
		var member *person
		org := secured(t, over, rbac, func(org *organization) {
			member = org.join(t, "member")
			phone, _, bob = enrol(t, over, member.client)
		})
		_, err := bob.RemoveFactor(t.Context(), &identityv1.RemoveFactorRequest{FactorId: phone.id})
		f := refused(t, err, mfaRequired)
		require.Contains(t, f.Message, org.Name)
		_, err = org.owner.ResetMemberMfa(t.Context(), &membershipv1.ResetMemberMfaRequest{OrganizationId: org.ID, AccountId: member.ID})
		require.NoError(t, err)
		again := signIn(t, over, member.Email)
		_, err = again.GetOrganization(t.Context(), &membershipv1.GetOrganizationRequest{OrganizationId: org.ID})
		refused(t, err, mfaRequired)
		phone, _, bob = enrol(t, over, again.client)
		_, err = bob.GetOrganization(t.Context(), &membershipv1.GetOrganizationRequest{OrganizationId: org.ID})
		require.NoError(t, err)
		org.amend(t, `{"mfa_required": false}`)
		_, err = bob.RemoveFactor(t.Context(), &identityv1.RemoveFactorRequest{FactorId: phone.id})
		require.NoError(t, err)
	})

	scenario(t, "R38 nobody asks of others what they do not have, and a preview says whom it shuts out", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		org.join(t, "member")
		seen, err := org.owner.PreviewPolicy(t.Context(), &membershipv1.PreviewPolicyRequest{
			OrganizationId: org.ID, Policy: &membershipv1.OrganizationPolicy{MfaRequired: true}})
		refused(t, err, mfaRequired)
		require.Nil(t, seen)
		_, err = org.owner.UpdatePolicy(t.Context(), org.amendment(t, `{"mfa_required": true}`))
		refused(t, err, mfaRequired)
		_, _, org.owner.client = enrol(t, over, org.owner.client)
		eventually(t, func() bool {
			seen, err = org.owner.PreviewPolicy(t.Context(), &membershipv1.PreviewPolicyRequest{
				OrganizationId: org.ID, Policy: &membershipv1.OrganizationPolicy{MfaRequired: true}})
			require.NoError(t, err)
			require.Len(t, seen.GetEffects(), 1)
			require.Equal(t, "policy.mfa_required", seen.GetEffects()[0].GetSubject())
			return seen.GetEffects()[0].GetCount() == 1 // when it was heard that the owner has one
		}, "the preview counts the member alone")
		org.amend(t, `{"mfa_required": true}`)
		require.True(t, org.policy(t).GetMfaRequired())
	})

	scenario(t, "S2-39 RB19 a member's details say which second factors there are, to who may see activity", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		bob := org.join(t, "member")
		require.False(t, org.member(t, org.owner, bob.ID).GetMfa().GetEnabled())
		_, _, bob.client = enrol(t, over, bob.client)
		eventually(t, func() bool { return org.member(t, org.owner, bob.ID).GetMfa().GetEnabled() }, "the factor is heard of")
		require.Equal(t, []string{"TOTP"}, org.member(t, org.owner, bob.ID).GetMfa().GetMethods())
		require.Nil(t, org.member(t, bob, bob.ID).GetMfa())
	})
}
