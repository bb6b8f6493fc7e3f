package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

// TestRegisteredPermissions runs alone: what it registers counts in every organization, and it leaves nothing registered.
func TestRegisteredPermissions(t *testing.T) {
	register := func(t *testing.T, over string, file ...*membershipv1.RegisteredPermission) *membershipv1.ApplyPermissionsResponse {
		t.Helper()
		answer, err := operator(over).ApplyPermissions(t.Context(), &membershipv1.ApplyPermissionsRequest{Permissions: file})
		require.NoError(t, err)
		return answer
	}
	read := &membershipv1.RegisteredPermission{Name: "app:crm.read", DisplayName: "Read customers", HeldBy: []string{"member", "viewer"}}
	wipe := &membershipv1.RegisteredPermission{Name: "app:crm.wipe", DisplayName: "Wipe customers", Dangerous: true}
	const nothing = "app:crm.fly"

	for name, prove := range map[string]func(t *testing.T, over string){
		"RB1 a product's permission exists once it is registered, for the next question": func(t *testing.T, over string) {
			org := create(t, over, pipeline)
			viewer, developer := org.join(t, "viewer"), org.join(t, "developer")
			ask := func(permission string) error {
				_, err := viewer.CheckAccess(t.Context(), &membershipv1.CheckAccessRequest{OrganizationId: org.ID, Permission: permission})
				return err
			}
			refused(t, ask(nothing), errorv1.Reason_REASON_VALIDATION_FAILED)
			register(t, over, read, wipe)
			require.NoError(t, ask("app:crm.read"))
			refused(t, ask(nothing), errorv1.Reason_REASON_VALIDATION_FAILED)
			require.True(t, org.can(t, viewer, "app:crm.read"))
			require.True(t, org.can(t, org.owner, "app:crm.wipe"))
			require.False(t, org.can(t, developer, "app:crm.read"), "it is not registered for developers")
			catalogue, err := viewer.ListPermissions(t.Context(), &membershipv1.ListPermissionsRequest{})
			require.NoError(t, err)
			var dangerous []string
			for _, p := range catalogue.GetPermissions() {
				if p.GetDisplayName() != "" && p.GetDangerous() {
					dangerous = append(dangerous, p.GetName())
				}
			}
			require.Equal(t, []string{"app:crm.wipe"}, dangerous)

			register(t, over, wipe)
			require.False(t, org.can(t, viewer, "app:crm.read"), "it is withdrawn")
			require.False(t, org.can(t, org.owner, "app:crm.read"))
			_, err = operator(over).ApplyPermissions(t.Context(), &membershipv1.ApplyPermissionsRequest{
				Permissions: []*membershipv1.RegisteredPermission{{Name: "org.delete", DisplayName: "x"}}})
			refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
			_, err = org.owner.ApplyPermissions(t.Context(), &membershipv1.ApplyPermissionsRequest{})
			refused(t, err, errorv1.Reason_REASON_CALLER_REFUSED)
			require.True(t, org.can(t, org.owner, "app:crm.wipe"), "refusals change nothing")
		},
		"RB2 a product's permission is given by who holds it": func(t *testing.T, over string) {
			register(t, over, read, wipe)
			org := create(t, over, rbac)
			org.amend(t, `{"custom_roles": true}`)
			helper := org.shape(t, "Helper", "app:crm.read", "members.read", "roles.create", "roles.read", "roles.update")
			maker := org.join(t, helper.GetKey())
			try := func(permission string) error {
				_, err := maker.CreateRole(t.Context(), &membershipv1.CreateRoleRequest{
					OrganizationId: org.ID, DisplayName: unique("role"), Permissions: []string{permission}})
				return err
			}
			refused(t, try("app:crm.wipe"), errorv1.Reason_REASON_PERMISSION_MISSING)
			refused(t, try(nothing), errorv1.Reason_REASON_VALIDATION_FAILED)
			require.NoError(t, try("app:crm.read"))
			register(t, over, wipe)
			refused(t, try("app:crm.read"), errorv1.Reason_REASON_VALIDATION_FAILED)
			require.False(t, org.can(t, maker, "app:crm.read"), "a role of one's own loses it too")
			require.True(t, org.can(t, maker, "members.read"))
		},
		"RB14 who joins through a domain gets what is registered for members, and nothing dangerous": func(t *testing.T, over string) {
			_, err := operator(over).ApplyPermissions(t.Context(), &membershipv1.ApplyPermissionsRequest{
				Permissions: []*membershipv1.RegisteredPermission{{Name: "app:crm.wipe", DisplayName: "x", Dangerous: true, HeldBy: []string{"member"}}}})
			refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
			register(t, over, read, wipe)
			org := create(t, over, portal)
			domain := org.domain(t)
			joined := signUpAs(t, over, unique("joins")+"@"+domain)
			eventually(t, func() bool { return org.can(t, joined, "app:crm.read") }, "they have joined")
			require.False(t, org.can(t, joined, "app:crm.wipe"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, over := range transports {
				t.Run(over, func(t *testing.T) { prove(t, over) })
			}
		})
	}
	register(t, transports[0])
}
