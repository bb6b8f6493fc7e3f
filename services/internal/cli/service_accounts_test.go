package cli

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

func TestOperatorServiceAccounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	gives(w, &identityv1.ClaimOperatorRequest{}, &identityv1.ClaimOperatorResponse{OperatorId: "opr_1", ApiKey: "rok_key"})
	w.ok("operator", "claim", "token")
	made := &identityv1.ServiceAccount{Id: "sva_1", DisplayName: "Billing page", Scopes: []string{"access.check"}}
	key := &identityv1.ApiKey{Id: "key_1", DisplayName: "Blue", Scopes: []string{"access.check"}, LastFour: "wxyz", LastUseTime: away(-20 * 60e9), ExpireTime: away(80 * day)}

	gives(w, &identityv1.CreateServiceAccountRequest{}, &identityv1.CreateServiceAccountResponse{ServiceAccount: made})
	require.Contains(t, w.ok("operator", "service-accounts", "create", "Billing page", "--scope", "access.check"), "create-key sva_1")
	require.Equal(t, []string{"access.check"}, w.last().request.(*identityv1.CreateServiceAccountRequest).GetScopes())
	require.Contains(t, w.run("operator", "service-accounts", "create", "Billing page").err, "--scope is missing")

	gives(w, &identityv1.CreateServiceAccountKeyRequest{}, &identityv1.CreateServiceAccountKeyResponse{ApiKey: key, Secret: "rsk_secret"})
	require.Contains(t, w.ok("operator", "service-accounts", "create-key", "sva_1", "Blue", "--expires-in", "720h"), "rsk_secret")
	asked := w.last().request.(*identityv1.CreateServiceAccountKeyRequest)
	require.Empty(t, asked.GetScopes())
	require.Equal(t, noon.Add(720*time.Hour).Unix(), asked.GetExpireTime().GetSeconds())
	require.NotContains(t, w.keptFile(), "rsk_secret")

	gives(w, &identityv1.ListServiceAccountsRequest{}, &identityv1.ListServiceAccountsResponse{ServiceAccounts: []*identityv1.ServiceAccount{made}})
	require.Equal(t, "ID     NAME          SCOPES\nsva_1  Billing page  access.check\n", w.ok("operator", "service-accounts", "list"))
	gives(w, &identityv1.GetServiceAccountRequest{}, &identityv1.GetServiceAccountResponse{ServiceAccount: made})
	gives(w, &identityv1.ListServiceAccountKeysRequest{}, &identityv1.ListServiceAccountKeysResponse{ApiKeys: []*identityv1.ApiKey{key}})
	require.Contains(t, w.ok("operator", "service-accounts", "show", "sva_1"), "key_1  Blue  rsk_...wxyz  20m ago")

	gives(w, &identityv1.DeleteServiceAccountKeyRequest{}, &identityv1.DeleteServiceAccountKeyResponse{})
	require.Equal(t, "Key key_1 has ended.\n", w.ok("operator", "service-accounts", "delete-key", "sva_1", "key_1"))
	gives(w, &identityv1.DeleteServiceAccountRequest{}, &identityv1.DeleteServiceAccountResponse{})
	require.Contains(t, w.ok("operator", "service-accounts", "delete", "sva_1", "--yes"), "sva_1 is gone")
}
