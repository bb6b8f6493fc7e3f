package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
	accessv1 "github.com/rosterhq/roster/pkg/gen/roster/access/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

// apiKey makes a key for somebody.
func apiKey(t *testing.T, of client, scopes ...string) *identityv1.CreateApiKeyResponse {
	t.Helper()
	made, err := of.CreateApiKey(t.Context(), &identityv1.CreateApiKeyRequest{DisplayName: "Deploy", Scopes: scopes})
	require.NoError(t, err)
	return made
}

// TestKeys is about keys of people's programs.
func TestKeys(t *testing.T) {
	t.Parallel()

	scenario(t, "R53 a key does what it is for, until it is deleted, and nothing that looks after its account", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		colleague := org.join(t, "developer")
		made := apiKey(t, org.owner.client, "members.read", "members.disable")
		key := connect(over, made.GetSecret())
		listed, err := key.ListPeople(t.Context(), &membershipv1.ListPeopleRequest{OrganizationId: org.ID})
		require.NoError(t, err)
		require.Len(t, listed.GetPeople(), 2)
		_, err = key.DisableMember(t.Context(), &membershipv1.DisableMemberRequest{OrganizationId: org.ID, AccountId: colleague.ID})
		require.NoError(t, err)
		_, err = key.EnableMember(t.Context(), &membershipv1.EnableMemberRequest{OrganizationId: org.ID, AccountId: colleague.ID})
		require.Equal(t, "members.enable", refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING).Metadata["permission"])

		unused := wire(over, apiKey(t, org.owner.client, "org.read").GetSecret())
		asked := 0
		for _, m := range methods() { // whatever is not for it, in every service
			if !m.over(over) || m.rule.GetCaller() == accessv1.Rule_CALLER_SERVICE || m.rule.GetKeys() || m.rule.GetPermission() == "org.read" {
				continue
			}
			want := errorv1.Reason_REASON_CALLER_REFUSED
			if m.rule.GetPermission() != "" {
				want = errorv1.Reason_REASON_PERMISSION_MISSING
			}
			fields := map[string]string{"domain": "x.example"}
			for _, name := range m.idFields() {
				fields[name] = "x"
			}
			fields["organization_id"] = org.ID
			_, err := m.call(t, unused, fields)
			refused(t, err, want)
			asked++
		}
		require.Greater(t, asked, 50)

		_, err = org.owner.DeleteApiKey(t.Context(), &identityv1.DeleteApiKeyRequest{ApiKeyId: made.GetApiKey().GetId()})
		require.NoError(t, err)
		kept, err := org.owner.ListApiKeys(t.Context(), &identityv1.ListApiKeysRequest{})
		require.NoError(t, err)
		require.Len(t, kept.GetApiKeys(), 1)
		eventually(t, func() bool {
			_, err := key.ListPeople(t.Context(), &membershipv1.ListPeopleRequest{OrganizationId: org.ID})
			return fault.ReasonOf(err) == errorv1.Reason_REASON_UNAUTHENTICATED
		}, "a key that was used everywhere ends everywhere, long before what is remembered of it is too old")
	})

	scenario(t, "R12 R43 R44 keys end with a temporary password, a reset, and disabling, everywhere", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		for name, end := range map[string]func(*person){
			"a temporary password": func(who *person) {
				_, err := org.owner.ResetMemberPassword(t.Context(), &membershipv1.ResetMemberPasswordRequest{
					OrganizationId: org.ID, AccountId: who.ID, Method: membershipv1.OrganizationPolicy_RESET_TEMP_PASSWORD})
				require.NoError(t, err)
			},
			"a reset": func(who *person) {
				_, err := who.RequestPasswordReset(t.Context(), &identityv1.RequestPasswordResetRequest{Email: who.Email})
				require.NoError(t, err)
				_, err = who.ResetPassword(t.Context(), &identityv1.ResetPasswordRequest{Token: mailLink(t, who.Email, "/reset/"), Password: newPassword})
				require.NoError(t, err)
			},
			"disabling": func(who *person) { org.disable(t, who) },
		} {
			who := org.join(t, "admin")
			key := connect(over, apiKey(t, who.client, "members.read").GetSecret())
			reads := func() error {
				_, err := key.ListPeople(t.Context(), &membershipv1.ListPeopleRequest{OrganizationId: org.ID})
				return err
			}
			require.NoError(t, reads(), name)
			end(who)
			eventually(t, func() bool { return fault.ReasonOf(reads()) == errorv1.Reason_REASON_UNAUTHENTICATED }, name)
		}
	})

	scenario(t, "RB15 a key is for permissions that there are, and the refusal names the one that is none", func(t *testing.T, over string) {
		who := signUp(t, over)
		_, err := who.CreateApiKey(t.Context(), &identityv1.CreateApiKeyRequest{DisplayName: "Deploy", Scopes: []string{"org.read", "app:none.such"}})
		field := refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED).Fields[0]
		require.Equal(t, "scopes", field.Name)
		require.Contains(t, field.Reason, `"app:none.such"`)
		left, err := who.ListApiKeys(t.Context(), &identityv1.ListApiKeysRequest{})
		require.NoError(t, err)
		require.Empty(t, left.GetApiKeys())
	})

	scenario(t, "RB15 a key is what its scopes and its owner's rights have in common, now", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		admin, colleague := org.join(t, "admin"), org.join(t, "viewer")
		key := connect(over, apiKey(t, admin.client, "members.read", "members.assign_role", "invitations.create").GetSecret())

		held, err := key.ListMyPermissions(t.Context(), &membershipv1.ListMyPermissionsRequest{OrganizationId: org.ID})
		require.NoError(t, err)
		var names []string
		for _, one := range held.GetPermissions() {
			names = append(names, one.GetPermission())
		}
		require.Equal(t, []string{"invitations.create", "members.assign_role", "members.read"}, names)
		can := func(permission string) bool {
			answer, err := key.CheckAccess(t.Context(), &membershipv1.CheckAccessRequest{OrganizationId: org.ID, Permission: permission})
			require.NoError(t, err)
			return answer.GetAllowed()
		}
		require.True(t, can("members.read"))
		require.False(t, can("org.read"), "the owner of the key may, and the key is not for it")

		// What it gives, it must be for: nobody gets more by it than it has.
		change := func() error {
			_, err := key.ChangeMemberRole(t.Context(), &membershipv1.ChangeMemberRoleRequest{OrganizationId: org.ID, AccountId: colleague.ID, Role: "developer"})
			return err
		}
		refused(t, change(), errorv1.Reason_REASON_PERMISSION_MISSING)
		_, err = key.CreateInvitation(t.Context(), &invitationv1.CreateInvitationRequest{
			OrganizationId: org.ID, Email: unique("new") + "@example.com", DisplayName: "New", Role: "developer"})
		refused(t, err, errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE)

		// It follows its owner, into a role whose people have no keys here, too.
		demote := func(role string) {
			_, err := org.owner.ChangeMemberRole(t.Context(), &membershipv1.ChangeMemberRoleRequest{OrganizationId: org.ID, AccountId: admin.ID, Role: role})
			require.NoError(t, err)
		}
		demote("developer")
		require.False(t, can("members.assign_role"))
		refused(t, change(), errorv1.Reason_REASON_PERMISSION_MISSING)
		require.True(t, can("members.read"))
		demote("viewer")
		require.False(t, can("members.read"), "a viewer may, and a viewer's key may not")
		_, err = key.ListPeople(t.Context(), &membershipv1.ListPeopleRequest{OrganizationId: org.ID})
		require.Equal(t, "api_keys.create_own", refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING).Metadata["permission"])
		_, err = admin.ListPeople(t.Context(), &membershipv1.ListPeopleRequest{OrganizationId: org.ID})
		require.NoError(t, err)
		gone := []errorv1.Reason{ // identity signs nobody in whose only organization has disabled them
			errorv1.Reason_REASON_UNAUTHENTICATED, errorv1.Reason_REASON_MEMBER_DISABLED, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND}
		org.disable(t, admin)
		_, err = key.ListPeople(t.Context(), &membershipv1.ListPeopleRequest{OrganizationId: org.ID})
		require.Contains(t, gone, fault.ReasonOf(err))
		org.remove(t, admin)
		_, err = key.ListPeople(t.Context(), &membershipv1.ListPeopleRequest{OrganizationId: org.ID})
		require.Contains(t, gone, fault.ReasonOf(err))
	})
}
