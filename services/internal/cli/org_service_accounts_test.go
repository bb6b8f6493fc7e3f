package cli

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

func TestServiceAccounts(t *testing.T) {
	t.Parallel()
	w := signedIn(t)
	made := &membershipv1.OrganizationServiceAccount{Id: "sva_1", DisplayName: "Deploy", Permissions: []string{"members.read"}, CreatorAccountId: "acc_1", CreatorLeft: true,
		LastUseTime: away(-20 * 60e9)}
	key := &membershipv1.OrganizationServiceAccountKey{Id: "key_1", DisplayName: "Blue", Scopes: []string{"members.read"}, LastFour: "wxyz", ExpireTime: away(80 * day)}

	gives(w, &membershipv1.CreateOrganizationServiceAccountRequest{}, &membershipv1.CreateOrganizationServiceAccountResponse{ServiceAccount: made})
	require.Contains(t, w.ok("service-accounts", "create", "Deploy", "--permission", "members.read"), "keys create sva_1")
	require.Equal(t, []string{"members.read"}, w.last().request.(*membershipv1.CreateOrganizationServiceAccountRequest).GetPermissions())
	require.Contains(t, w.run("service-accounts", "create", "Deploy").err, "--permission is missing")
	gives(w, &membershipv1.ListOrganizationServiceAccountsRequest{}, &membershipv1.ListOrganizationServiceAccountsResponse{
		ServiceAccounts: []*membershipv1.OrganizationServiceAccount{made}})
	require.Contains(t, w.ok("service-accounts", "list"), "sva_1  Deploy  20m ago    acc_1 (has left)  members.read")

	gives(w, &membershipv1.UpdateOrganizationServiceAccountRequest{}, &membershipv1.UpdateOrganizationServiceAccountResponse{
		ServiceAccount: &membershipv1.OrganizationServiceAccount{Id: "sva_1", DisplayName: "Deploy", Disabled: true}})
	require.Contains(t, w.ok("service-accounts", "update", "sva_1", "--disable", "--permission", "org.read"), "its keys are refused")
	changed := w.last().request.(*membershipv1.UpdateOrganizationServiceAccountRequest)
	require.Equal(t, []string{"disabled", "permissions"}, changed.GetUpdateMask().GetPaths())
	require.True(t, changed.GetDisabled())
	w.ok("service-accounts", "update", "sva_1", "--enable")
	require.False(t, w.last().request.(*membershipv1.UpdateOrganizationServiceAccountRequest).GetDisabled())
	require.Contains(t, w.run("service-accounts", "update", "sva_1").err, "say what to change")

	gives(w, &membershipv1.CreateOrganizationServiceAccountKeyRequest{}, &membershipv1.CreateOrganizationServiceAccountKeyResponse{ApiKey: key, Secret: "rsok_secret"})
	require.Contains(t, w.ok("service-accounts", "keys", "create", "sva_1", "Blue", "--expires-in", "720h"), "rsok_secret")
	asked := w.last().request.(*membershipv1.CreateOrganizationServiceAccountKeyRequest)
	require.Empty(t, asked.GetScopes())
	require.Equal(t, noon.Add(720*time.Hour).Unix(), asked.GetExpireTime().GetSeconds())
	gives(w, &membershipv1.ListOrganizationServiceAccountKeysRequest{}, &membershipv1.ListOrganizationServiceAccountKeysResponse{
		ApiKeys: []*membershipv1.OrganizationServiceAccountKey{key}})
	require.Contains(t, w.ok("service-accounts", "keys", "list", "sva_1"), "key_1  Blue  rsok_...wxyz")
	gives(w, &membershipv1.DeleteOrganizationServiceAccountKeyRequest{}, &membershipv1.DeleteOrganizationServiceAccountKeyResponse{})
	require.Equal(t, "Key key_1 has ended.\n", w.ok("service-accounts", "keys", "delete", "sva_1", "key_1"))
	gives(w, &membershipv1.DeleteOrganizationServiceAccountRequest{}, &membershipv1.DeleteOrganizationServiceAccountResponse{})
	require.Contains(t, w.ok("service-accounts", "delete", "sva_1", "--yes"), "sva_1 is gone")
}
