package cli

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

func TestSSO(t *testing.T) {
	t.Parallel()
	w := signedIn(t)
	one := &membershipv1.OrganizationProvider{Id: "idp_1", DisplayName: "Works", Issuer: "https://login.works.example", ClientId: "roster", Enabled: true, Join: true,
		ClientSecretSet: true, RedirectUri: "https://roster.example/signin/oidc/idp_1/callback"}
	gives(w, &membershipv1.CreateIdentityProviderRequest{}, &membershipv1.CreateIdentityProviderResponse{Provider: one})
	w.in = "the-secret\n"
	shown := w.ok("sso", "create", "Works", "--issuer", "https://login.works.example", "--client", "roster", "--join", "--secret-stdin")
	require.Contains(t, shown, "/signin/oidc/idp_1/callback")
	require.NotContains(t, shown, "the-secret")
	created := w.last().request.(*membershipv1.CreateIdentityProviderRequest)
	require.Equal(t, "the-secret", created.GetClientSecret())
	require.True(t, created.GetJoin())
	require.Contains(t, w.run("sso", "create", "Works").err, "--issuer and --client are needed")

	file := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(file, []byte("from-a-file\r\nand more"), 0o600))
	gives(w, &membershipv1.UpdateIdentityProviderRequest{}, &membershipv1.UpdateIdentityProviderResponse{Provider: one})
	update := func(args ...string) *membershipv1.UpdateIdentityProviderRequest {
		w.ok(append([]string{"sso", "update", "idp_1"}, args...)...)
		return w.last().request.(*membershipv1.UpdateIdentityProviderRequest)
	}
	require.Equal(t, "from-a-file", update("--secret-file", file).GetClientSecret())
	plain := update("--name", "More")
	require.Equal(t, "More", plain.GetDisplayName())
	require.True(t, plain.ClientSecret == nil && plain.Enabled == nil && plain.Join == nil && plain.ClientId == nil, "what is not given stays")
	none := update("--no-secret", "--disable", "--join=false")
	require.True(t, none.ClientSecret != nil && none.GetClientSecret() == "" && none.Enabled != nil && !none.GetEnabled() && none.Join != nil && !none.GetJoin())
	require.Contains(t, w.run("sso", "update", "idp_1", "--secret-file", file+"x").err, "no such file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.Contains(t, w.run("sso", "update", "idp_1", "--secret-file", file).err, "holds no secret")

	gives(w, &membershipv1.ListIdentityProvidersRequest{}, &membershipv1.ListIdentityProvidersResponse{Providers: []*membershipv1.OrganizationProvider{one}})
	require.Contains(t, w.ok("sso", "list"), "who signs in becomes a member")
	gives(w, &membershipv1.ListIdentityProvidersRequest{}, &membershipv1.ListIdentityProvidersResponse{})
	require.Contains(t, w.ok("sso", "list"), "No identity providers.")
	gives(w, &membershipv1.DeleteIdentityProviderRequest{}, &membershipv1.DeleteIdentityProviderResponse{})
	require.Equal(t, "idp_1 is gone.\n", w.ok("sso", "delete", "idp_1", "--yes"))
}

func TestAccountProviders(t *testing.T) {
	t.Parallel()
	w := signedIn(t)
	gives(w, &identityv1.ListFederatedIdentitiesRequest{}, &identityv1.ListFederatedIdentitiesResponse{FederatedIdentities: []*identityv1.FederatedIdentity{
		{ProviderId: "idp_1", ProviderDisplayName: "Works", Subject: "ada-there", CreateTime: away(-20 * 60e9)}}})
	require.Contains(t, w.ok("account", "providers", "list"), "idp_1     Works  ada-there      20m ago")
	gives(w, &identityv1.ListFederatedIdentitiesRequest{}, &identityv1.ListFederatedIdentitiesResponse{})
	require.Contains(t, w.ok("account", "providers", "list"), "under /security")
	gives(w, &identityv1.UnlinkProviderRequest{}, &identityv1.UnlinkProviderResponse{})
	require.Equal(t, "idp_1 does not sign you in any more.\n", w.ok("account", "providers", "unlink", "idp_1", "--yes"))
	require.Equal(t, "idp_1", w.last().request.(*identityv1.UnlinkProviderRequest).GetProviderId())
}
