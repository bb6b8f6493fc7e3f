package cli

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

func TestOperatorPermissions(t *testing.T) {
	t.Parallel()
	file := func(t *testing.T, text string) string {
		name := filepath.Join(t.TempDir(), "permissions.yaml")
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
		return name
	}

	t.Run("AFileIsAppliedAsItIs", func(t *testing.T) {
		t.Parallel()
		w := signedIn(t)
		w.env["ROSTER_TOKEN"] = "key"
		gives(w, &membershipv1.ApplyPermissionsRequest{}, &membershipv1.ApplyPermissionsResponse{Added: []string{"app:crm.read"}, Retired: []string{"app:crm.old", "app:crm.older"}})
		for _, text := range []string{`
permissions:
  - name: app:crm.read
    display_name: Read customers
    held_by: [member, viewer]
  - name: app:crm.wipe
    display_name: Wipe customers
    dangerous: true
`, `{"permissions": [{"name": "app:crm.read", "displayName": "Read customers", "heldBy": ["member", "viewer"]},
			{"name": "app:crm.wipe", "displayName": "Wipe customers", "dangerous": true}]}`} {
			require.Equal(t, "Added:    app:crm.read\nRetired:  app:crm.old, app:crm.older\n", w.ok("operator", "permissions", "apply", file(t, text), "--dry-run"))
			asked := w.last().request.(*membershipv1.ApplyPermissionsRequest)
			require.True(t, asked.GetValidateOnly())
			require.Len(t, asked.GetPermissions(), 2)
			require.Equal(t, "Read customers", asked.GetPermissions()[0].GetDisplayName())
			require.Equal(t, []string{"member", "viewer"}, asked.GetPermissions()[0].GetHeldBy())
			require.True(t, asked.GetPermissions()[1].GetDangerous())
		}
		gives(w, &membershipv1.ApplyPermissionsRequest{}, &membershipv1.ApplyPermissionsResponse{})
		require.Equal(t, "Nothing differs.\n", w.ok("operator", "permissions", "apply", file(t, "permissions: []")))
	})

	t.Run("AFileWithAMistakeIsNotSent", func(t *testing.T) {
		t.Parallel()
		w := signedIn(t)
		w.env["ROSTER_TOKEN"] = "key"
		for _, text := range []string{"permission: []", "permissions: [{name: app:a.b, dangerus: true}]", "permissions: [{name: [x]}]", "- app:a.b", "permissions:", "{}", ""} {
			require.Equal(t, exitUsage, w.run("operator", "permissions", "apply", file(t, text)).code, text)
		}
		require.Equal(t, exitUsage, w.run("operator", "permissions", "apply", filepath.Join(t.TempDir(), "absent")).code)
		require.Empty(t, w.requests())
	})

	t.Run("TheListShowsWhatIsRetired", func(t *testing.T) {
		t.Parallel()
		w := signedIn(t)
		w.env["ROSTER_TOKEN"] = "key"
		gives(w, &membershipv1.ListRegisteredPermissionsRequest{}, &membershipv1.ListRegisteredPermissionsResponse{Permissions: []*membershipv1.RegisteredPermission{
			{Name: "app:crm.old", DisplayName: "Old", Retired: true}, {Name: "app:crm.read", DisplayName: "Read customers", HeldBy: []string{"member", "viewer"}},
			{Name: "app:crm.wipe", DisplayName: "Wipe customers", Dangerous: true},
		}})
		require.Equal(t, `PERMISSION    NAME            HELD BY         NOTE
app:crm.old   Old             -               retired
app:crm.read  Read customers  member, viewer  
app:crm.wipe  Wipe customers  -               widens power
`, w.ok("operator", "permissions", "list"))
	})
}
