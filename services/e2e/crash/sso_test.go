package crash

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/testkit"
)

// The operations on identity providers, an organization's own and the deployment's.
func init() {
	operations = append(operations,
		operation{
			name:    "add an identity provider",
			arrange: organization(membershipv1.Preset_PRESET_PIPELINE),
			act: func(ctx context.Context, s *scene) (proto.Message, error) {
				return withoutPlaces(s.owner.CreateIdentityProvider(ctx, &membershipv1.CreateIdentityProviderRequest{
					OrganizationId: s.org, DisplayName: "Works " + s.tag, Issuer: "https://login.example", ClientId: "roster", ClientSecret: testkit.ClientSecret,
					Join: true, RequestId: s.request()}))
			},
			brief: []string{"membership call.after PrepareProvider", "membership call.after SetProvider"},
		},
		operation{
			name: "disable an identity provider",
			arrange: func(t *testing.T, s *scene) {
				ownProvider(t, s)
				_, err := comeBack(t.Context(), s)
				require.NoError(t, err)
			},
			act: func(ctx context.Context, s *scene) (proto.Message, error) {
				return withoutPlaces(s.owner.UpdateIdentityProvider(ctx, &membershipv1.UpdateIdentityProviderRequest{
					OrganizationId: s.org, ProviderId: s.provider, Enabled: proto.Bool(false), RequestId: s.request()}))
			},
			brief: []string{"membership call.before SetProvider", "identity saga.before_step provided"},
		},
		operation{
			name: "delete an identity provider",
			arrange: func(t *testing.T, s *scene) {
				ownProvider(t, s)
				_, err := comeBack(t.Context(), s)
				require.NoError(t, err)
			},
			act: func(ctx context.Context, s *scene) (proto.Message, error) {
				return s.owner.DeleteIdentityProvider(ctx, &membershipv1.DeleteIdentityProviderRequest{
					OrganizationId: s.org, ProviderId: s.provider, RequestId: s.request()})
			},
		},
		operation{
			name:    "join through an identity provider",
			arrange: ownProvider,
			act:     comeBack,
			done:    errorv1.Reason_REASON_FEDERATED_SIGN_IN_FAILED,
			repeats: sessions,
			brief:   []string{"membership consumer.after_handle account.signed_in"},
		},
		operation{
			name: "add an identity provider of the deployment",
			arrange: func(t *testing.T, s *scene) {
				t.Cleanup(func() { // a deployment has few
					all, _ := s.operator.ListOperatorProviders(context.Background(), &identityv1.ListOperatorProvidersRequest{})
					for _, one := range all.GetProviders() {
						if one.GetDisplayName() == "Works "+s.tag {
							_, _ = s.operator.DeleteOperatorProvider(context.Background(), &identityv1.DeleteOperatorProviderRequest{ProviderId: one.GetId()})
						}
					}
				})
			},
			act: func(ctx context.Context, s *scene) (proto.Message, error) {
				answer, err := s.operator.CreateOperatorProvider(ctx, &identityv1.CreateOperatorProviderRequest{
					DisplayName: "Works " + s.tag, Issuer: "https://login.example", ClientId: "roster", RequestId: s.request()})
				if err == nil {
					answer.Provider.RedirectUri = ""
				}
				return answer, err
			},
		},
		operation{
			name: "disable an identity provider of the deployment",
			arrange: func(t *testing.T, s *scene) {
				sentBack(t, s)
				_, err := comeBack(t.Context(), s)
				require.NoError(t, err)
			},
			act: func(ctx context.Context, s *scene) (proto.Message, error) {
				answer, err := s.operator.UpdateOperatorProvider(ctx, &identityv1.UpdateOperatorProviderRequest{
					ProviderId: s.provider, Enabled: proto.Bool(false), RequestId: s.request()})
				if err == nil {
					answer.Provider.Issuer, answer.Provider.RedirectUri = "", ""
				}
				return answer, err
			},
		},
		operation{
			name:    "delete an identity provider of the deployment",
			arrange: sentBack,
			act: func(ctx context.Context, s *scene) (proto.Message, error) {
				return s.operator.DeleteOperatorProvider(ctx, &identityv1.DeleteOperatorProviderRequest{ProviderId: s.provider, RequestId: s.request()})
			},
		},
	)
}

// ownProvider is a browser that an organization's identity provider, which vouches for a stranger of the organization's domain, has sent
// back.
func ownProvider(t *testing.T, s *scene) {
	t.Helper()
	organization(membershipv1.Preset_PRESET_PIPELINE)(t, s)
	added, err := s.owner.AddDomain(t.Context(), &membershipv1.AddDomainRequest{OrganizationId: s.org, Domain: s.domain()})
	require.NoError(t, err)
	s.dns.Set(added.GetDomain().GetRecordName(), added.GetDomain().GetRecordValue())
	_, err = verifyDomain(t.Context(), s)
	require.NoError(t, err)
	s.email = s.tag + "@" + s.domain()
	there := testkit.NewIDP(t).Says("sub", s.email).Says("email", s.email)
	made, err := s.owner.CreateIdentityProvider(t.Context(), &membershipv1.CreateIdentityProviderRequest{
		OrganizationId: s.org, DisplayName: "Works", Issuer: there.URL, ClientId: testkit.ClientID, ClientSecret: testkit.ClientSecret, Join: true})
	require.NoError(t, err)
	s.sendBack(t, there, made.GetProvider().GetId())
}

// sendBack goes to an identity provider with a browser, and is sent back: token is what the browser has kept, code where it is sent to.
func (s *scene) sendBack(t *testing.T, there *testkit.IDP, provider string) {
	t.Helper()
	s.provider = provider
	at := s.URL + "/signin/oidc/" + provider
	status, begun, err := browse(t.Context(), at, "")
	require.NoError(t, err)
	require.Equal(t, http.StatusSeeOther, status)
	sent, code := there.Visit(begun.Get("Location"))
	s.token, _, _ = strings.Cut(begun.Get("Set-Cookie"), ";")
	s.code = at + "/callback?" + url.Values{"state": {sent.Get("state")}, "code": {code}, "iss": {there.URL}}.Encode()
}

// withoutPlaces is an answer without where things are, which is elsewhere in every scene.
func withoutPlaces[R interface {
	proto.Message
	GetProvider() *membershipv1.OrganizationProvider
}](answer R, err error) (proto.Message, error) {
	if err == nil {
		answer.GetProvider().Issuer, answer.GetProvider().RedirectUri = "", ""
	}
	return answer, err
}
