package identity

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/credential"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/secret"
)

func TestKeysOfOrganizations(t *testing.T) {
	t.Parallel()
	resolve := func(h *harness, text string, cookie bool) (string, error) {
		answer, err := h.credential.ResolveCredential(h.Context(), &identityv1.ResolveCredentialRequest{Secret: text, Cookie: cookie, Audience: "membership"})
		return answer.GetToken(), err
	}

	t.Run("R48 Membership says whose a key is, and the token names the organization", func(t *testing.T) {
		t.Parallel()
		h, org := start(t), id.NewOrganization()
		key := secret.New(secret.OrganizationKey, org)
		program, apiKey := id.NewServiceAccount(), id.NewAPIKey()
		h.programs.answer = &membershipv1.ResolveOrganizationKeyResponse{ServiceAccountId: program.String(), ApiKeyId: apiKey.String(),
			Scopes: []string{"members.read"}, ExpireTime: timestamppb.New(time.Now().Add(time.Hour))}
		token, err := resolve(h, key.Text(), false)
		require.NoError(t, err)
		claims, err := credential.NewVerifier("membership", credential.KeysOf(h.credential), time.Now).Verify(t.Context(), token)
		require.NoError(t, err)
		require.Equal(t, org, claims.Organization)
		require.Equal(t, program, claims.ServiceAccount)
		require.Equal(t, apiKey, claims.Key)
		require.Equal(t, []string{"members.read"}, claims.Scopes)
		require.True(t, claims.Account.IsZero())
		require.Equal(t, org.String(), h.programs.asked[0].GetOrganizationId())
		require.Equal(t, key.Hash, h.programs.asked[0].GetSecretHash())

		_, err = resolve(h, key.Text(), true)
		requireReason(t, errorv1.Reason_REASON_UNAUTHENTICATED, err)
		require.Len(t, h.programs.asked, 1, "a cookie is no key")
	})
	t.Run("R51 A service of the platform learns whose a key is, and ends it, and hears of an outage", func(t *testing.T) {
		t.Parallel()
		h, org := start(t), id.NewOrganization()
		operator := h.operator()
		of := h.serviceAccount(operator, "sessions.introspect")
		service := h.serviceKey(operator, of).GetSecret()
		key := secret.New(secret.OrganizationKey, org)
		made, expires := timestamppb.New(time.Now().Add(-time.Hour)), timestamppb.New(time.Now().Add(time.Hour))
		h.programs.answer = &membershipv1.ResolveOrganizationKeyResponse{ServiceAccountId: id.NewServiceAccount().String(), ApiKeyId: id.NewAPIKey().String(),
			Scopes: []string{"members.read"}, CreateTime: made, ExpireTime: expires}
		told, err := h.introspect(service, key.Text())
		require.NoError(t, err)
		require.True(t, proto.Equal(&identityv1.IntrospectTokenResponse{Active: true, ServiceAccountId: h.programs.answer.GetServiceAccountId(), OrganizationId: org.String(),
			Kind: identityv1.IntrospectTokenResponse_KIND_SERVICE_ACCOUNT_KEY, Scopes: []string{"members.read"}, IssueTime: made, ExpireTime: expires}, told), "%v", told)

		require.NoError(t, h.revoke(service, key.Text()))
		require.Len(t, h.programs.revoked, 1)
		require.True(t, proto.Equal(&membershipv1.RevokeOrganizationKeyRequest{OrganizationId: org.String(), SecretHash: key.Hash, RevokerServiceAccountId: of},
			h.programs.revoked[0]), "%v", h.programs.revoked[0])
		require.NoError(t, h.revoke(service, key.Text()+"A"))
		require.Len(t, h.programs.revoked, 1, "what is no key is nobody's")

		h.programs.err = fault.New(errorv1.Reason_REASON_API_KEY_NOT_FOUND, "There is no such key.")
		told, err = h.introspect(service, key.Text())
		require.NoError(t, err)
		require.True(t, proto.Equal(&identityv1.IntrospectTokenResponse{}, told))
		h.programs.err = fault.New(errorv1.Reason_REASON_UNAVAILABLE, "Later.")
		_, err = h.introspect(service, key.Text())
		requireReason(t, errorv1.Reason_REASON_UNAVAILABLE, err)
		requireReason(t, errorv1.Reason_REASON_UNAVAILABLE, h.revoke(service, key.Text()))
	})
	t.Run("R48 A key that nobody knows is refused as any other, and an outage is none", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		text := secret.New(secret.OrganizationKey, id.NewOrganization()).Text()
		h.programs.err = fault.New(errorv1.Reason_REASON_API_KEY_NOT_FOUND, "There is no such key.")
		_, err := resolve(h, text, false)
		requireReason(t, errorv1.Reason_REASON_UNAUTHENTICATED, err)
		h.programs.err = fault.New(errorv1.Reason_REASON_UNAVAILABLE, "Later.")
		_, err = resolve(h, text, false)
		requireReason(t, errorv1.Reason_REASON_UNAVAILABLE, err)
	})
}
